/** Client addresses: networks they lie in, and what is left of them under a netmask. */
import ipaddr from 'ipaddr.js';

/** The bytes of an address, 4 or 16; an IPv4-mapped IPv6 address has 4. undefined: not an address. */
function bytesOf(text: string): readonly number[] | undefined {
  return ipaddr.isValid(text) ? ipaddr.process(text).toByteArray() : undefined;
}

function haveSamePrefix(one: readonly number[], other: readonly number[], bits: number): boolean {
  const whole = bits >> 3;
  for (let index = 0; index < whole; index++) if (one[index] !== other[index]) return false;
  const rest = bits & 7;
  return rest === 0 || (one[whole]! ^ other[whole]!) >> (8 - rest) === 0;
}

/**
 * A test for addresses that lie in `network`: `10.1.0.0/16`, `fd00::/8`, or one address. Throws when that is neither.
 * The last address is remembered, since many rules look at one client.
 */
export function compileNetwork(network: string): (address: string) => boolean {
  const [base = '', prefix] = network.split('/');
  const bytes = bytesOf(base);
  if (!bytes) throw new Error(`"${network}" is not a network: 10.1.0.0/16 would be right`);
  const mapped = bytes.length === 4 && base.includes(':') ? 96 : 0;
  const bits = prefix === undefined ? bytes.length * 8 : Number(prefix) - mapped;
  if (!(bits >= 0 && bits <= bytes.length * 8)) throw new Error(`"${network}" has an impossible prefix`);
  return (address) => {
    const wanted = parsed(address);
    return wanted?.length === bytes.length && haveSamePrefix(wanted, bytes, bits);
  };
}

let lastText = '';
let lastBytes: readonly number[] | undefined;

function parsed(address: string): readonly number[] | undefined {
  if (address !== lastText) {
    lastBytes = bytesOf(address);
    lastText = address;
  }
  return lastBytes;
}

/** IPv6 clients that share this many bits are on one subnet. */
const SUBNET_BITS = 64;

/**
 * The network that a client counts as, as text. `netmask`: leading bits that make one source; up to 32 they are those
 * of IPv4, and IPv6 clients are one source per subnet (/64). undefined: every address is a source of its own.
 */
export function sourceOf(address: string, netmask: number | undefined): string {
  if (netmask === undefined && !address.includes(':')) return address;
  const bytes = parsed(address);
  if (!bytes) return address;
  const length = bytes.length * 8;
  const bits = netmask === undefined || (length === 32 && netmask > 32) ? length : netmask;
  return masked(bytes, length === 128 && bits <= 32 ? SUBNET_BITS : bits);
}

function masked(bytes: readonly number[], bits: number): string {
  const kept = bytes.map((byte, index) => byte & (0xff00 >> Math.min(Math.max(bits - index * 8, 0), 8)));
  return ipaddr.fromByteArray(kept).toString();
}
