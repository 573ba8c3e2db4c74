/** What the configuration of a profile does with a row of its table: where clients go, and which servers answer. */
import type { Configuration, HttpVip, PoolConfiguration, VipConfiguration } from '../../src/config/schema.ts';
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

/** `sampled`: the ports that are tried of VIPs with all ports. */
export function planRow(
  row: Row,
  { vips, pools }: Configuration,
  layout: Layout,
  sampled: readonly number[],
): RowPlan {
  const vip =
    row.mode === 'backend'
      ? vips.find(({ routes }) => routes.some(({ pool }) => pool === row.name))
      : vips.find(({ name }) => name === row.name);
  if (!vip) throw new Error(`the configuration has no VIP for ${row.ref} ${row.name}`);
  const poolName = row.mode === 'backend' ? row.name : vip.pool;
  const pool = pools.find(({ name }) => name === poolName);
  if (!pool) throw new Error(`${row.ref} ${row.name} has no pool`);
  const path = row.mode === 'backend' ? pathTo(vip as HttpVip, pool.name) : '/what/no/rule/fits';
  const ways = vip.listen.flatMap(({ host, port }) =>
    (port === '*' ? sampled : [port]).map((one) => {
      const serverPort = pool.servers[0]!.port ?? one;
      return { host, port: one, serverPort, service: spoken(vip, pool, layout, serverPort), path };
    }),
  );
  return { row, vip, pool, ways };
}

/** A path that the first rule with that pool fits. */
function pathTo(vip: HttpVip, pool: string): string {
  const index = vip.routes.findIndex((route) => route.pool === pool);
  const pattern = vip.http.actions[index]!.paths.find((one) => one.includes('*'));
  if (pattern === undefined) throw new Error(`${vip.name}: no path leads to ${pool}`);
  return pattern.replace('*', 'some/page');
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
