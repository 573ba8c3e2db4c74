/** What the value of a data element says (PS3.5 6.2), as facts want it. */
import type { FactValue } from '../facts.ts';
import type { Encoding } from './encoding.ts';
import { trimmedText } from './items.ts';

/** Integers: bytes each, and how one is read. */
const NUMBERS: Readonly<Record<string, { size: number; little: NumberReader; big: NumberReader }>> = {
  US: { size: 2, little: (bytes, at) => bytes.readUInt16LE(at), big: (bytes, at) => bytes.readUInt16BE(at) },
  SS: { size: 2, little: (bytes, at) => bytes.readInt16LE(at), big: (bytes, at) => bytes.readInt16BE(at) },
  UL: { size: 4, little: (bytes, at) => bytes.readUInt32LE(at), big: (bytes, at) => bytes.readUInt32BE(at) },
  SL: { size: 4, little: (bytes, at) => bytes.readInt32LE(at), big: (bytes, at) => bytes.readInt32BE(at) },
};
type NumberReader = (bytes: Buffer, at: number) => number;

/** Neither text nor integers: no rule can name what is in them. */
const OPAQUE = new Set(['AT', 'FD', 'FL', 'OB', 'OD', 'OF', 'OL', 'OV', 'OW', 'SQ', 'SV', 'UV']);
/** One value, in which a backslash is a character. */
const SINGLE = new Set(['LT', 'ST', 'UR', 'UT']);
/** VRs whose characters Specific Character Set (0008,0005) chooses. */
const IN_CHARACTER_SET = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

/**
 * The value as text: without padding, several values where there are several, integers in decimal digits; undefined
 * when there is none or it is none. `vr`: two letters, empty where it is not known. `utf8`: the data set's character set is ISO_IR 192.
 */
export function valueText(
  bytes: Buffer,
  vr: string,
  { bigEndian }: Pick<Encoding, 'bigEndian'>,
  utf8 = false,
): FactValue {
  if (OPAQUE.has(vr)) return undefined;
  const number = Object.hasOwn(NUMBERS, vr) ? NUMBERS[vr]! : undefined;
  if (number) {
    const read = bigEndian ? number.big : number.little;
    const count = Math.floor(bytes.length / number.size);
    return oneOrSeveral(
      Array.from({ length: count }, (_, index) => String(read(bytes, index * number.size))),
    );
  }
  const text =
    utf8 && IN_CHARACTER_SET.has(vr) ? trimmed(bytes.toString('utf8')) : trimmedText(bytes, 0, bytes.length);
  if (isUnknown(vr) && hasControls(text)) return undefined;
  if (SINGLE.has(vr) || !text.includes('\\')) return text || undefined;
  return oneOrSeveral(text.split('\\').map(trimmed).filter(Boolean));
}

/** Nothing tells whether it is text. */
function isUnknown(vr: string): boolean {
  return vr === '' || vr === 'UN';
}

/** Characters that no text has (PS3.5 6.1.3): all controls but TAB, LF, FF, CR and ESC. */
function hasControls(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 && !(code === 9 || code === 10 || code === 12 || code === 13 || code === 27)) return true;
  }
  return false;
}

function oneOrSeveral(values: readonly string[]): FactValue {
  return values.length > 1 ? values : values[0];
}

/** Without leading and trailing spaces and NULs. */
function trimmed(text: string): string {
  return text.replaceAll(/^[ \0]+|[ \0]+$/g, '');
}
