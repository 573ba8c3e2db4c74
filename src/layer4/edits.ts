/** From what the kernel has to what a plan wants, as one script of nft: one transaction. */
import { COMMENT, type TableName, written } from './names.ts';
import type { Placed, Plan } from './plan.ts';
import {
  type Chain,
  connectionsCounter,
  endsCounter,
  type Ruleset,
  rulesetOf,
  trafficCounter,
} from './ruleset.ts';
import { scheduleOf } from './scheduler.ts';
import type { KernelTable } from './tables.ts';

/**
 * The table of a plan. `held`: what the kernel has of it. What packets write to and counters stay; all else is written
 * anew, which packets do not notice: the kernel goes over to it between two of them.
 */
export function tableEdits(plan: Plan, held: KernelTable | undefined): string[] {
  const ruleset = rulesetOf(plan);
  const table = written(plan.table);
  return [
    ...(held ? clearing(held, ruleset, table) : [`add table ${table} { comment "${COMMENT}"; }`]),
    ...making(ruleset, table),
    ...elementEdits(plan, table),
  ];
}

export function removal(table: TableName): string {
  return `delete table ${written(table)}`;
}

/** New duties and weights. */
export function dutyEdits(plan: Plan): string[] {
  const table = written(plan.table);
  return [
    `flush map ${table} duties`,
    `flush map ${table} remembered`,
    `flush chain ${table} schedule`,
    ...dutyElements(plan, table),
    ...scheduleOf(plan).map((rule) => `add rule ${table} schedule ${rule}`),
  ];
}

/** Rules and elements first, for they hold on to the rest. */
function clearing(held: KernelTable, ruleset: Ruleset, table: string): string[] {
  const counters = new Set(ruleset.counters);
  const isState = (name: string) => ruleset.state.has(name);
  const isKept = (chain: KernelTable['chains'][number]) => {
    return ruleset.chains.has(chain.name) && ruleset.chains.get(chain.name)!.device === chain.device;
  };
  const edits = held.chains.map(({ name }) => `flush chain ${table} ${name}`);
  for (const { kind, name } of held.sets) if (!isState(name)) edits.push(`flush ${kind} ${table} ${name}`);
  for (const chain of held.chains) if (!isKept(chain)) edits.push(`delete chain ${table} ${chain.name}`);
  for (const { kind, name } of held.sets) {
    if (!isState(name) && !ruleset.sets.some((set) => set.name === name))
      edits.push(`delete ${kind} ${table} ${name}`);
  }
  for (const name of held.counters.keys())
    if (!counters.has(name)) edits.push(`delete counter ${table} ${name}`);
  return edits;
}

/** Adding what is there already does nothing. */
function making({ state, sets, counters, chains }: Ruleset, table: string): string[] {
  return [
    ...counters.map((name) => `add counter ${table} ${name}`),
    ...[...state].map(([name, declaration]) => `add map ${table} ${name} { ${declaration} }`),
    ...sets.map(({ kind, name, type }) => `add ${kind} ${table} ${name} { type ${type}; }`),
    ...[...chains].map(([name, { base }]) => `add chain ${table} ${name}${base ? ` { ${base} }` : ''}`),
    ...[...chains].flatMap(([name, { rules }]: [string, Chain]) => {
      return rules.map((rule) => `add rule ${table} ${name} ${rule}`);
    }),
  ];
}

function elementEdits(plan: Plan, table: string): string[] {
  const { listen } = plan.service;
  const ports = listen.flatMap(({ host, port }) => (port === '*' ? [] : `${host} . ${port}`));
  const hosts = listen.flatMap(({ host, port }) => (port === '*' ? host : []));
  const { servers } = plan;
  const edits = [
    adding(table, 'services', ports),
    adding(table, 'hosts', hosts),
    adding(
      table,
      'traffic',
      servers.map(({ mark }) => `${mark} : "${trafficCounter(mark)}"`),
    ),
    adding(
      table,
      'connections',
      servers.map(({ mark }) => `${mark} : "${connectionsCounter(mark)}"`),
    ),
    adding(
      table,
      'ends',
      servers.map(({ mark }) => `${mark} : "${endsCounter(mark)}"`),
    ),
    ...(plan.service.mode === 'dr' ? direct(servers, table) : translated(servers, table)),
    ...dutyElements(plan, table),
  ];
  return edits.flat();
}

function direct(servers: readonly Placed[], table: string): string[] {
  return [
    ...adding(
      table,
      'addresses',
      servers.map(({ mark, address }) => `${mark} : ${address}`),
    ),
    ...adding(
      table,
      'interfaces',
      servers.map(({ mark, device }) => `${mark} : "${device}"`),
    ),
  ];
}

function translated(servers: readonly Placed[], table: string): string[] {
  const addresses = servers.flatMap(({ mark, address, port }) => {
    return port === undefined ? `${mark} : ${address}` : [];
  });
  const endpoints = servers.flatMap(({ mark, address, port }) => {
    return port === undefined ? [] : `${mark} : ${address} . ${port}`;
  });
  return [
    ...adding(table, 'addresses', addresses),
    ...adding(table, 'endpoints', endpoints),
    ...adding(
      table,
      'ours',
      servers.map(({ mark }) => String(mark)),
    ),
  ];
}

/** Duty → where packets of open flows go. */
const OPEN_FLOWS = { open: 'live', sticky: 'pass', flows: 'pass', gone: 'gone' } as const;
/** Duty → where new flows go that persistence brings; others are scheduled. */
const REMEMBERED = { open: 'renewed', sticky: 'admit', flows: undefined, gone: undefined } as const;

function dutyElements({ servers, service }: Plan, table: string): string[] {
  const remembered = servers.flatMap(({ mark, duty }) => {
    return service.persistence && REMEMBERED[duty] ? `${mark} : goto ${REMEMBERED[duty]}` : [];
  });
  return [
    ...adding(
      table,
      'duties',
      servers.map(({ mark, duty }) => `${mark} : goto ${OPEN_FLOWS[duty]}`),
    ),
    ...adding(table, 'remembered', remembered),
  ];
}

function adding(table: string, set: string, elements: readonly string[]): string[] {
  return elements.length === 0 ? [] : [`add element ${table} ${set} { ${elements.join(', ')} }`];
}
