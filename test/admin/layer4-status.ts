/** The status of a balancer with layer 4 VIPs in every mode beside a proxy VIP. Everything is invented. */
import type {
  ForwardedStatus,
  PoolStatus,
  ServerStatus,
  StatusDocument,
  VipStatus,
} from '../../src/admin/documents.ts';

function forwarded(pool: string, server: string, flows: number | null, connections: number): ForwardedStatus {
  return { pool, server, connections, packets: connections * 120, bytes: connections * 150_000, flows };
}

function layer4(
  vip: Pick<VipStatus, 'name' | 'mode' | 'listen' | 'persistence'>,
  servers: readonly ForwardedStatus[],
): VipStatus {
  const sum = (of: (server: ForwardedStatus) => number) =>
    servers.reduce((all, server) => all + of(server), 0);
  const totals = {
    connections: sum(({ connections }) => connections),
    packets: sum(({ packets }) => packets),
    bytes: sum(({ bytes }) => bytes),
  };
  const open = { pool: servers[0]!.pool, connections: sum(({ flows }) => flows ?? 0), totals };
  return { ...vip, protocol: null, ...open, servers };
}

function server(name: string, address: string, more: Partial<ServerStatus> = {}): ServerStatus {
  return {
    name,
    address,
    state: 'up',
    since: '2026-01-01T00:00:00.000Z',
    reason: 'connected in 1 ms',
    weight: 1,
    active: 0,
    totals: { connections: 0, failures: 0 },
    ...more,
  };
}

const eis = { connections: 2140, failures: 0, packets: 256_800, bytes: 321_000_000 };

const pools: readonly PoolStatus[] = [
  {
    name: 'eis',
    balance: 'least-busy',
    health: 'ping',
    mode: 'shared',
    activeServer: null,
    servers: [
      server('eis-a', '10.0.0.21', { active: 41, totals: eis }),
      server('eis-b', '10.0.0.22', { state: 'draining', reason: 'an operator drains it', active: 3 }),
    ],
  },
];

/** An HL7 VIP, with invented work. */
export const ORDERS: VipStatus = {
  name: 'ORDERS',
  protocol: 'hl7',
  mode: 'proxy',
  listen: ['10.0.0.4:2310'],
  pool: 'ris',
  persistence: 'none',
  connections: 12,
  totals: { connections: 40, messages: 81_234 },
};

export const layer4Status: StatusDocument = {
  version: '0.1.0',
  uptime: 93_784,
  vips: [
    ORDERS,
    layer4({ name: 'EIS', mode: 'dr', listen: ['10.0.0.6:*'], persistence: 'source-ip' }, [
      forwarded('eis', 'eis-a', 41, 2140),
      forwarded('eis', 'eis-b', 3, 1988),
    ]),
    layer4({ name: 'WORKLIST', mode: 'nat', listen: ['10.0.0.7:80', '10.0.0.7:443'], persistence: 'none' }, [
      forwarded('web', 'web-a', null, 0),
    ]),
    layer4({ name: 'PORTAL', mode: 'snat', listen: ['[2001:db8::8]:443'], persistence: 'none' }, [
      forwarded('web', 'web-a', 7, 912_344),
      forwarded('web', 'web-b', 0, 0),
    ]),
  ],
  pools,
};
