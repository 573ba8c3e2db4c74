/**
 * The pools, tables and directors that a configuration describes: all that decides, and nothing that touches the
 * network, so that `gantry explain` works on it as well as the balancer.
 */
import type {
  Configuration,
  PersistenceConfiguration,
  PoolConfiguration,
  VipConfiguration,
} from './config/schema.ts';
import { createDirector, type Director, type Rule } from './director/director.ts';
import { Persistence } from './director/persistence.ts';
import { Pool } from './pools/pool.ts';
import { createMemoryStore } from './tables/memory.ts';
import { Table } from './tables/table.ts';

export interface Assembly {
  readonly pools: ReadonlyMap<string, Pool>;
  /** By VIP. */
  readonly directors: ReadonlyMap<string, Director>;
  /** Outbound HL7 connections that are kept to each server, by pool. */
  readonly hl7Connections: Readonly<Record<string, number>>;
}

export interface Surroundings {
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** Builds everything that the configuration names; the configuration has been checked. */
export function assemble(configuration: Configuration, { now, random }: Surroundings): Assembly {
  const tables = new Map<string, Table>();
  const pools = new Map(configuration.pools.map((pool) => [pool.name, createPool(pool, now)]));
  const ofPools = new Map<Pool, Persistence>();
  for (const { name, persistence } of configuration.pools) {
    if (persistence)
      ofPools.set(pools.get(name)!, createPersistence(`pool ${name}`, persistence, tables, now));
  }
  const directors = configuration.vips.map((vip): [string, Director] => [
    vip.name,
    createDirector({
      vip: vip.name,
      rules: [...clientRules(vip), ...routeRules(vip, pools)],
      pool: vip.pool === undefined ? undefined : pools.get(vip.pool),
      persistence: vip.persistence && createPersistence(`vip ${vip.name}`, vip.persistence, tables, now),
      persistenceOf: (pool) => ofPools.get(pool),
      ignoreCase: vip.protocol === 'dicom' && vip.dicom.ignoreCase ? ['called', 'calling'] : [],
      now,
      random,
    }),
  ]);
  const hl7Connections = configuration.pools.map(({ name, hl7 }) => [name, hl7.connections]);
  return { pools, directors: new Map(directors), hl7Connections: Object.fromEntries(hl7Connections) };
}

/** Every pool that work of this VIP may reach. */
export function poolsOf(vip: VipConfiguration, { pools }: Assembly): Pool[] {
  const names = new Set([vip.pool, ...vip.routes.map(({ pool }) => pool)]);
  return [...names].flatMap((name) => (name === undefined ? [] : (pools.get(name) ?? [])));
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

function routeRules({ routes }: VipConfiguration, pools: ReadonlyMap<string, Pool>): Rule[] {
  return routes.map(({ pool, ...rule }) => ({
    ...rule,
    pool: pool === undefined ? undefined : pools.get(pool),
  }));
}

function createPool(pool: PoolConfiguration, now: () => number): Pool {
  const { name, balance, servers, slowStart, panic } = pool;
  const { check, rise, fall, startDown } = pool.health;
  const health = { isChecked: check !== 'none', rise, fall, startDown };
  return new Pool({ name, balance, servers, health, slowStart, panic, now });
}

/** `owner`: whose table it is when it is not shared. */
function createPersistence(
  owner: string,
  { by, ttl, size, netmask, share }: PersistenceConfiguration,
  tables: Map<string, Table>,
  now: () => number,
): Persistence {
  const name = share === undefined ? owner : `share ${share}`;
  let table = tables.get(name);
  if (!table) {
    table = new Table(createMemoryStore({ ttl, size, now }));
    tables.set(name, table);
  }
  return new Persistence({ by, table, netmask, isShared: share !== undefined });
}
