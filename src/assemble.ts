/**
 * The pools, tables and directors that a configuration describes: all that decides, and nothing that touches the
 * network, so that `gantry explain` works on it as well as the balancer.
 */
import { subjectPattern } from '../protocols/tls/subject-pattern.ts';
import type {
  Configuration,
  PersistenceConfiguration,
  PoolConfiguration,
  VipConfiguration,
  When,
} from './config/schema.ts';
import { createDirector, type Director, type Rule } from './director/director.ts';
import { Persistence } from './director/persistence.ts';
import { ALIAS_LIMITS, Aliases } from './frontends/hl7/aliases.ts';
import type { OrderMemory } from './frontends/hl7/order.ts';
import { PIN_LIMITS, Pins } from './frontends/hl7/pins.ts';
import { notice } from './observe/events.ts';
import { Pool, type PoolOptions } from './pools/pool.ts';
import { createMemoryStore, type Limits } from './tables/memory.ts';
import { STAT_ORDER_LIMITS, StatOrders } from './tables/stat-orders.ts';
import { Table } from './tables/table.ts';

export interface Assembly {
  readonly pools: ReadonlyMap<string, Pool>;
  /**
   * All that outlives a restart, by name. Persistence: `vip NAME`, `pool NAME` or `share NAME`. What a VIP with study
   * routing remembers over associations: `objects OWNER`, `instances OWNER`, `transactions OWNER` (`affinityOwner`). Urgent
   * orders that an HL7 VIP saw: `orders NAME`. Merged patients, and messages tied together, of an HL7 VIP: `aliases NAME`,
   * `pins NAME`.
   */
  readonly tables: ReadonlyMap<string, Table>;
  /** By VIP. */
  readonly directors: ReadonlyMap<string, Director>;
  /** By HL7 VIP: of those whose orders make studies urgent. */
  readonly statOrders: ReadonlyMap<string, StatOrders>;
  /** By HL7 VIP. */
  readonly orderMemories: ReadonlyMap<string, OrderMemory>;
  /** Puts the pools and tables that the configuration before had too into the shape that this one wants. */
  commit(): void;
}

export interface Surroundings {
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** How long objects, instances and commitments are remembered: over a weekend, in milliseconds. */
const AFFINITY_MS = 72 * 3_600_000;
/** The tables of a VIP with study routing, and how many entries each has at most. */
const AFFINITY_TABLES = [
  ['objects', 100_000],
  ['instances', 500_000],
  ['transactions', 100_000],
] as const;

const FORGETS =
  'this table has more studies than its `persistence.size`: those that were used longest ago are forgotten from now on, and may come to another server';

/**
 * Builds everything that the configuration names; the configuration has been checked. Pools and tables that were there
 * `before` are the same objects, with their servers' states and their entries; they change only with `commit`.
 */
export function assemble(
  configuration: Configuration,
  { now, random }: Surroundings,
  before?: Assembly,
): Assembly {
  const kept: (() => void)[] = [];
  const pools = new Map<string, Pool>();
  for (const pool of configuration.pools) {
    const options = poolOptions(pool, now);
    const known = before?.pools.get(pool.name);
    if (known) kept.push(() => known.reconfigure(options));
    pools.set(pool.name, known ?? new Pool(options));
  }
  const tables = new Map<string, Table>();
  const tableOf = (name: string, { ttl, size }: Limits): Table => {
    const known = tables.get(name);
    if (known) return known;
    const kin = before?.tables.get(name);
    if (kin) kept.push(() => kin.setLimits({ ttl, size }));
    const forgets = () => notice('warn', FORGETS, { table: name });
    const table = kin ?? new Table(createMemoryStore({ ttl, size, now, forgets }));
    tables.set(name, table);
    return table;
  };
  /** `owner`: whose table it is when it is not shared. */
  const persistenceOf = (owner: string, persistence: PersistenceConfiguration): Persistence => {
    const { by, netmask, share, cookie } = persistence;
    const table = tableOf(share === undefined ? owner : `share ${share}`, persistence);
    const isShared = share !== undefined;
    const isFixed = persistence.ttl === Infinity;
    return new Persistence({ by, table, netmask, isShared, isFixed, cookie: cookie?.name });
  };
  const ofPools = new Map<Pool, Persistence>();
  for (const { name, persistence } of configuration.pools) {
    if (persistence) ofPools.set(pools.get(name)!, persistenceOf(`pool ${name}`, persistence));
  }
  const directors = configuration.vips.map((vip): [string, Director] => [
    vip.name,
    createDirector({
      vip: vip.name,
      rules: rulesOf(vip, pools),
      pool: vip.pool === undefined ? undefined : pools.get(vip.pool),
      persistence: vip.persistence && persistenceOf(`vip ${vip.name}`, vip.persistence),
      persistenceOf: (pool) => ofPools.get(pool),
      ignoreCase: vip.protocol === 'dicom' && vip.dicom.ignoreCase ? ['called', 'calling'] : [],
      reserve: vip.protocol === 'dicom' ? vip.urgent.reserve : 0,
      now,
      random,
    }),
  ]);
  for (const vip of configuration.vips) {
    if (vip.protocol !== 'dicom' || vip.dicom.route !== 'study') continue;
    const owner = affinityOwner(vip);
    for (const [name, size] of AFFINITY_TABLES) tableOf(`${name} ${owner}`, { ttl: AFFINITY_MS, size });
  }
  const statOrders = [...vipsAskedForOrders(configuration)].map((name): [string, StatOrders] => [
    name,
    new StatOrders(tableOf(`orders ${name}`, STAT_ORDER_LIMITS)),
  ]);
  const orderMemories = configuration.vips
    .filter(({ protocol }) => protocol === 'hl7')
    .map(({ name }): [string, OrderMemory] => {
      const aliases = tableOf(`aliases ${name}`, ALIAS_LIMITS);
      const pins = tableOf(`pins ${name}`, PIN_LIMITS);
      const known = before?.orderMemories.get(name);
      return [name, known ?? { aliases: new Aliases(aliases), pins: new Pins(pins) }];
    });
  return {
    pools,
    tables,
    directors: new Map(directors),
    statOrders: new Map(statOrders),
    orderMemories: new Map(orderMemories),
    commit() {
      for (const change of kept.splice(0)) change();
      for (const [name, pool] of before?.pools ?? []) if (!pools.has(name)) pool.retire();
    },
  };
}

/** The names of the HL7 VIPs whose orders make studies urgent somewhere. */
export function vipsAskedForOrders({ vips }: Configuration): ReadonlySet<string> {
  return new Set(vips.flatMap((vip) => (vip.protocol === 'dicom' ? vip.urgent.fromOrders : [])));
}

/** Under what name is kept what a VIP remembers over associations: its own, or that of the table that it shares. */
export function affinityOwner({ name, persistence }: VipConfiguration): string {
  return persistence?.share === undefined ? name : `share ${persistence.share}`;
}

/** The names of the pools that work of this VIP may reach. */
export function poolNamesOf({ pool, routes }: VipConfiguration): ReadonlySet<string> {
  const names = [pool, ...routes.map((route) => route.pool)];
  return new Set(names.filter((name) => name !== undefined));
}

/** Every pool that work of this VIP may reach. */
export function poolsOf(vip: VipConfiguration, { pools }: Pick<Assembly, 'pools'>): Pool[] {
  return [...poolNamesOf(vip)].flatMap((name) => pools.get(name) ?? []);
}

function rulesOf(vip: VipConfiguration, pools: ReadonlyMap<string, Pool>): Rule[] {
  const routes = vip.routes.map(({ pool, when, ...rule }) => ({
    ...rule,
    when: withLowerNames(when),
    pool: pool === undefined ? undefined : pools.get(pool),
  }));
  return [...clientRules(vip), ...certificateRules(vip), ...routes];
}

/** Names of hosts are the same in any case (RFC 9110 4.2.3), and the facts have them in lower case. */
const NAMES_OF_HOSTS: ReadonlySet<string> = new Set(['host', 'sni']);

function withLowerNames({ facts, not, any }: When): When {
  return {
    facts: facts.map(({ name, patterns }) => ({
      name,
      patterns: NAMES_OF_HOSTS.has(name) ? patterns.map(lowerUnlessExpression) : patterns,
    })),
    not: not && withLowerNames(not),
    any: any?.map(withLowerNames),
  };
}

function lowerUnlessExpression(pattern: string): string {
  return pattern.startsWith('/') ? pattern : pattern.toLowerCase();
}

/** `dicom.clients` as rules that go before all others: an AE title that comes from elsewhere is turned away. */
function clientRules(vip: VipConfiguration): Rule[] {
  if (vip.protocol !== 'dicom') return [];
  return Object.entries(vip.dicom.clients).map(([ae, networks]) => ({
    name: 'dicom.clients',
    when: {
      facts: [{ name: 'calling', patterns: [ae] }],
      not: { facts: [{ name: 'client', patterns: networks }] },
    },
    reject: 'calling-ae-not-recognized',
  }));
}

/**
 * `tls.aeTitles` and `tls.senders` as a rule: a name that no certificate with this subject may use is turned away.
 * Subjects that match several patterns may use the names of each.
 */
function certificateRules(vip: VipConfiguration): Rule[] {
  switch (vip.protocol) {
    case 'dicom':
      return namesOfCertificates(
        'tls.aeTitles',
        vip.tls?.aeTitles,
        'calling-ae-not-recognized',
        (patterns) => [{ name: 'calling', patterns }],
      );
    case 'hl7':
      // A batch is turned away whole: none of its messages may name an application that the certificate may not use.
      return namesOfCertificates('tls.senders', vip.tls?.senders, 'sender-not-allowed', (patterns) => [
        { name: 'sendingApp', patterns },
        { name: 'sendingApps', patterns, every: true },
      ]);
    default:
      return [];
  }
}

type FactPatterns = Rule['when']['facts'][number];

function namesOfCertificates(
  name: string,
  allowed: Readonly<Record<string, readonly string[]>> = {},
  reject: string,
  factsOf: (patterns: readonly string[]) => readonly FactPatterns[],
): Rule[] {
  const any = Object.entries(allowed).map(([subject, patterns]) => ({
    facts: [{ name: 'tlsSubject', patterns: [`/${subjectPattern(subject)}/`] }, ...factsOf(patterns)],
  }));
  return any.length === 0 ? [] : [{ name, when: { facts: [], not: { facts: [], any } }, reject }];
}

function poolOptions(pool: PoolConfiguration, now: () => number): PoolOptions {
  const { name, balance, servers, slowStart, panic, mode, failBack, drain } = pool;
  const { check, rise, fall, startDown } = pool.health;
  const health = { isChecked: check !== 'none', rise, fall, startDown };
  return { name, balance, servers, health, slowStart, panic, mode, failBack, drain, now };
}
