/**
 * The rules of a VIP. The way of a client's packet:
 *
 *     ingress ─► vip ─┬─ a flow that is known ──► known ─► by the server's duty: live, send on; or reset
 *                     ├─ a SYN ──► fresh ─► persistence, else the scheduler ─► admit: the flow is known from now on
 *                     └─ anything else: reset, never scheduled in the middle of its flow
 *
 * Maps that packets write to are the state, which outlives every change: `flows` (a flow → its server), `closing` (flows
 * that a FIN or RST was seen of), `sticky` (a client → its server). Their names carry what they are made of, so that one
 * of another make is another map. All else is rewritten whenever services are applied.
 *
 * `update` in nft never changes what an element says, only how long it stays: to bind anew is to delete, then to add.
 */
import { sourceOf } from './families.ts';
import type { Plan } from './plan.ts';
import { scheduleOf } from './scheduler.ts';

/** A SYN that opens a connection (RFC 9293 3.5); ECN's flags beside it do not matter. */
const SYN = 'tcp flags & (fin | syn | rst | ack) == syn';
const NOT_SYN = 'tcp flags & (fin | syn | rst | ack) != syn';

/** All that a table has but elements. */
export interface Ruleset {
  /** Name → declaration: maps that packets write to. */
  readonly state: ReadonlyMap<string, string>;
  /** Maps and sets that we write to. */
  readonly sets: readonly WrittenSet[];
  /** Names of counters. */
  readonly counters: readonly string[];
  /** Name → declaration (of base chains) and rules. */
  readonly chains: ReadonlyMap<string, Chain>;
}

export interface WrittenSet {
  readonly kind: 'map' | 'set';
  readonly name: string;
  readonly type: string;
}

export interface Chain {
  /** Undefined: a chain that others go to. */
  readonly base?: string;
  /** dr: the interface of a base chain. */
  readonly device?: string;
  readonly rules: readonly string[];
}

export function flowMaps({ family, lifetimes }: Plan): { readonly flows: string; readonly closing: string } {
  const make = `${family.ip}_${lifetimes.flows}`;
  return { flows: `flows_${make}`, closing: `closing_${make}` };
}

/** undefined: the service has no persistence. */
export function stickyMap({ family, service: { persistence } }: Plan): string | undefined {
  return persistence && `sticky_${family.ip}_${persistence.size}`;
}

export function rulesetOf(plan: Plan): Ruleset {
  return { state: stateOf(plan), sets: setsOf(plan), counters: countersOf(plan), chains: chainsOf(plan) };
}

function stateOf(plan: Plan): Map<string, string> {
  const { family, lifetimes, service } = plan;
  const { flows, closing } = flowMaps(plan);
  const written = (size: number) => `flags dynamic, timeout; size ${size};`;
  const state = new Map(
    [flows, closing].map((map) => [map, `${family.flowType}; ${written(lifetimes.flows)}`]),
  );
  const sticky = stickyMap(plan);
  if (sticky) state.set(sticky, `type ${family.address} : mark; ${written(service.persistence!.size)}`);
  return state;
}

function setsOf({ family: { address }, service }: Plan): WrittenSet[] {
  const set = (name: string, type: string): WrittenSet => ({ kind: 'set', name, type });
  const byMark = (name: string, type: string): WrittenSet => ({ kind: 'map', name, type: `mark : ${type}` });
  return [
    set('services', `${address} . inet_service`),
    set('hosts', address),
    byMark('duties', 'verdict'),
    byMark('remembered', 'verdict'),
    byMark('traffic', 'counter'),
    byMark('connections', 'counter'),
    byMark('ends', 'counter'),
    byMark('addresses', address),
    ...(service.mode === 'dr'
      ? [byMark('interfaces', 'iface_index')]
      : [byMark('endpoints', `${address} . inet_service`), set('ours', 'mark')]),
  ];
}

/** What became of packets that did not reach a server. */
export const FATES = {
  full: 'no room for another flow',
  unknown: 'no SYN, and of no known flow',
  refused: 'a SYN, and no server takes any',
  cut: 'of a flow whose server is gone',
} as const;

function countersOf({ servers }: Plan): string[] {
  const own = servers.flatMap(({ mark }) => [
    trafficCounter(mark),
    connectionsCounter(mark),
    endsCounter(mark),
  ]);
  return [...Object.keys(FATES), ...own];
}

export function trafficCounter(mark: number): string {
  return `traffic_${mark.toString(16)}`;
}

export function connectionsCounter(mark: number): string {
  return `connections_${mark.toString(16)}`;
}

/** Of flows that a FIN or RST was seen of, one packet each. */
export function endsCounter(mark: number): string {
  return `ends_${mark.toString(16)}`;
}

function chainsOf(plan: Plan): Map<string, Chain> {
  const chains = new Map<string, Chain>();
  for (const [name, rules] of Object.entries({ ...wayOfPackets(plan), ...persistenceOf(plan) })) {
    chains.set(name, { rules });
  }
  for (const [name, chain] of plan.service.mode === 'dr' ? ingressOf(plan) : natOf(plan)) {
    chains.set(name, chain);
  }
  return chains;
}

function wayOfPackets(plan: Plan): Record<string, readonly string[]> {
  const { family, lifetimes, service } = plan;
  const { flow } = family;
  const { flows, closing } = flowMaps(plan);
  const keep = (map: string, ms: number) => `update @${map} { ${flow} timeout ${duration(ms)} : meta mark }`;
  const isClosing = `${flow} @${closing}`;
  const end = `${flow} != @${closing} add @${closing} { ${flow} timeout ${duration(lifetimes.closing)} : meta mark } counter name meta mark map @ends`;
  return {
    vip: [
      `meta mark set ${flow} map @${flows} goto known`,
      // Its sender hears of it now, not by a time-out of hours.
      `${NOT_SYN} counter name "unknown" reject with tcp reset`,
      'goto fresh',
    ],
    // A SYN of a flow that has ended uses its ports again: it is a new flow. A mark without a duty is nobody's any more.
    known: [`${SYN} ${isClosing} goto again`, 'meta mark vmap @duties', 'goto gone'],
    again: [
      `delete @${closing} { ${flow} : meta mark }`,
      `delete @${flows} { ${flow} : meta mark }`,
      'goto fresh',
    ],
    schedule: scheduleOf(plan),
    // A map that is full ends its rule, and the next one drops: a flow that could not be found again is none.
    admit: [
      `add @${flows} { ${flow} timeout ${duration(lifetimes.opening)} : meta mark } goto admitted`,
      'counter name "full" drop',
    ],
    admitted: ['counter name meta mark map @connections', 'goto send'],
    // Half-closed connections go on being acknowledged: such packets keep a flow, but only for the short time.
    pass: [
      `${SYN} goto send`,
      `tcp flags & (fin | rst) != 0 ${end}`,
      `${isClosing} ${keep(closing, lifetimes.closing)} ${keep(flows, lifetimes.closing)} goto send`,
      keep(flows, service.idle),
      'goto send',
    ],
    // Its flow stays known for a while, because a reset may be lost.
    gone: [
      `${SYN} goto again`,
      end,
      keep(flows, lifetimes.closing),
      'counter name "cut"',
      'reject with tcp reset',
    ],
    refuse: ['counter name "refused"', 'reject with tcp reset'],
  };
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** Milliseconds as `1d2h3m4s5ms`: nft takes no large numbers of one unit. */
function duration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const [unit, length] of UNITS) {
    const count = Math.floor(rest / length);
    if (count > 0) text += `${count}${unit}`;
    rest %= length;
  }
  return text;
}

/** `fresh` and `chosen` and, with persistence, what stands between. */
function persistenceOf(plan: Plan): Record<string, readonly string[]> {
  const sticky = stickyMap(plan);
  if (!sticky) return { fresh: ['goto schedule'], chosen: ['goto admit'], live: ['goto pass'] };
  const source = sourceOf(plan.family, plan.service.persistence!.netmask);
  const keep = `update @${sticky} { ${source} timeout ${duration(plan.service.persistence!.ttl)} : meta mark }`;
  return {
    fresh: [`meta mark set ${source} map @${sticky} goto known_client`, 'goto schedule'],
    known_client: ['meta mark vmap @remembered', 'goto schedule'],
    renewed: [keep, 'goto admit'],
    chosen: [`delete @${sticky} { ${source} : meta mark }`, keep, 'goto admit'],
    // Only an entry that is there: what was forgotten is not brought back by an old flow.
    live: [`${source} @${sticky} ${keep}`, 'goto pass'],
  };
}

function ingressOf({ family, interfaces }: Plan): [string, Chain][] {
  const { ip } = family;
  const count = 'counter name meta mark map @traffic';
  const forward = `fwd ${ip} to meta mark map @addresses device meta mark map @interfaces`;
  // Frames for others come in too while somebody listens to the interface: a second balancer is not to forward them.
  const rules = [
    `meta pkttype host ${ip} daddr . tcp dport @services goto vip`,
    `meta pkttype host ${ip} daddr @hosts meta l4proto tcp goto vip`,
  ];
  return [
    ['send', { rules: [count, forward] }],
    ...interfaces.map((device): [string, Chain] => [
      ingressChain(device),
      {
        base: `type filter hook ingress device "${device}" priority 0; policy accept;`,
        device,
        rules,
      },
    ]),
  ];
}

/** Interface names have no space and no slash; what an identifier has not is written as a number. */
function ingressChain(device: string): string {
  return `ingress_${device.replace(/[^A-Za-z0-9]/gu, (character) => `_${character.codePointAt(0)}_`)}`;
}

/** Connection tracking keeps a translation; which one is made, and whether a flow goes on, is decided here. */
function natOf({ family, service }: Plan): [string, Chain][] {
  const { ip } = family;
  const translate =
    service.mode === 'nat'
      ? []
      : [`meta mark @ours ${service.source ? `snat to ${service.source}` : 'masquerade'}`];
  return [
    [
      'prerouting',
      {
        base: 'type filter hook prerouting priority -150; policy accept;',
        rules: [
          `${ip} daddr . tcp dport @services goto entrance`,
          `${ip} daddr @hosts meta l4proto tcp goto entrance`,
        ],
      },
    ],
    // Answers may come to the VIP too, when it is the source. What cannot be tracked would reach our own TCP, which resets.
    ['entrance', { rules: ['ct direction reply accept', 'ct state invalid drop', 'goto vip'] }],
    ['send', { rules: ['counter name meta mark map @traffic', 'accept'] }],
    [
      'destination',
      {
        base: 'type nat hook prerouting priority -100; policy accept;',
        rules: [
          'meta l4proto tcp dnat to meta mark map @endpoints',
          'meta l4proto tcp dnat to meta mark map @addresses',
        ],
      },
    ],
    ['departure', { base: 'type nat hook postrouting priority 100; policy accept;', rules: translate }],
  ];
}
