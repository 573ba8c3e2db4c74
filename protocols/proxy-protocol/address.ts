/** IP addresses between text and their 4 or 16 bytes: what node:net keeps to itself. */

/** `::ffff:0:0/96`, the IPv6 addresses that are IPv4 addresses in other clothes (RFC 4291 2.5.5.2). */
const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** 4 bytes for an IPv4 address, 16 for an IPv6 address (a zone, `%eth0`, is left out), undefined for anything else. */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIPv6(text) : parseIPv4(text);
}

/** Text of 4 or 16 bytes: RFC 5952 for IPv6, and dotted decimal for IPv4 that comes as IPv6. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (MAPPED_PREFIX.every((byte, at) => bytes[at] === byte)) return bytes.subarray(12).join('.');
  const groups = Array.from({ length: 8 }, (_, at) => (bytes[2 * at]! << 8) | bytes[2 * at + 1]!);
  const { start, length } = longestZeros(groups);
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return length < 2 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`;
}

/** The IPv4 address as an IPv6 address. */
export function mapped(address: Uint8Array): Uint8Array {
  return address.length === 4 ? Uint8Array.of(...MAPPED_PREFIX, ...address) : address;
}

/** The first of the longest runs of groups that are 0. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let end = start;
    while (groups[end] === 0) end += 1;
    if (end - start > longest.length) longest = { start, length: end - start };
  }
  return longest;
}

function parseIPv4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  const isValid =
    parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return isValid ? Uint8Array.from(parts, Number) : undefined;
}

function parseIPv6(text: string): Uint8Array | undefined {
  const [head, tail, ...more] = text.replace(/%.*$/s, '').split('::');
  if (head === undefined || more.length > 0) return undefined;
  const before = parseGroups(head, tail === undefined);
  const after = tail === undefined ? [] : parseGroups(tail, true);
  if (!before || !after) return undefined;
  const missing = 16 - before.length - after.length;
  // `::` stands for one group at least.
  if (tail === undefined ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...before, ...Array<number>(missing).fill(0), ...after]);
}

/** The bytes of groups with colons between them; the last may be an IPv4 address when the text ends there. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [at, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >>> 8, value & 0xff);
    } else {
      const address = isLast && at === groups.length - 1 ? parseIPv4(group) : undefined;
      if (!address) return undefined;
      bytes.push(...address);
    }
  }
  return bytes;
}
