/** Where the balancer listens: does everything there have an address and a port of its own? */
import { describeEndpoint } from '../endpoint.ts';
import type { File } from './file-schema.ts';
import { type FileVip, type Findings, type Path, reaches } from './findings.ts';
import { canonical, isLoopback, isWildcard } from './ip-address.ts';
import type { Layer4Address } from './schema.ts';

interface Listener {
  readonly address: Layer4Address;
  readonly owner: string;
  /** Its packets never come to a socket. */
  readonly isLayer4: boolean;
}

/** Two listeners may not share an address and a port; the wildcard address is every address. */
export function checkListeners(file: File, findings: Findings): void {
  const taken: Listener[] = [];
  const take = (listener: Listener, path: Path): void => {
    const others = taken.filter(({ address }) => overlap(address, listener.address));
    const other = others.find((one) => !isBehind(one, listener) && !isBehind(listener, one));
    if (other) {
      const isAll = other.address.port === '*' || listener.address.port === '*';
      findings.fault(
        path,
        `${other.owner} listens on ${describeEndpoint(other.address)} already: ${isAll ? 'an address' : 'a port'} of its own would be right`,
      );
    } else if (others[0]) {
      const [front, back] = listener.isLayer4 ? [listener, others[0]] : [others[0], listener];
      findings.warn(
        path,
        `${back.owner} listens on ${describeEndpoint(back.address)}, but what comes to ${describeEndpoint(front.address)} goes to ${front.owner} before a socket sees it`,
      );
    }
    taken.push(listener);
  };
  for (const vip of file.vips) {
    const isLayer4 = vip.mode !== 'proxy';
    for (const [address, path] of findings.items(['vips', vip.name, 'listen'], vip.listen)) {
      if (!isLayer4 && address.port === '*') refuseAll(vip, address, path, findings);
      // At layer 4, the wildcard address is a fault of its own.
      else if (!isLayer4 || !isWildcard(address.host)) take({ address, owner: vip.name, isLayer4 }, path);
    }
    const egress = ['vips', vip.name, 'dicom', 'egress', 'listen'];
    for (const [address, path] of findings.items(egress, vip.dicom?.egress?.listen ?? [])) {
      take({ address, owner: `the egress of ${vip.name}`, isLayer4: false }, path);
    }
    if (!isLayer4) checkCircle(vip, file, findings);
  }
  if (file.admin && findings.has(['vips'])) {
    take({ address: file.admin.listen, owner: 'admin', isLayer4: false }, ['admin', 'listen']);
  }
}

function refuseAll({ name }: FileVip, { host }: Layer4Address, path: Path, findings: Findings): void {
  if (findings.faulty(['vips', name, 'mode'])) return;
  const right = `"${describeEndpoint({ host, port: 104 })}" would be right`;
  findings.fault(path, `all ports are for mode dr, nat or snat; this is proxy: ${right}`);
}

/** Does a socket on the wildcard address have what the kernel leaves of it? */
function isBehind(socket: Listener, front: Listener): boolean {
  return !socket.isLayer4 && front.isLayer4 && isWildcard(socket.address.host);
}

/** A proxy that is its own server. */
function checkCircle(vip: FileVip, file: File, findings: Findings): void {
  for (const pool of file.pools.filter((one) => reaches(vip, one))) {
    for (const [index, server] of pool.servers.entries()) {
      const isOwn = vip.listen.some(
        ({ host, port }) =>
          port !== 0 && port === (server.port ?? port) && isSameMachine(host, canonical(server.host)),
      );
      if (!isOwn) continue;
      const message = `is VIP ${vip.name} itself: its connections would go round in a circle`;
      findings.fault(serverPath(pool.name, index, findings), message);
    }
  }
}

function isSameMachine(listening: string, server: string): boolean {
  return canonical(listening) === server || (isWildcard(listening) && isLoopback(server));
}

/** Where the address of a server is written. */
export function serverPath(pool: string, index: number, findings: Findings): Path {
  const at = ['pools', pool, 'servers', index];
  return findings.has([...at, 'address']) ? [...at, 'address'] : at;
}

/** Would both be bound to the same port? */
export function overlap(a: Layer4Address, b: Layer4Address): boolean {
  const isEvery = a.port === '*' || b.port === '*';
  if (!isEvery && (a.port !== b.port || a.port === 0)) return false;
  const [hostA, hostB] = [canonical(a.host), canonical(b.host)];
  if (hostA === hostB || hostA === '[::]' || hostB === '[::]') return true;
  const v4 = (host: string): boolean => !host.startsWith('[');
  return v4(hostA) && v4(hostB) && (hostA === '0.0.0.0' || hostB === '0.0.0.0');
}
