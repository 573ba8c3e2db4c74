/** What the configuration of a profile does with a row of its table: where clients go, and which servers answer. */
import type { Configuration, PoolConfiguration, VipConfiguration } from '../../src/config/schema.ts';
import type { Row } from './table.ts';

/** What a server has at a port. */
export type Service =
  | 'http'
  | 'https'
  /** storescp; `store-tls` in TLS. */
  | 'store'
  | 'store-tls'
  /** dcmqrscp: what was stored is found. */
  | 'archive'
  | 'worklist'
  /** The receiver of python3-hl7. */
  | 'hl7'
  /** A protocol that nobody here speaks: a server that tells its name. */
  | 'echo';

export type Layout = Readonly<Record<number, Service>>;

export interface RowPlan {
  readonly row: Row;
  /** Its own, or that of its parent. */
  readonly vip: VipConfiguration;
  readonly pool: PoolConfiguration;
  /** Where clients go, and what the server has at the other end. */
  readonly ways: readonly Way[];
}

export interface Way {
  readonly host: string;
  readonly port: number;
  readonly serverPort: number;
  /** What clients speak there. */
  readonly service: Service;
  /** HTTP: a path that leads to the row's pool. */
  readonly path: string;
}

export interface PlanOptions {
  readonly configuration: Configuration;
  /** All of the table. */
  readonly rows: readonly Row[];
  readonly layout: Layout;
  /** The ports that are tried of VIPs with all ports. */
  readonly sampled: readonly number[];
  /** Where a pool that only rules reach is, below its parent's VIP. */
  readonly pathOf: (name: string) => string;
}

export function planRow(row: Row, { configuration, rows, layout, sampled, pathOf }: PlanOptions): RowPlan {
  const isBackend = row.mode === 'backend';
  // VIP 1-B2 is behind VIP 1.
  const own = isBackend ? rows.find(({ ref }) => ref === row.ref.split('-', 1)[0])! : row;
  const vip = configuration.vips.find(({ name }) => name === own.name);
  if (!vip) throw new Error(`the configuration has no VIP for ${row.ref} ${row.name}`);
  const pool = configuration.pools.find(({ name }) => name === (isBackend ? row.name : vip.pool));
  if (!pool) throw new Error(`${row.ref} ${row.name} has no pool`);
  const path = isBackend ? `${pathOf(row.name)}/some/page` : '/what/no/rule/fits';
  const ways = vip.listen.flatMap(({ host, port }) =>
    (port === '*' ? sampled : [port]).map((one) => {
      const serverPort = pool.servers[0]!.port ?? one;
      return { host, port: one, serverPort, service: spoken(vip, pool, layout, serverPort), path };
    }),
  );
  return { row, vip, pool, ways };
}

function spoken(vip: VipConfiguration, pool: PoolConfiguration, layout: Layout, port: number): Service {
  const service = layout[port];
  if (service === undefined) throw new Error(`${pool.name}: the servers have nothing at port ${port}`);
  if (vip.protocol !== 'http') return service;
  const inTls = pool.link.tls !== undefined;
  if (service !== (inTls ? 'https' : 'http'))
    throw new Error(`${pool.name} meets ${service} at port ${port}`);
  return vip.tls ? 'https' : 'http';
}

/** What can be wrong with a server: its web pages, without TLS or in it; its answer to a ping; what a script says; all of it. */
export type Ailment = 'http' | 'https' | 'ping' | 'script' | 'process';

/** What of these a row's check is to notice. */
export const NOTICED: Readonly<Record<Row['health'], readonly Ailment[]>> = {
  none: [],
  connect: ['process'],
  'http-get': ['http', 'process'],
  'https-get': ['https', 'process'],
  ping: ['ping'],
  'external-script': ['script'],
  // Nothing is asked for; the profile chose `connect`, which is the least.
  unstated: ['process'],
};
