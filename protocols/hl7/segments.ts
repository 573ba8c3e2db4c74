/** Names of segments, and how a message begins (HL7 v2.5.1 chapter 2, message construction). */

export const CR = 0x0d;
export const LF = 0x0a;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Message header, file header, batch header: what a frame may begin with. */
export const MSH = segmentCode('MSH');
export const FHS = segmentCode('FHS');
export const BHS = segmentCode('BHS');

/** A segment's name as a number, its three bytes, for comparing without making strings. */
export function segmentCode(name: string): number {
  return (name.charCodeAt(0) << 16) | (name.charCodeAt(1) << 8) | name.charCodeAt(2);
}

/** The name at `at` as a number, to compare with `segmentCode`. */
export function codeAt(bytes: Buffer, at: number): number {
  return (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
}

/** MSH, FHS and BHS: their field 1 is the field separator itself. */
export function isHeader(code: number): boolean {
  return code === MSH || code === FHS || code === BHS;
}

/** Where the first segment begins: behind blanks, control characters and a byte order mark, of which `limit` bytes are looked at. */
export function beginning(bytes: Buffer, limit: number): number {
  let at = hasByteOrderMark(bytes, 0) ? 3 : 0;
  while (at < bytes.length && at < limit && bytes[at]! <= 0x20) at++;
  return hasByteOrderMark(bytes, at) ? at + 3 : at;
}

/** Does a UTF-8 byte order mark stand at `at`? */
export function hasByteOrderMark(bytes: Buffer, at: number): boolean {
  return at >= 0 && BYTE_ORDER_MARK.every((byte, i) => bytes[at + i] === byte);
}

/** May `byte` be a delimiter? Anything but letters, digits, blanks, NUL and line ends. */
export function isDelimiter(byte: number): boolean {
  if (byte === CR || byte === LF || byte === 0 || byte === 0x20) return false;
  const lower = byte | 0x20;
  return !(lower >= 0x61 && lower <= 0x7a) && !(byte >= 0x30 && byte <= 0x39);
}
