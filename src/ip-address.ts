/** One spelling for each IP address, so that they compare (RFC 5952). */
import { isIP, SocketAddress } from 'node:net';

/** IPv6 in its one form; anything else, and IPv6 with a zone, as it is. */
export function canonicalAddress(address: string): string {
  const isOurs = isIP(address) === 6 && !address.includes('%');
  return isOurs ? new SocketAddress({ address, family: 'ipv6' }).address : address;
}

/** The same; an IPv4 address that is written as one of IPv6 is that IPv4 address. */
export function plainAddress(address: string): string {
  const canonical = canonicalAddress(address);
  return /^::ffff:([\d.]+)$/.exec(canonical)?.[1] ?? canonical;
}
