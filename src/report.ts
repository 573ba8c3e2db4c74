/** The balancer as the admin API shows it: what is configured, and how it stands. */
import type {
  ConnectionDocument,
  ForwardedStatus,
  PoolStatus,
  QueueStatus,
  ServerStatus,
  StatusDocument,
  VipStatus,
} from './admin/documents.ts';
import type { Assembly } from './assemble.ts';
import {
  type Configuration,
  isProxy,
  type Layer4Vip,
  layer4Vips,
  type PoolConfiguration,
  type ProxyVip,
  type VipConfiguration,
} from './config/schema.ts';
import { describeEndpoint } from './endpoint.ts';
import type { FrontEnd } from './frontends/front-end.ts';
import { splitTarget } from './layer4-targets.ts';
import type { VipTraffic } from './layer4-vips.ts';
import type { Server } from './pools/server.ts';
import { VERSION } from './version.ts';

export interface Reports {
  readonly status: () => Promise<StatusDocument>;
  readonly connections: () => readonly ConnectionDocument[];
}

/** What is in force. */
export interface ReportedState {
  readonly configuration: Configuration;
  readonly assembly: Assembly;
  /** By VIP; one that is not there yet is shown as configured. */
  readonly frontEnds: ReadonlyMap<string, FrontEnd>;
}

export interface ReportOptions {
  /** Milliseconds of the clock when the balancer began. */
  readonly started: number;
  readonly now: () => number;
  /** What is in the durable queue of a VIP; undefined: it has none, null: its file cannot be read now. */
  readonly queueOf: (vip: string) => Promise<QueueStatus | null | undefined>;
  /** What the kernel forwarded for a layer 4 VIP, by server. */
  readonly trafficOf: (vip: string) => Promise<VipTraffic>;
}

export function createReports(
  state: () => ReportedState,
  { started, now, queueOf, trafficOf }: ReportOptions,
): Reports {
  const forwardedByVip = async (vips: readonly Layer4Vip[]) => {
    const all = vips.map(async ({ name }) => [name, forwardedStatus(await trafficOf(name))] as const);
    return new Map(await Promise.all(all));
  };
  return {
    status: async () => {
      const { configuration, assembly, frontEnds } = state();
      const queues = await Promise.all(configuration.vips.map(({ name }) => queueOf(name)));
      const forwarded = await forwardedByVip(layer4Vips(configuration));
      return {
        version: VERSION,
        uptime: Math.floor((now() - started) / 1000),
        vips: configuration.vips.map((vip, index) => {
          const queue = queues[index];
          const status = isProxy(vip)
            ? vipStatus(vip, configuration, frontEnds.get(vip.name))
            : layer4Status(vip, configuration, forwarded.get(vip.name) ?? []);
          return queue === undefined ? status : { ...status, queue };
        }),
        pools: configuration.pools.map(({ name, balance, health }): PoolStatus => {
          const { servers = [], mode = 'shared', activeServer } = assembly.pools.get(name) ?? {};
          return {
            name,
            balance,
            health: health.check,
            mode,
            activeServer: activeServer?.name ?? null,
            servers: servers.map((server) =>
              withForwarded(serverStatus(server), name, [...forwarded.values()].flat()),
            ),
          };
        }),
      };
    },
    connections: () => {
      const { configuration, frontEnds } = state();
      return configuration.vips
        .filter(isProxy)
        .flatMap((vip) => connectionsOf(vip, frontEnds.get(vip.name), now()));
    },
  };
}

/** `none`, `source-ip`, `cookie`, a fact, or a chain of them. A pool's own persistence goes before the VIP's. */
export function persistenceName(vip: VipConfiguration, pool: PoolConfiguration | undefined): string {
  const { by = [] } = pool?.persistence ?? vip.persistence ?? {};
  return by.length > 0 ? by.join(', ') : 'none';
}

function vipStatus(vip: ProxyVip, { pools }: Configuration, frontEnd: FrontEnd | undefined): VipStatus {
  const pool = pools.find(({ name }) => name === vip.pool);
  return {
    name: vip.name,
    protocol: vip.protocol,
    mode: vip.mode,
    listen: (frontEnd?.endpoints ?? vip.listen).map(describeEndpoint),
    pool: vip.pool ?? null,
    persistence: persistenceName(vip, pool),
    connections: [...(frontEnd?.connections() ?? [])].length,
    totals: frontEnd?.totals ?? {},
  };
}

function layer4Status(
  vip: Layer4Vip,
  { pools }: Configuration,
  servers: readonly ForwardedStatus[],
): VipStatus {
  const { name, mode, protocol, listen, pool } = vip;
  return {
    name,
    protocol,
    mode,
    listen: listen.map(describeEndpoint),
    pool,
    persistence: persistenceName(
      vip,
      pools.find((one) => one.name === pool),
    ),
    connections: servers.reduce((sum, { flows }) => sum + (flows ?? 0), 0),
    totals: sumOf(servers),
    servers,
  };
}

function forwardedStatus(traffic: VipTraffic): ForwardedStatus[] {
  return [...traffic].map(([target, { connections, packets, bytes, flows }]) => {
    const [pool, server] = splitTarget(target);
    return { pool, server, connections, packets, bytes, flows: flows ?? null };
  });
}

/** What layer 4 VIPs brought a server counts with what came through this process. */
function withForwarded(status: ServerStatus, pool: string, all: readonly ForwardedStatus[]): ServerStatus {
  const own = all.filter((one) => one.pool === pool && one.server === status.name);
  if (own.length === 0) return status;
  const { connections, ...counted } = sumOf(own);
  const { totals } = status;
  return { ...status, totals: { ...totals, ...counted, connections: totals.connections! + connections } };
}

function sumOf(all: readonly ForwardedStatus[]) {
  const sum = { connections: 0, packets: 0, bytes: 0 };
  for (const { connections, packets, bytes } of all) {
    sum.connections += connections;
    sum.packets += packets;
    sum.bytes += bytes;
  }
  return sum;
}

export function serverStatus(server: Server): ServerStatus {
  const { name, address, state, reason, weight, active, totals } = server;
  const since = new Date(server.since).toISOString();
  return { name, address, state, since, reason, weight, active, totals };
}

function connectionsOf(vip: ProxyVip, frontEnd: FrontEnd | undefined, now: number): ConnectionDocument[] {
  return [...(frontEnd?.connections() ?? [])].map((view) => ({
    id: view.id,
    vip: vip.name,
    protocol: vip.protocol,
    client: view.client,
    facts: view.facts,
    pool: view.pool ?? null,
    server: view.server ?? null,
    bytes: view.bytes,
    messages: view.messages,
    age: Math.round(now - view.started),
    reason: view.reason ?? null,
  }));
}
