/** IP addresses of a command line: each of one machine, each once, in its usual spelling. */
import { isIP } from 'node:net';
import { plainAddress } from '../ip-address.ts';
import { usageFailure } from './failure.ts';

/** Reads the values of `option`. Throws a Failure with a sentence. */
export function parseAddresses(option: string, written: readonly string[]): string[] {
  const addresses: string[] = [];
  for (const one of written) {
    if (isIP(one) === 0 || one.includes('%'))
      throw usageFailure(`${option} "${one}" is not an IP address: 10.0.0.11 or fd00::11 would be right`);
    const address = plainAddress(one);
    if (isMany(address)) throw usageFailure(`${option} "${one}" is not the address of one machine`);
    if (addresses.includes(address)) throw usageFailure(`${option} ${one} is given twice`);
    addresses.push(address);
  }
  return addresses;
}

/** Every address of a machine, or of many machines (RFC 1122 3.2.1.3, RFC 4291 2.5.2 and 2.7). */
function isMany(address: string): boolean {
  if (address.includes(':')) return address === '::' || address.startsWith('ff');
  const first = Number(address.split('.')[0]);
  return first === 0 || first >= 224;
}
