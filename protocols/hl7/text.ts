/**
 * Escape sequences in HL7 v2 (HL7 v2.5.1 2.7).
 *
 *     \F\ field  \S\ component  \T\ subcomponent  \R\ repetition  \E\ escape  \P\ truncation (v2.7)   the delimiter itself
 *     \Xdd…\                                                                                          bytes in hexadecimal
 *
 * All others (`\.br\`, `\H\`, `\N\`, `\C…\`, `\M…\`, `\Z…\`) are formatting or of local meaning and stay as they are.
 * The backslash stands for whatever MSH-2 says the escape character is.
 */
import { seek } from './parts.ts';

/** The delimiters of a message as byte values, -1 for one it does not have. */
export interface Delimiters {
  readonly fieldSeparator: number;
  readonly componentSeparator: number;
  readonly repetitionSeparator: number;
  readonly escapeCharacter: number;
  readonly subcomponentSeparator: number;
  readonly truncationCharacter: number;
}

/** The delimiters that the standard recommends: `|^~\&`. */
export const USUAL_DELIMITERS: Delimiters = {
  fieldSeparator: 0x7c,
  componentSeparator: 0x5e,
  repetitionSeparator: 0x7e,
  escapeCharacter: 0x5c,
  subcomponentSeparator: 0x26,
  truncationCharacter: -1,
};

/** Letter of an escape sequence → the delimiter it stands for. */
const ESCAPED = {
  F: 'fieldSeparator',
  S: 'componentSeparator',
  T: 'subcomponentSeparator',
  R: 'repetitionSeparator',
  E: 'escapeCharacter',
  P: 'truncationCharacter',
} as const satisfies Record<string, keyof Delimiters>;

/**
 * `bytes` with their escape sequences resolved: the same buffer when there are none. Never longer than it was. `layout`
 * is where escape characters are looked for: as long, without what only looks like one (`layoutOf`).
 */
export function unescapeBytes(bytes: Buffer, delimiters: Delimiters, layout = bytes): Buffer {
  const mark = delimiters.escapeCharacter;
  let open = seek(layout, mark, 0, bytes.length);
  if (open === bytes.length) return bytes;
  const resolved = Buffer.allocUnsafe(bytes.length);
  let length = bytes.copy(resolved, 0, 0, open);
  while (open < bytes.length) {
    const close = seek(layout, mark, open + 1, bytes.length);
    const meaning =
      close < bytes.length ? meaningOf(bytes.toString('latin1', open + 1, close), delimiters) : undefined;
    if (meaning !== undefined) length += meaning.copy(resolved, length);
    // Without a meaning the escape character stands for itself, and the next one may begin a sequence.
    else length += bytes.copy(resolved, length, open, close);
    const from = meaning === undefined ? close : close + 1;
    open = seek(layout, mark, from, bytes.length);
    if (meaning !== undefined) length += bytes.copy(resolved, length, from, open);
  }
  return resolved.subarray(0, length);
}

function meaningOf(sequence: string, delimiters: Delimiters): Buffer | undefined {
  if (sequence[0] === 'X') {
    const digits = sequence.slice(1);
    const bytes = Buffer.from(digits, 'hex');
    return digits === '' || bytes.length * 2 < digits.length ? undefined : bytes;
  }
  if (!Object.hasOwn(ESCAPED, sequence)) return undefined;
  const delimiter = delimiters[ESCAPED[sequence as keyof typeof ESCAPED]];
  return delimiter < 0 ? undefined : Buffer.from([delimiter]);
}

/** Text with every delimiter in it as an escape sequence, so that it can stand in a field. Where the message has no escape character, delimiters become blanks. */
export function escapeText(text: string, delimiters: Delimiters): string {
  const { escapeCharacter } = delimiters;
  const mark = escapeCharacter < 0 ? undefined : String.fromCharCode(escapeCharacter);
  const letters = new Map<string, string>();
  for (const [letter, delimiter] of Object.entries(ESCAPED)) {
    if (delimiters[delimiter] >= 0) letters.set(String.fromCharCode(delimiters[delimiter]), letter);
  }
  let escaped = '';
  for (const character of text) {
    const letter = letters.get(character);
    if (letter === undefined) escaped += character < ' ' ? ' ' : character;
    else escaped += mark === undefined ? ' ' : mark + letter + mark;
  }
  return escaped;
}
