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
  if (reason === 'ENOENT')
    throw refusal('ip is not installed, or not on the PATH: install the package iproute2');
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

/** Rejects when one of the interfaces is not there. */
export async function requireInterfaces(run: RunProgram, { name, interfaces }: Service): Promise<void> {
  if (interfaces.length === 0) return;
  const { code, output, reason } = await run('ip', ['-json', 'link']);
  if (code !== 0) {
    throw refusal(
      reason === 'ENOENT'
        ? 'ip is not installed, or not on the PATH: install the package iproute2'
        : 'the interfaces could not be listed by "ip link"',
    );
  }
  const there = (JSON.parse(output) as { ifname: string }[]).map(({ ifname }) => ifname);
  const missing = interfaces.find((one) => !there.includes(one));
  if (missing === undefined) return;
  throw refusal(`VIP "${name}": the interface "${missing}" is not there: there are ${there.join(', ')}`);
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

function refusal(message: string): GantryError {
  return new GantryError('GTY_LAYER4', message);
}
