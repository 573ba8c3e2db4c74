/**
 * Offsets of the parts that delimiters make of a range of bytes: segments into fields, fields into repetitions,
 * components, sub-components (HL7 v2.5.1 2.5). A separator of -1 is one that the message does not have.
 */

/** How many bytes a loop looks through before `indexOf`, with its fixed price, is the faster way. */
export const NEAR = 64;

/** The offset of `byte` between `from` and `to`; `to` when it is not there. */
export function seek(bytes: Buffer, byte: number, from: number, to: number): number {
  if (byte < 0) return to;
  const near = Math.min(from + NEAR, to);
  for (let at = from; at < near; at++) if (bytes[at] === byte) return at;
  if (near >= to) return to;
  const found = bytes.indexOf(byte, near);
  return found < 0 || found > to ? to : found;
}

/** Where part `number` (from 1) of `from` … `to` begins; -1 when there are not so many. It ends at the next separator. */
export function partStart(
  bytes: Buffer,
  separator: number,
  number: number,
  from: number,
  to: number,
): number {
  let start = from;
  for (let part = 1; part < number; part++) {
    const end = seek(bytes, separator, start, to);
    if (end === to) return -1;
    start = end + 1;
  }
  return start;
}

/** The bytes as a string, one character a byte. */
export function latin1(bytes: Buffer, from: number, to: number): string {
  if (to - from > 4) return bytes.toString('latin1', from, to);
  // Shorter than the way to the system's own: the loop makes a string for each character.
  let text = '';
  for (let at = from; at < to; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

/** Are the bytes this string, one character a byte? */
export function isLatin1(bytes: Buffer, from: number, to: number, text: string): boolean {
  if (text.length !== to - from) return false;
  for (let at = from; at < to; at++) if (bytes[at] !== text.charCodeAt(at - from)) return false;
  return true;
}
