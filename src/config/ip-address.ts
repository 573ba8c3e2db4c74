/** What an IP address that stands in a configuration is good for. */
import { isIP } from 'node:net';

/** One spelling for each address, IPv6 in brackets. */
export function canonical(host: string): string {
  return host.includes(':') ? new URL(`tcp://[${host.replace(/%.*$/, '')}]`).hostname : host;
}

/** Every address of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || canonical(host) === '[::]';
}

export function isLoopback(host: string): boolean {
  return /^127\.\d/.test(host) || canonical(host) === '[::1]';
}

/** `host` is an IP address. */
export function familyOf(host: string): 'IPv4' | 'IPv6' {
  return isIP(host) === 4 || canonical(host).startsWith('[::ffff:') ? 'IPv4' : 'IPv6';
}

/** What is wrong with `host`, an IP address, as one that packets go to or come from; undefined: nothing. */
export function packetAddressFault(host: string): string | undefined {
  if (isWildcard(host)) return `${host} is every address of this machine: one of them would be right`;
  if (host.includes('%')) return `${host} is good on one link only: an address without "%" would be right`;
  const inner = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)?.[1];
  return inner && `${host} is an IPv4 address in the form of IPv6: ${inner} would be right`;
}
