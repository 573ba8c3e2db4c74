/** How a transfer syntax encodes data sets (PS3.5 Annex A), whatever it does to the pixels in them. */

export interface Encoding {
  /** Elements carry their value representation. */
  readonly explicit: boolean;
  readonly bigEndian: boolean;
  /** The whole data set is one raw deflate stream (RFC 1951). */
  readonly deflated: boolean;
}

export const IMPLICIT_LITTLE_ENDIAN: Encoding = { explicit: false, bigEndian: false, deflated: false };
const EXPLICIT_LITTLE_ENDIAN: Encoding = { explicit: true, bigEndian: false, deflated: false };
const EXPLICIT_BIG_ENDIAN: Encoding = { explicit: true, bigEndian: true, deflated: false };
const DEFLATED: Encoding = { explicit: true, bigEndian: false, deflated: true };

const OTHERS: ReadonlyMap<string, Encoding> = new Map([
  ['1.2.840.10008.1.2', IMPLICIT_LITTLE_ENDIAN],
  ['1.2.840.10008.1.20', IMPLICIT_LITTLE_ENDIAN],
  // Private to GE: implicit little endian but for its pixels, which are big endian.
  ['1.2.840.113619.5.2', IMPLICIT_LITTLE_ENDIAN],
  ['1.2.840.10008.1.2.2', EXPLICIT_BIG_ENDIAN],
  ['1.2.840.10008.1.2.1.99', DEFLATED],
  // JPIP Referenced Deflate, JPIP HTJ2K Referenced Deflate (PS3.5 A.7, A.12).
  ['1.2.840.10008.1.2.4.95', DEFLATED],
  ['1.2.840.10008.1.2.4.205', DEFLATED],
]);

/** The encoding of a transfer syntax (UID). All the rest, every encapsulated one included, is explicit little endian. */
export function encodingOf(transferSyntax: string): Encoding {
  return OTHERS.get(transferSyntax) ?? EXPLICIT_LITTLE_ENDIAN;
}
