/**
 * Headers of data elements (PS3.5 7.1) and of items and their ends (PS3.5 7.5):
 *
 *     explicit   tag (4)  VR (2)  length (2)                for the VRs of Table 7.1-2
 *                tag (4)  VR (2)  reserved (2)  length (4)  for all others, also those of the future
 *     implicit   tag (4)  length (4)
 *     items      tag (4)  length (4)                        in every encoding
 */

/** Of a value that goes on until its delimitation item. */
export const UNDEFINED_LENGTH = 0xffff_ffff;
export const LONGEST_HEADER = 12;
const SHORTEST_HEADER = 8;
const ITEM_GROUP = 0xfffe;

const SHORT_VRS: ReadonlySet<number> = new Set(
  'AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US'.split(' ').map(vrCode),
);

/** The two letters of a VR as one number, as they stand in the bytes. */
export function vrCode(vr: string): number {
  return vr.charCodeAt(0) * 256 + vr.charCodeAt(1);
}

/** The two letters; empty for 0, which is no VR. */
export function vrName(code: number): string {
  return code === 0 ? '' : String.fromCharCode(code >>> 8, code & 0xff);
}

/** Whether the length of a VR has two bytes only. */
export function isShortVr(code: number): boolean {
  return SHORT_VRS.has(code);
}

/** What `ElementHeader.read` says when it has no length to tell. */
export const TOO_FEW_BYTES = 0;
export const NO_HEADER = -1;

/** The header that was read last. One object serves many headers, so that reading allocates nothing. */
export class ElementHeader {
  /** Group * 65536 + element. */
  tag = 0;
  /** As `vrCode`; 0 where there is none: implicit, items. */
  vr = 0;
  /** Of the value, in bytes, or UNDEFINED_LENGTH. */
  length = 0;

  /**
   * Reads the header that begins at `start`; there are bytes until `end`. Returns how many bytes it has,
   * TOO_FEW_BYTES, or NO_HEADER where two letters should name a VR and do not.
   */
  read(bytes: Uint8Array, start: number, end: number, explicit: boolean, bigEndian: boolean): number {
    if (end - start < SHORTEST_HEADER) return TOO_FEW_BYTES;
    const group = uint16(bytes, start, bigEndian);
    this.tag = group * 65536 + uint16(bytes, start + 2, bigEndian);
    if (!explicit || group === ITEM_GROUP) {
      this.vr = 0;
      this.length = uint32(bytes, start + 4, bigEndian);
      return SHORTEST_HEADER;
    }
    if (!isLetter(bytes[start + 4]!) || !isLetter(bytes[start + 5]!)) return NO_HEADER;
    this.vr = bytes[start + 4]! * 256 + bytes[start + 5]!;
    if (SHORT_VRS.has(this.vr)) {
      this.length = uint16(bytes, start + 6, bigEndian);
      return SHORTEST_HEADER;
    }
    if (end - start < LONGEST_HEADER) return TOO_FEW_BYTES;
    this.length = uint32(bytes, start + 8, bigEndian);
    return LONGEST_HEADER;
  }
}

function uint16(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  return bigEndian ? bytes[at]! * 256 + bytes[at + 1]! : bytes[at + 1]! * 256 + bytes[at]!;
}

function uint32(bytes: Uint8Array, at: number, bigEndian: boolean): number {
  const [first, second] = bigEndian ? [at, at + 2] : [at + 2, at];
  return uint16(bytes, first, bigEndian) * 65536 + uint16(bytes, second, bigEndian);
}

function isLetter(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}
