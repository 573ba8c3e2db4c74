/** How servers are reached, and whether this machine may forward at all. */
import { GantryError } from '../errors.ts';
import { canonicalAddress } from '../ip-address.ts';
import type { RunProgram } from './programs.ts';
import type { Service } from './service.ts';

/** What `ip -json route get` says of one address. */
interface Route {
  readonly dev?: string;
  readonly type?: string;
  readonly gateway?: string;
  readonly via?: unknown;
  /** The address that this machine speaks from. */
  readonly prefsrc?: string;
}

/**
 * The interface by which a server gets the frames of DR. Rejects with GTY_LAYER4 when there is none, or when a router
 * stands between: DR changes the frame's address only.
 */
export async function deviceTo(run: RunProgram, address: string, { name }: Service): Promise<string> {
  const { route, said } = await routeTo(run, address);
  const why = faultOf(route, said);
  if (why !== undefined) throw refusal(`VIP "${name}", mode dr: the server ${address} ${why}`);
  return route!.dev!;
}

async function routeTo(
  run: RunProgram,
  address: string,
): Promise<{ route?: Route | undefined; said: string }> {
  const { code, output, error, reason } = await run('ip', ['-json', 'route', 'get', address]);
  if (reason === 'ENOENT') throw noIp();
  const [said = ''] = error.trim().split('\n');
  const [route] = code === 0 ? (JSON.parse(output) as Route[]) : [];
  return { route, said: said.replace(/^RTNETLINK answers: /, '') };
}

/**
 * Rejects when a service has all ports of the address that this machine itself speaks from to a server: it would forward
 * the answers to its own checks, and whoever administers it by that address would be locked out.
 */
export async function requireOwnAddress(run: RunProgram, { name, listen, servers }: Service): Promise<void> {
  const taken = listen.flatMap(({ host, port }) => (port === '*' ? host : []));
  if (taken.length === 0) return;
  for (const { address } of servers) {
    const { route } = await routeTo(run, address);
    if (route?.prefsrc === undefined || !taken.includes(canonicalAddress(route.prefsrc))) continue;
    throw refusal(
      `VIP "${name}": it has all ports of ${route.prefsrc}, which this machine speaks from to ${address}: give it an address of its own`,
    );
  }
}

function faultOf(route: Route | undefined, said: string | undefined): string | undefined {
  if (route?.dev === undefined) return `cannot be reached (${said || 'no route'}): is its network up?`;
  if (route.type !== undefined && route.type !== 'unicast') {
    return route.type === 'local'
      ? 'is this machine itself: name another one'
      : `has a route of type ${route.type}`;
  }
  if (route.gateway === undefined && route.via === undefined) return undefined;
  return 'is behind a router: DR reaches servers on the same network only; take mode nat or snat';
}

/** The interfaces that there are, with the kernel's numbers for them. Rejects with GTY_LAYER4. */
export async function interfacesOf(run: RunProgram): Promise<ReadonlyMap<string, number>> {
  const { code, output, reason } = await run('ip', ['-json', 'link']);
  if (reason === 'ENOENT') throw noIp();
  if (code !== 0) throw refusal('the interfaces could not be listed by "ip link"');
  const links = JSON.parse(output) as { ifname: string; ifindex: number }[];
  return new Map(links.map(({ ifname, ifindex }) => [ifname, ifindex]));
}

/** Throws GTY_LAYER4 when one that the service names is not there. */
export function requireInterfaces({ name, interfaces }: Service, there: ReadonlyMap<string, number>): void {
  const missing = interfaces.find((one) => !there.has(one));
  if (missing === undefined) return;
  const others = [...there.keys()].join(', ');
  throw refusal(`VIP "${name}": the interface "${missing}" is not there: there are ${others}`);
}

const FORWARDING = { ip: 'net.ipv4.ip_forward', ip6: 'net.ipv6.conf.all.forwarding' } as const;

/** Rejects when the kernel does not forward packets of the family, which NAT and SNAT need. */
export async function requireForwarding(
  run: RunProgram,
  ip: 'ip' | 'ip6',
  { name, mode }: Service,
): Promise<void> {
  const key = FORWARDING[ip];
  const { output } = await run('cat', [`/proc/sys/${key.replaceAll('.', '/')}`]);
  if (output.trim() !== '0') return;
  throw refusal(`VIP "${name}", mode ${mode}: this machine does not forward packets: set ${key}=1 (sysctl)`);
}

function noIp(): GantryError {
  return refusal('ip is not installed, or not on the PATH: install the package iproute2');
}

function refusal(message: string): GantryError {
  return new GantryError('GTY_LAYER4', message);
}
