/** Where the balancer listens: does everything there have an address and a port of its own? */
import type { File } from './file-schema.ts';
import type { Findings, Path } from './findings.ts';
import type { Layer4Address } from './schema.ts';

/** Two listeners may not share an address and a port; the wildcard address is every address. */
export function checkListeners(file: File, findings: Findings): void {
  const taken: { address: Layer4Address; owner: string }[] = [];
  const take = (address: Layer4Address, owner: string, path: Path): void => {
    const other = taken.find((listener) => overlap(listener.address, address));
    if (other) {
      const written = other.address.host.includes(':') ? `[${other.address.host}]` : other.address.host;
      findings.fault(
        path,
        `${other.owner} listens on ${written}:${other.address.port} already: a port of its own would be right`,
      );
    }
    taken.push({ address, owner });
  };
  const takeAll = (addresses: readonly Layer4Address[], owner: string, path: Path): void => {
    const single = !findings.has([...path, 0]);
    for (const [index, address] of addresses.entries()) {
      take(address, owner, [...path, ...(single ? [] : [index])]);
    }
  };
  for (const vip of file.vips) {
    takeAll(vip.listen, vip.name, ['vips', vip.name, 'listen']);
    const egress = vip.dicom?.egress?.listen ?? [];
    takeAll(egress, `the egress of ${vip.name}`, ['vips', vip.name, 'dicom', 'egress', 'listen']);
  }
  if (file.admin && findings.has(['vips'])) take(file.admin.listen, 'a VIP', ['admin', 'listen']);
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

/** One spelling for each address, IPv6 in brackets. */
export function canonical(host: string): string {
  return host.includes(':') ? new URL(`tcp://[${host.replace(/%.*$/, '')}]`).hostname : host;
}
