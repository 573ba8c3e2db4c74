/** Client addresses: networks they lie in, and what is left of them under a netmask. */
import ipaddr from 'ipaddr.js';

/** The bytes of an address, 4 or 16; an IPv4-mapped IPv6 address has 4. undefined: not an address. */
function bytesOf(text: string): readonly number[] | undefined {
  return ipaddr.isValid(text) ? ipaddr.process(text).toByteArray() : undefined;
}

/** Bytes as words of 32 bits, so that an IPv4 address is one number. */
function wordsOf(bytes: readonly number[]): readonly number[] {
  const words = new Array<number>(bytes.length / 4).fill(0);
  bytes.forEach((byte, index) => {
    words[index >> 2] = (words[index >> 2]! << 8) | byte;
  });
  return words;
}

/** `bytes` with all but the first `bits` bits cleared. */
function masked(bytes: readonly number[], bits: number): readonly number[] {
  return bytes.map((byte, index) => byte & (0xff00 >> Math.min(Math.max(bits - index * 8, 0), 8)));
}

/**
 * A test for addresses that lie in `network`: `10.1.0.0/16`, `fd00::/8`, or one address. Throws when that is neither.
 */
export function compileNetwork(network: string): (address: string) => boolean {
  const [base = '', prefix] = network.split('/');
  const bytes = bytesOf(base);
  if (!bytes) throw new Error(`"${network}" is not a network: 10.1.0.0/16 would be right`);
  const mapped = bytes.length === 4 && base.includes(':') ? 96 : 0;
  const bits = prefix === undefined ? bytes.length * 8 : Number(prefix) - mapped;
  if (!(bits >= 0 && bits <= bytes.length * 8)) throw new Error(`"${network}" has an impossible prefix`);
  const mask = wordsOf(masked(new Array<number>(bytes.length).fill(255), bits));
  const wanted = wordsOf(masked(bytes, bits));
  return (address) => {
    const words = parsed(address);
    if (words?.length !== wanted.length) return false;
    for (let index = 0; index < wanted.length; index++) {
      if ((words[index]! & mask[index]!) !== wanted[index]) return false;
    }
    return true;
  };
}

let lastText = '';
let lastWords: readonly number[] | undefined;

/** The words of an address. The last one is remembered, since many rules look at one client. */
function parsed(address: string): readonly number[] | undefined {
  if (address !== lastText) {
    const bytes = bytesOf(address);
    lastWords = bytes && wordsOf(bytes);
    lastText = address;
  }
  return lastWords;
}

/** IPv6 clients that share this many bits are on one subnet. */
const SUBNET_BITS = 64;

/**
 * The network that a client counts as, as text. `netmask`: leading bits that make one source; up to 32 they are those
 * of IPv4, and IPv6 clients are one source per subnet (/64). undefined: every address is a source of its own.
 */
export function sourceOf(address: string, netmask: number | undefined): string {
  if (netmask === undefined && !address.includes(':')) return address;
  const bytes = bytesOf(address);
  if (!bytes) return address;
  const length = bytes.length * 8;
  const bits = netmask === undefined || (length === 32 && netmask > 32) ? length : netmask;
  const kept = masked(bytes, length === 128 && bits <= 32 ? SUBNET_BITS : bits);
  return ipaddr.fromByteArray([...kept]).toString();
}
