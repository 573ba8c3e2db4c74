/** How servers are reached, and whether this machine may forward at all. */
import { GantryError } from '../errors.ts';
import type { RunProgram } from './programs.ts';
import type { Service } from './service.ts';

/** What `ip -json route get` says of one address. */
interface Route {
  readonly dev?: string;
  readonly type?: string;
  readonly gateway?: string;
  readonly via?: unknown;
}

/**
 * The interface by which a server gets the frames of DR. Rejects with GTY_LAYER4 when there is none, or when a router
 * stands between: DR changes the frame's address only.
 */
export async function deviceTo(run: RunProgram, address: string, { name }: Service): Promise<string> {
  const { code, output, error, reason } = await run('ip', ['-json', 'route', 'get', address]);
  if (reason === 'ENOENT') throw noIp();
  const said = error
    .trim()
    .split('\n')[0]
    ?.replace(/^RTNETLINK answers: /, '');
  const [route] = code === 0 ? (JSON.parse(output) as Route[]) : [];
  const why = faultOf(route, said);
  if (why !== undefined) throw refusal(`VIP "${name}", mode dr: the server ${address} ${why}`);
  return route!.dev!;
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
