/**
 * Character sets (MSH-18, HL7 table 0211), as far as they matter for looking into a message:
 *
 *     ASCII, nothing, or a name nobody knows     UTF-8 when the text is that, else windows-1252
 *     8859/1 … 8859/15                           one byte a character
 *     UNICODE UTF-8, UNICODE                     no byte of a longer character is below 80
 *     KS X 1001                                  second bytes are letters or above 80
 *     GB 18030-2000 (GBK), BIG-5, Shift-JIS      second bytes from 40 on: `@ [ \ ] ^ _ { | } ~` among them
 *     ISO IR87, ISO IR159, JIS X 0202, ISO IR14  ISO 2022: behind ESC $ B every two bytes from 21 to 7E are a character
 *
 * In the last two rows a byte may look like a delimiter and be none. Encodings have the names, and the meanings, of the
 * WHATWG Encoding Standard, whose decoders every Node has. Second bytes: its index of each encoding.
 */
import { isUtf8 } from 'node:buffer';
import { CR, LF } from './segments.ts';

export interface CharacterSet {
  /** The encoding's name in the Encoding Standard; `unknown` when the message does not say, or nothing known. */
  readonly encoding: string;
  /** Is the byte the second one of a character that begins with `lead`? Only where it may look like a delimiter. */
  readonly isPair: ((lead: number, byte: number) => boolean) | undefined;
  /** Parts of the text may be in ISO 2022's escape sequences. */
  readonly shifts: boolean;
}

type Decoder = InstanceType<typeof TextDecoder>;

const UNKNOWN: CharacterSet = { encoding: 'unknown', isPair: undefined, shifts: false };

/** Names of table 0211, and what else is found in their place, as `plain` makes them → the label of the encoding. */
const LABELS: Readonly<Record<string, string>> = {
  UNICODE: 'utf-8',
  UNICODEUTF8: 'utf-8',
  UTF8: 'utf-8',
  ISOIR100: 'iso-8859-1',
  ISOIR192: 'utf-8',
  GB180302000: 'gb18030',
  BIG5: 'big5',
  KSX1001: 'euc-kr',
  ISOIR13: 'iso-2022-jp',
  ISOIR14: 'iso-2022-jp',
  ISOIR87: 'iso-2022-jp',
  ISOIR159: 'iso-2022-jp',
  JAS2020: 'iso-2022-jp',
  JISX0202: 'iso-2022-jp',
  SJIS: 'shift_jis',
  CP932: 'shift_jis',
  MS932: 'shift_jis',
  CP1252: 'windows-1252',
};

const isIn = (byte: number, from: number, to: number): boolean => byte >= from && byte <= to;
const isGb = (lead: number, byte: number): boolean =>
  isIn(lead, 0x81, 0xfe) && isIn(byte, 0x40, 0xfe) && byte !== 0x7f;
const isBig5 = (lead: number, byte: number): boolean =>
  isIn(lead, 0x81, 0xfe) && (isIn(byte, 0x40, 0x7e) || isIn(byte, 0xa1, 0xfe));
const isShiftJis = (lead: number, byte: number): boolean =>
  (isIn(lead, 0x81, 0x9f) || isIn(lead, 0xe0, 0xfc)) && isIn(byte, 0x40, 0xfc) && byte !== 0x7f;

/** Encodings that have bytes which look like delimiters. What is called ISO 2022 is often Shift-JIS in truth. */
const PAIRS: Readonly<Record<string, CharacterSet['isPair']>> = {
  gbk: isGb,
  gb18030: isGb,
  big5: isBig5,
  shift_jis: isShiftJis,
  'iso-2022-jp': isShiftJis,
};

const known = new Map<string, CharacterSet>();
/** There are few names; the caps are for senders that invent them. */
const MAX_KNOWN = 100;
const LONGEST_NAME = 40;
const decoders = new Map<string, Decoder>();

/** The character set of one that MSH-18 declares, or of several the first that is more than ASCII. */
export function characterSetOf(declared: readonly string[]): CharacterSet {
  for (const name of declared) {
    const characterSet = named(name);
    if (characterSet !== UNKNOWN) return characterSet;
  }
  return UNKNOWN;
}

function named(name: string): CharacterSet {
  if (name.length > LONGEST_NAME) return UNKNOWN;
  let characterSet = known.get(name);
  if (!characterSet) {
    characterSet = read(name);
    if (known.size < MAX_KNOWN) known.set(name, characterSet);
  }
  return characterSet;
}

function read(name: string): CharacterSet {
  const plain = name.toUpperCase().replace(/[ _/-]/g, '');
  if (plain === '' || plain === 'ASCII' || plain === 'ISOIR6') return UNKNOWN;
  const part = /^(?:ISO)?8859(\d{1,2})$/.exec(plain)?.[1];
  const encoding = decoderOf(part === undefined ? (LABELS[plain] ?? name) : `iso-8859-${part}`)?.encoding;
  // Text in UTF-16 is full of NUL and of bytes that end frames: no such message comes this far.
  if (encoding === undefined || encoding.startsWith('utf-16')) return UNKNOWN;
  return { encoding, isPair: PAIRS[encoding], shifts: encoding === 'iso-2022-jp' };
}

function decoderOf(label: string): Decoder | undefined {
  const kept = decoders.get(label);
  if (kept) return kept;
  let decoder: Decoder;
  try {
    decoder = new TextDecoder(label, { ignoreBOM: true });
  } catch {
    return undefined;
  }
  if (decoders.size < MAX_KNOWN) decoders.set(label, decoder);
  return decoder;
}

const ESC = 0x1b;
const DOLLAR = 0x24;
const OPENING = 0x28;
const KATAKANA = 0x49;

/**
 * The bytes in which delimiters can be looked for: those of the message, or where a byte may look like a delimiter
 * and be part of a character, a copy as long, in which such characters are NUL.
 */
export function layoutOf(bytes: Buffer, { isPair, shifts }: CharacterSet): Buffer {
  if (!isPair) return bytes;
  let layout: Buffer | undefined;
  let isShifted = false;
  let sequenceEnd = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === CR || byte === LF) {
      // Every line begins in ASCII, whatever the one before forgot.
      isShifted = false;
      sequenceEnd = 0;
    } else if (shifts && byte === ESC) {
      // ESC $ B and the like: two bytes each. ESC ( B: ASCII; ESC ( I: katakana, which may look like anything too.
      const next = bytes[at + 1];
      if (next === DOLLAR) isShifted = true;
      else if (next === OPENING) isShifted = bytes[at + 2] === KATAKANA;
      if (next === DOLLAR || next === OPENING) sequenceEnd = at + 3;
      layout ??= Buffer.from(bytes);
      layout[at] = 0;
    } else if (layout && (isShifted || at < sequenceEnd)) {
      layout[at] = 0;
    } else if (byte > 0x80 && isPair(byte, bytes[at + 1] ?? 0)) {
      layout ??= Buffer.from(bytes);
      layout[at] = 0;
      layout[++at] = 0;
    }
  }
  return layout ?? bytes;
}

/** Text as it is in a message, its escape sequences resolved. What no character is becomes U+FFFD. */
export function decodeText(bytes: Buffer, { encoding, shifts }: CharacterSet): string {
  if (encoding === 'utf-8') return bytes.toString('utf8');
  const label =
    encoding === 'unknown' ? guess(bytes) : shifts && !bytes.includes(ESC) ? 'shift_jis' : encoding;
  return decoderOf(label)!.decode(bytes);
}

function guess(bytes: Buffer): string {
  return isUtf8(bytes) ? 'utf-8' : 'windows-1252';
}
