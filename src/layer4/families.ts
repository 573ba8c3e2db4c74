/** What differs between IPv4 and IPv6 in rules. */
import { isIP } from 'node:net';
import { canonicalAddress } from '../ip-address.ts';

export interface Family {
  /** How nft calls the protocol, and a table of it. */
  readonly ip: 'ip' | 'ip6';
  /** The type of its addresses. */
  readonly address: string;
  /** Bits of an address. */
  readonly length: number;
  /** How a map declares the key of a flow. */
  readonly flowType: string;
  /** The key of the packet's flow. */
  readonly flow: string;
}

/**
 * nft 1.0.6 has 16 bytes for the key of a map that packets write to (it aborts on more). The two addresses of IPv6 are
 * therefore two hashes of 32 bits; ports are kept as they are. Raw payload is how a map declares plain 32 bits.
 */
const HASHED = [0x47616e74, 0x72792e34]
  .map((seed) => `jhash ip6 saddr . ip6 daddr mod 4294967295 seed ${seed}`)
  .join(' . ');

const V4: Family = {
  ip: 'ip',
  address: 'ipv4_addr',
  length: 32,
  flowType: 'type ipv4_addr . ipv4_addr . inet_service . inet_service : mark',
  flow: 'ip saddr . ip daddr . tcp sport . tcp dport',
};

const V6: Family = {
  ip: 'ip6',
  address: 'ipv6_addr',
  length: 128,
  flowType: 'typeof @nh,0,32 . @nh,0,32 . tcp sport . tcp dport : meta mark',
  flow: `${HASHED} . tcp sport . tcp dport`,
};

/** The family of an IP address; undefined: it is none, or one with a zone. */
export function familyOf(address: string): Family | undefined {
  if (address.includes('%')) return undefined;
  const version = isIP(address);
  return version === 4 ? V4 : version === 6 ? V6 : undefined;
}

/** IPv6 clients that share this many bits are on one subnet. */
const SUBNET_BITS = 64;

/**
 * The client's address as persistence sees it. A netmask up to 32 is one of IPv4, and then IPv6 clients are one source
 * per subnet.
 */
export function sourceOf({ ip, length }: Family, netmask: number | undefined): string {
  const bits = length === 128 && netmask !== undefined && netmask <= 32 ? SUBNET_BITS : netmask;
  return bits === undefined || bits >= length ? `${ip} saddr` : `${ip} saddr & ${maskOf(length, bits)}`;
}

/** `255.255.255.0`, `ffff:ffff::`. */
function maskOf(length: number, bits: number): string {
  const ones = (1n << BigInt(length)) - (1n << BigInt(length - bits));
  if (length === 32) return [24n, 16n, 8n, 0n].map((shift) => String((ones >> shift) & 255n)).join('.');
  const hex = ones.toString(16).padStart(32, '0');
  return canonicalAddress(hex.match(/.{4}/g)!.join(':'));
}
