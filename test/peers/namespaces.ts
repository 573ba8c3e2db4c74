/**
 * Network namespaces for tests: a switch, a balancer `lb`, clients and servers, with addresses that are the same in every
 * test because nobody else is on these networks. Needs root and the Debian package iproute2.
 *
 *     one-arm   10.50.0.0/24 (fd50::/64)   lb .1 (eth0)   servers .21 .22 …   clients .101 .102 …
 *     two-arm   the same for lb's eth0 and the servers, whose default gateway is lb;
 *               10.60.0.0/24 (fd60::/64)   lb .1 (eth1)   clients .101 .102 …, whose default gateway is lb
 *
 *     namespacesOrSkip('DR', () => {
 *       let site: Site;
 *       beforeAll(async () => { site = await createSite({ vips: ['10.50.0.10'], servers: 2 }); });
 *       afterAll(() => site.close());
 *       test('…', async () => {
 *         await prepareForDirectReturn(site.servers, ['10.50.0.10']);
 *         const gantry = await site.lb.startGantry(file);
 *         const agent = await site.clients[0]!.startAgent();
 *         const { connection, local } = await agent.ask('connect', { host: '10.50.0.10', port: 104 });
 *       });
 *     });
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { describe } from 'vitest';
import { type GantryProcess, startGantry } from './gantry-process.ts';
import { type NamespaceAgent, startNamespaceAgent } from './namespace-agent.ts';
import {
  findProgram,
  type PeerProcess,
  type ProgramOptions,
  type RunResult,
  runProgram,
  startProgram,
} from './processes.ts';

export interface SiteOptions {
  /** two-arm: clients and servers on networks of their own, between which lb routes. Default one-arm. */
  readonly arms?: 1 | 2;
  /** How many; default 1. */
  readonly clients?: number;
  /** How many; default 2. */
  readonly servers?: number;
  /** Addresses, IPv4 or IPv6, that lb has besides its own, on the interface of their network (any other: eth0). */
  readonly vips?: readonly string[];
}

export interface Site {
  readonly lb: Namespace;
  readonly clients: readonly Namespace[];
  readonly servers: readonly Namespace[];
  /** Ends what was started in the namespaces through them, then removes them. */
  close(): Promise<void>;
}

export interface Namespace {
  /** As `ip netns` knows it. */
  readonly name: string;
  /** Its IPv4 address; lb's is the one on the servers' network. */
  readonly address: string;
  readonly address6: string;
  /** Starts a program in the namespace; the process id is the program's own. */
  start(program: string, args: readonly string[], options?: ProgramOptions): PeerProcess;
  /** Runs a program in the namespace to its end. */
  run(program: string, args: readonly string[], options?: ProgramOptions): Promise<RunResult>;
  /** As `run`, but an exit code that isn't 0 is an error with what it said. Resolves with its output. */
  must(program: string, args: readonly string[], options?: ProgramOptions): Promise<string>;
  /** `ip` commands in the namespace, one a line: `address add 10.50.0.30/24 dev eth0`. */
  ip(...commands: readonly string[]): Promise<void>;
  /** Sets kernel parameters: `net.ipv4.ip_forward=1`. */
  sysctl(...settings: readonly string[]): Promise<void>;
  /** `gantry run -c FILE` in the namespace; resolves when it is ready. */
  startGantry(file: string, everyLine?: (text: string) => void): Promise<GantryProcess>;
  /** A process in the namespace that connects, asks and listens as it is told. */
  startAgent(): Promise<NamespaceAgent>;
}

const SERVERS = { v4: '10.50.0', v6: 'fd50:' };
const CLIENTS = { v4: '10.60.0', v6: 'fd60:' };
const FIRST_SERVER = 21;
const FIRST_CLIENT = 101;

/** Why namespaces cannot be made here; null while it was not tried. */
let refusal: string | undefined | null = null;

/** A `describe` in which namespaces may be made; skipped, its hooks too, where they are not permitted, and says why. */
export function namespacesOrSkip(name: string, body: () => void): void {
  refusal ??= refusalOfNamespaces();
  if (refusal === undefined) describe(name, body);
  else describe.skip(`${name} (no network namespaces: ${refusal})`, body);
}

function refusalOfNamespaces(): string | undefined {
  if (findProgram('ip') === undefined) return 'needs the Debian package iproute2';
  if (process.getuid?.() !== 0) return 'needs root';
  removeLeftOvers();
  const name = nameOf(0, 'try');
  const added = ipNow('netns', 'add', name);
  const tried = added ?? ipNow('netns', 'exec', name, 'ip', 'link', 'add', 'br0', 'type', 'bridge');
  ipNow('netns', 'delete', name);
  return tried;
}

/** Runs `ip` and waits; what it said when it failed. */
function ipNow(...args: readonly string[]): string | undefined {
  const { status, stderr } = spawnSync(findProgram('ip')!, args, { encoding: 'utf8' });
  return status === 0 ? undefined : stderr.trim() || 'ip netns failed';
}

const PREFIX = 'gantry-';
const made = new Set<string>();
process.on('exit', () => {
  for (const name of made) ipNow('netns', 'delete', name);
});
let sites = 0;

/** No other process has this one; the next one that begins removes what a killed one left. */
function nameOf(site: number, part: string): string {
  return `${PREFIX}${process.pid}-${site}-${part}`;
}

function removeLeftOvers(): void {
  if (!existsSync('/run/netns')) return;
  for (const name of readdirSync('/run/netns')) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    // Ids come round: of this process's own names those that it did not make.
    const isLeft = pid === String(process.pid) ? !made.has(name) : !existsSync(`/proc/${pid}`);
    if (pid !== undefined && isLeft) ipNow('netns', 'delete', name);
  }
}

export async function createSite(options: SiteOptions = {}): Promise<Site> {
  const { arms = 1, clients = 1, servers = 2, vips = [] } = options;
  removeLeftOvers();
  const number = ++sites;
  const running = new Set<{ stop(): Promise<void> }>();
  const names: string[] = [];
  const add = async (part: string, network: typeof SERVERS, host: number) => {
    const name = nameOf(number, part);
    names.push(name);
    made.add(name);
    await mustIp('netns', 'add', name);
    const namespace = createNamespace(name, `${network.v4}.${host}`, `${network.v6}:${host}`, running);
    await Promise.all([namespace.ip('link set lo up'), namespace.sysctl(...QUIET)]);
    return namespace;
  };
  const close = async () => {
    await Promise.all([...running].map((one) => one.stop()));
    await Promise.all(names.map((name) => mustIp('netns', 'delete', name)));
    for (const name of names) made.delete(name);
  };
  try {
    const clientNetwork = arms === 1 ? SERVERS : CLIENTS;
    const [network, lb, ...others] = await Promise.all([
      add('switch', SERVERS, 254),
      add('lb', SERVERS, 1),
      ...range(servers).map((index) => add(`server${index + 1}`, SERVERS, FIRST_SERVER + index)),
      ...range(clients).map((index) => add(`client${index + 1}`, clientNetwork, FIRST_CLIENT + index)),
    ]);
    const site = { lb, servers: others.slice(0, servers), clients: others.slice(servers), close };
    const bridges = arms === 1 ? ['br0'] : ['br0', 'br1'];
    await network.ip(
      ...bridges.flatMap((bridge) => [`link add ${bridge} type bridge`, `link set ${bridge} up`]),
    );
    // One after another: they all change the one bridge.
    await plug(network, 'br0', lb, 'eth0', SERVERS, 'lb');
    for (const [index, server] of site.servers.entries()) {
      await plug(network, 'br0', server, 'eth0', SERVERS, `server${index + 1}`);
    }
    if (arms === 2) await plug(network, 'br1', lb, 'eth1', CLIENTS, 'lb1');
    for (const [index, client] of site.clients.entries()) {
      await plug(network, bridges.at(-1)!, client, 'eth0', clientNetwork, `client${index + 1}`);
    }
    await lb.sysctl(
      'net.ipv4.ip_forward=1',
      'net.ipv6.conf.all.forwarding=1',
      'net.ipv4.conf.all.send_redirects=0',
      'net.ipv4.conf.eth0.send_redirects=0',
    );
    if (arms === 2) {
      await Promise.all([
        ...site.servers.map((one) => one.ip(...defaultRoutes(SERVERS))),
        ...site.clients.map((one) => one.ip(...defaultRoutes(CLIENTS))),
      ]);
    }
    const isClients = (vip: string) => arms === 2 && (vip.startsWith('10.60.') || vip.startsWith('fd60:'));
    await lb.ip(...vips.map((vip) => addressAdd(vip, isClients(vip) ? 'eth1' : 'eth0')));
    return site;
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Makes servers ready for DR, as the manual tells: they have the VIPs, and say nothing of them by ARP, which is set before
 * the addresses are there. Path MTU is probed because ICMP about it comes to the balancer.
 */
export async function prepareForDirectReturn(
  servers: readonly Namespace[],
  vips: readonly string[],
): Promise<void> {
  await Promise.all(
    servers.map(async (server) => {
      await server.sysctl(
        'net.ipv4.conf.all.arp_ignore=1',
        'net.ipv4.conf.all.arp_announce=2',
        'net.ipv4.tcp_mtu_probing=1',
      );
      await server.ip(...vips.map((vip) => addressAdd(vip, 'lo')));
    }),
  );
}

/** No duplicate address detection: addresses of IPv6 are good at once. */
const QUIET = ['net.ipv6.conf.default.accept_dad=0', 'net.ipv4.conf.all.rp_filter=0'];

function addressAdd(address: string, device: string): string {
  return address.includes(':')
    ? `address add ${address}/128 dev ${device} nodad`
    : `address add ${address}/32 dev ${device}`;
}

function defaultRoutes(network: typeof SERVERS): string[] {
  return [`route add default via ${network.v4}.1`, `route add ::/0 via ${network.v6}:1`];
}

/** A cable from a namespace to a bridge of the switch. Its other end has the name `port` there. */
async function plug(
  network: Namespace,
  bridge: string,
  to: Namespace,
  device: string,
  addresses: typeof SERVERS,
  port: string,
): Promise<void> {
  const host = to.address.split('.').at(-1)!;
  await network.ip(`link add ${port} type veth peer name ${device} netns ${to.name}`);
  await Promise.all([
    network.ip(`link set ${port} master ${bridge} up`),
    to.ip(
      `address add ${addresses.v4}.${host}/24 dev ${device}`,
      `address add ${addresses.v6}:${host}/64 dev ${device} nodad`,
      `link set ${device} up`,
    ),
  ]);
}

function createNamespace(
  name: string,
  address: string,
  address6: string,
  running: Set<{ stop(): Promise<void> }>,
): Namespace {
  const inside = ['netns', 'exec', name];
  const keep = <T extends { stop(): Promise<void> }>(one: T): T => {
    running.add(one);
    return one;
  };
  const must: Namespace['must'] = async (program, args, options) => {
    const { code, output } = await namespace.run(program, args, options);
    if (code !== 0) throw new Error(`${program} ${args.join(' ')} in ${name}: ${code}\n${output}`);
    return output;
  };
  const namespace: Namespace = {
    name,
    address,
    address6,
    must,
    start: (program, args, options) => {
      return keep(startProgram('ip', [...inside, findProgram(program) ?? program, ...args], options));
    },
    run: (program, args, options) => {
      return runProgram('ip', [...inside, findProgram(program) ?? program, ...args], options);
    },
    async ip(...commands) {
      if (commands.length === 0) return;
      const { code, output } = await runProgram('ip', ['-n', name, '-batch', '-'], {
        input: `${commands.join('\n')}\n`,
      });
      if (code !== 0) throw new Error(`ip in ${name}: ${output}\n${commands.join('\n')}`);
    },
    async sysctl(...settings) {
      await must('sysctl', ['-q', '-w', ...settings]);
    },
    async startGantry(file, everyLine) {
      const gantry = await startGantry(file, everyLine, [findProgram('ip')!, ...inside]);
      keep({ stop: () => gantry.kill() });
      return gantry;
    },
    async startAgent() {
      return keep(await startNamespaceAgent(name));
    },
  };
  return namespace;
}

async function mustIp(...args: readonly string[]): Promise<void> {
  const { code, output } = await runProgram('ip', args);
  if (code !== 0) throw new Error(`ip ${args.join(' ')}: ${output}`);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
