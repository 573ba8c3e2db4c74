/**
 * The ways from a client to a server that are compared, each with network namespaces, a client, a server and a balancer
 * of its own, so that none has the connections, the ports or the memory of another. In one-arm sites all are on one
 * switch; in two-arm sites the balancer's machine routes between clients and servers.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GantryProcess } from '../../test/peers/gantry-process.ts';
import {
  createSite,
  type Namespace,
  prepareForDirectReturn,
  type Site,
} from '../../test/peers/namespaces.ts';
import { haproxyConfiguration } from '../harness/haproxy.ts';
import { fillFlowMap } from './flow-map.ts';
import { applyNftlb } from './nftlb.ts';

/** What servers have at their ports, and VIPs at the same ones. */
export const PORTS = { stream: 5201, short: 7000, store: 11_112, check: 9000 };

/** In the map of flows of `gantry DR, full map`, besides those of the bench. */
export const FLOWS = 100_000;

const SERVER = '10.50.0.21';
const ONE_ARM_VIP = '10.50.0.10';
const TWO_ARM_VIP = '10.60.0.10';

/** Clients come back by their addresses, as in the vendors' tables. */
const BY_SOURCE = 'persistence: { by: source-ip }';

const WAYS = {
  direct: { host: SERVER },
  /** Through the balancer's machine, and no balancer. */
  routed: { host: SERVER, arms: 2 },
  'gantry DR': { host: ONE_ARM_VIP, gantry: forwarding('dr', ONE_ARM_VIP), isDirect: true },
  'gantry DR, full map': {
    host: ONE_ARM_VIP,
    gantry: forwarding('dr', ONE_ARM_VIP),
    isDirect: true,
    isFilled: true,
  },
  'gantry NAT': { host: TWO_ARM_VIP, gantry: forwarding('nat', TWO_ARM_VIP), arms: 2 },
  'gantry SNAT': { host: ONE_ARM_VIP, gantry: forwarding('snat', ONE_ARM_VIP) },
  'gantry proxy': { host: ONE_ARM_VIP, gantry: proxying(ONE_ARM_VIP) },
  'gantry proxy, two-arm': { host: TWO_ARM_VIP, gantry: proxying(TWO_ARM_VIP), arms: 2 },
  'gantry proxy, source: client': {
    host: TWO_ARM_VIP,
    gantry: proxying(TWO_ARM_VIP, 'source: client, '),
    arms: 2,
  },
  haproxy: { host: ONE_ARM_VIP, haproxy: true },
  'nftlb DR': { host: ONE_ARM_VIP, nftlb: 'dsr', isDirect: true },
  'nftlb NAT': { host: TWO_ARM_VIP, nftlb: 'dnat', arms: 2 },
} as const satisfies Readonly<Record<string, WayPlan>>;

export type WayName = keyof typeof WAYS;

interface WayPlan {
  /** Where clients connect to. */
  readonly host: string;
  /** Default 1. */
  readonly arms?: 1 | 2;
  /** The configuration. */
  readonly gantry?: string;
  readonly haproxy?: true;
  readonly nftlb?: 'dsr' | 'dnat';
  /** Servers answer clients themselves. */
  readonly isDirect?: true;
  /** With `FLOWS` flows of others from the beginning. */
  readonly isFilled?: true;
}

export function armsOf(name: WayName): 1 | 2 {
  const { arms = 1 }: WayPlan = WAYS[name];
  return arms;
}

export interface Way {
  readonly host: string;
  readonly client: Namespace;
  readonly lb: Namespace;
  /** The first takes all the work; the second is there for its health check. */
  readonly servers: readonly Namespace[];
  /** Process id; undefined: nothing is in between. */
  readonly balancer: number | undefined;
  readonly gantry: GantryProcess | undefined;
  /** `end` is called when the way is stopped, before all else. */
  onStop(end: () => void): void;
  stop(): Promise<void>;
}

/** A VIP in the kernel, for all ports of the bench, with a second server that may fail without being missed. */
function forwarding(mode: 'dr' | 'nat' | 'snat', vip: string): string {
  const { check, ...services } = PORTS;
  const listen = Object.values(services).map((port) => `"${vip}:${port}"`);
  return `pools:
  P:
    servers: [{ address: ${SERVER} }, { address: 10.50.0.22, backup: true }]
    health: { check: connect, port: ${check}, interval: 100ms, timeout: 5s, rise: 1, fall: 1 }
vips:
  V: { mode: ${mode}, listen: [${listen.join(', ')}], pool: P, ${BY_SOURCE} }
`;
}

/** TCP VIPs, and one for DICOM. */
function proxying(vip: string, source = ''): string {
  const pool = (port: number) => `{ servers: ["${SERVER}:${port}"], health: { check: none } }`;
  const tcp = (port: number) => `protocol: tcp, listen: ["${vip}:${port}"], ${source}${BY_SOURCE}`;
  return `pools:
  STREAM: ${pool(PORTS.stream)}
  SHORT: ${pool(PORTS.short)}
  STORE: ${pool(PORTS.store)}
vips:
  STREAM: { ${tcp(PORTS.stream)}, pool: STREAM }
  SHORT: { ${tcp(PORTS.short)}, pool: SHORT }
  STORE: { protocol: dicom, listen: ["${vip}:${PORTS.store}"], ${source}pool: STORE }
`;
}

/** Resolves when clients reach the server by it. */
export async function startWay(name: WayName): Promise<Way> {
  const { host, arms = 1, gantry, haproxy, nftlb, isDirect, isFilled }: WayPlan = WAYS[name];
  const folder = await mkdtemp(join(tmpdir(), 'gantry-bench-'));
  const vips = host === SERVER ? [] : [host];
  const site = await createSite({ arms, vips });
  const ends: (() => void)[] = [];
  const stop = async () => {
    for (const end of ends) end();
    await site.close();
    await rm(folder, { recursive: true });
  };
  try {
    await tune(site);
    if (isDirect) await prepareForDirectReturn(site.servers, vips);
    await startServers(site);
    let process: GantryProcess | undefined;
    let balancer: number | undefined;
    const file = join(folder, 'configuration');
    if (gantry) {
      await writeFile(file, `version: 1\n${gantry}`);
      process = await site.lb.startGantry(file);
      balancer = process.pid;
    } else if (haproxy) {
      const pairs = Object.values(PORTS).map((port) => [`${host}:${port}`, `${SERVER}:${port}`] as const);
      await writeFile(file, haproxyConfiguration(pairs));
      balancer = site.lb.start('haproxy', ['-db', '-f', file]).pid;
    } else if (nftlb) {
      const device = arms === 2 ? 'eth1' : 'eth0';
      await applyNftlb(site, { mode: nftlb, host, ports: Object.values(PORTS), device }, file);
    }
    if (isFilled) await fillFlowMap(site.lb, { host, port: PORTS.stream, server: SERVER, count: FLOWS });
    const client = site.clients[0]!;
    const agent = await client.startAgent();
    await agent.ask('listening', { host, ports: [PORTS.stream, PORTS.short, PORTS.store] });
    await agent.stop();
    const onStop = (end: () => void) => void ends.push(end);
    return { host, client, lb: site.lb, servers: site.servers, balancer, gantry: process, onStop, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/**
 * So that ten thousand connections a second may come from one client: ports that closed a second ago are used again, and
 * connection tracking forgets closed connections instead of filling its table.
 */
async function tune({ lb, clients }: Site): Promise<void> {
  const ports = ['net.ipv4.tcp_tw_reuse=1', 'net.ipv4.ip_local_port_range=1024 65535'];
  await Promise.all([lb, ...clients].map((namespace) => namespace.sysctl(...ports)));
  await lb.sysctl('net.netfilter.nf_conntrack_tcp_timeout_time_wait=1');
}

const SHORT_SERVER = new URL('../generators/short-server.ts', import.meta.url).pathname;

async function startServers({ servers }: Site): Promise<void> {
  const server = servers[0]!;
  server.start('iperf3', ['-s', '-p', String(PORTS.stream)]);
  server.start(process.execPath, [SHORT_SERVER, String(PORTS.short), '0.0.0.0']);
  server.start('storescp', ['--ignore', String(PORTS.store)]);
  const agent = await server.startAgent();
  await agent.ask('listenEcho', { name: 'check', ports: [PORTS.check] });
  await agent.ask('listening', { host: SERVER, ports: Object.values(PORTS) });
}
