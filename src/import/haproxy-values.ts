/** Times, sizes and addresses as HAProxy writes them (its manual, 2.5 and 11). */
import { isIP } from 'node:net';
import { Loss } from './losses.ts';

const UNITS: Readonly<Record<string, number>> = {
  us: 0.001,
  '': 1,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds; 0 is no limit. Throws a Loss. */
export function timeOf(written: string | undefined): number {
  const match = /^(\d{1,15})(us|ms|s|m|h|d)?$/.exec(written ?? '');
  if (!match) throw new Loss(`"${written ?? ''}" is not a time: write what was meant, such as 30s`);
  return Number(match[1]) * UNITS[match[2] ?? '']!;
}

/** `200k` is 204800. Throws a Loss. */
export function sizeOf(written: string | undefined): number {
  const match = /^(\d{1,12})([kKmMgG]?)$/.exec(written ?? '');
  if (!match) throw new Loss(`"${written ?? ''}" is not a size`);
  return Number(match[1]) * 1024 ** ' kmg'.indexOf((match[2] || ' ').toLowerCase());
}

export function numberOf(written: string | undefined, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(written ?? '') ? Number(written) : Number.NaN;
  if (!(value >= least && value <= most))
    throw new Loss(`"${written ?? ''}" is not a whole number from ${least} to ${most}`);
  return value;
}

export interface Address {
  /** '' : none, or every one. */
  readonly host: string;
  readonly ports: readonly number[];
}

/** More would be a port range that nobody reads in a list. */
const MOST_PORTS = 1000;
const FAMILIES: Readonly<Record<string, string>> = {
  unix: 'a socket of the file system',
  abns: 'an abstract socket',
  abnsz: 'an abstract socket',
  fd: 'an inherited descriptor',
  sockpair: 'an inherited descriptor',
  rhttp: 'a reversed connection',
  quic4: 'QUIC',
  quic6: 'QUIC',
  udp: 'UDP',
  udp4: 'UDP',
  udp6: 'UDP',
};

/** `10.0.0.1:80`, `*:80`, `:80`, `[::1]:80`, `::1:80`, `ipv4@…`, a range `…:8000-8010`, or no port. Throws a Loss. */
export function addressOf(written: string): Address {
  const [, family = '', rest = written] = /^(\w+)@(.*)$/s.exec(written) ?? [];
  if (written.startsWith('/') || written.startsWith('./'))
    throw new Loss('Gantry listens on and dials TCP only: give that service an address and a port');
  const other = Object.hasOwn(FAMILIES, family) ? FAMILIES[family] : undefined;
  if (other !== undefined)
    throw new Loss(
      `it is ${other}, and Gantry listens on and dials TCP only: give that service an address and a port`,
    );
  if (!['', 'ipv4', 'ipv6', 'tcp', 'tcp4', 'tcp6'].includes(family))
    throw new Loss(`"${family}@" is not known here`);
  if (isIP(rest) === 6) {
    // `::1:80` may be both: HAProxy takes what is behind the last colon for the port.
    const colon = rest.lastIndexOf(':');
    const host = rest.slice(0, colon);
    if (isIP(host) === 6 && /^\d+$/.test(rest.slice(colon + 1)))
      return { host, ports: portsOf(rest.slice(colon + 1)) };
    if (host === ':' || host === '::') return { host: '::', ports: portsOf(rest.slice(colon + 1)) };
    return { host: rest, ports: [] };
  }
  const match = /^(?:\[([^\]]*)\]|([^\s[\]]*?))(?::([^:]*))?$/.exec(rest);
  if (!match) throw new Loss(`"${written}" is not an address`);
  return { host: hostOf(match[1] ?? match[2] ?? '', family), ports: portsOf(match[3]) };
}

function hostOf(host: string, family: string): string {
  if (host === '*' || host === '') return family.endsWith('6') ? '::' : '';
  return host;
}

function portsOf(written: string | undefined): readonly number[] {
  if (written === undefined || written === '' || written === '0') return [];
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(written);
  if (!match) {
    throw new Loss(
      /^[+-]/.test(written)
        ? `"${written}" counts from the client's port: a server has one port of its own, or none for the client's`
        : `"${written}" is not a port`,
    );
  }
  const [from, to] = [Number(match[1]), Number(match[2] ?? match[1])];
  if (from < 1 || to > 65_535 || from > to) throw new Loss(`"${written}" is not a port`);
  if (to - from >= MOST_PORTS)
    throw new Loss(
      `${to - from + 1} ports are more than a list can hold: \`mode: nat\` takes all ports with "*"`,
    );
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** `HOST:PORT` as Gantry writes it. */
export function endpoint(host: string, port: number | undefined): string {
  const written = isIP(host) === 6 && port !== undefined ? `[${host}]` : host;
  return port === undefined ? written : `${written}:${port}`;
}

/** A host that may be dialled: an IP address or a name. */
export function isHost(host: string): boolean {
  if (isIP(host)) return true;
  return (
    /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/.test(
      host,
    ) && !/^[\d.]+$/.test(host)
  );
}

/** An address, or a network `10.0.0.0/8` or `10.0.0.0/255.0.0.0`, with its prefix counted; undefined: neither. */
export function networkOf(written: string): string | undefined {
  const [address = '', mask, ...more] = written.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return undefined;
  if (mask === undefined) return address;
  const prefix =
    isIP(mask) === 4 && family === 4 ? prefixOf(mask) : /^\d{1,3}$/.test(mask) ? Number(mask) : undefined;
  if (prefix === undefined || prefix > (family === 4 ? 32 : 128)) return undefined;
  return `${address}/${prefix}`;
}

/** `255.255.255.0` is 24; undefined: it has holes. */
export function prefixOf(mask: string): number | undefined {
  const bits = mask
    .split('.')
    .map((byte) => Number(byte).toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(bits) && bits.length === 32 ? bits.replace(/0+$/, '').length : undefined;
}

/** What PCRE and POSIX read in another way than JavaScript does, or JavaScript not at all. */
const OTHER_DIALECT = /\[\[:|\\[AEGHKNQRXZhz]|\(\?[>#R&|(]|[*+?}]\+/;

/** Is it a regular expression that means the same in JavaScript? */
export function isExpression(text: string): boolean {
  if (text === '' || OTHER_DIALECT.test(text.replaceAll('\\\\', ''))) return false;
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
