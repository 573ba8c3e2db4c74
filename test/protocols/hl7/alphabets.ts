/**
 * Texts in character sets in which a part of a character may look like a delimiter. The characters are found by decoding
 * whatever two bytes may be.
 */

/** Character → its bytes, of all that are two bytes in an encoding. */
function charactersOf(encoding: string): Map<string, Buffer> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const found = new Map<string, Buffer>();
  for (let lead = 0x81; lead < 0xff; lead++) {
    for (let byte = 0x40; byte < 0xff; byte++) {
      const bytes = Buffer.of(lead, byte);
      try {
        const text = decoder.decode(bytes);
        if (Array.from(text).length === 1) found.set(text, bytes);
      } catch {
        // Not every pair is a character.
      }
    }
  }
  return found;
}

/** JIS X 0208 as ISO-2022-JP has it: ESC $ B, two bytes, ESC ( B. */
function jisCharacters(): Map<string, Buffer> {
  const decoder = new TextDecoder('iso-2022-jp', { fatal: true });
  const found = new Map<string, Buffer>();
  for (let lead = 0x21; lead <= 0x7e; lead++) {
    for (let byte = 0x21; byte <= 0x7e; byte++) {
      const bytes = Buffer.of(0x1b, 0x24, 0x42, lead, byte, 0x1b, 0x28, 0x42);
      try {
        found.set(decoder.decode(bytes), bytes);
      } catch {
        // Not every pair is a character.
      }
    }
  }
  return found;
}

/** What MSH-18 says → characters and their bytes. */
export const ALPHABETS = {
  'GB 18030-2000': charactersOf('gb18030'),
  GBK: charactersOf('gbk'),
  'BIG-5': charactersOf('big5'),
  SHIFT_JIS: charactersOf('shift_jis'),
  '~ISO IR87': jisCharacters(),
  'ISO IR6~ISO IR87': charactersOf('shift_jis'),
  'KS X 1001': charactersOf('euc-kr'),
} as const;

/** With these a message's delimiters are told apart by no more than their place. */
export const DELIMITERS = ['|^~\\&', '#*+!%', '\\|~^&', '~|\\{}'];
const ESCAPES = 'FSRET';

export interface Alphabet {
  readonly name: string;
  readonly characters: ReadonlyMap<string, Buffer>;
}

/** `text` as a sender writes it: characters as the encoding has them, delimiters as escape sequences. */
export function written(text: string, { characters }: Alphabet, delimiters: string): Buffer {
  const [field, component, repetition, mark, subcomponent] = delimiters;
  const escaped = [field, component, repetition, mark, subcomponent];
  const parts = Array.from(text, (character) => {
    const letter = escaped.indexOf(character);
    if (letter >= 0) return Buffer.from(`${mark}${ESCAPES[letter]}${mark}`);
    return characters.get(character) ?? Buffer.from(character, 'latin1');
  });
  // One run of characters is shifted once.
  const whole = Buffer.concat(parts).toString('latin1').replaceAll('\x1b(B\x1b$B', '');
  return Buffer.from(whole, 'latin1');
}

/** A message whose PID has these fields; what `name` says, its MSH-18 does. */
export function messageOf(fields: readonly Buffer[], name: string, delimiters: string): Buffer {
  const separator = delimiters[0]!;
  const declared = name.replaceAll('~', delimiters[2]!);
  const header = [
    'MSH',
    delimiters.slice(1),
    ...'APP|FAC|RIS|HOSP|2026||ADT|ID-1|P|2.5|||||'.split('|'),
    declared,
  ];
  const segment = fields.flatMap((field) => [Buffer.from(separator), field]);
  return Buffer.concat([Buffer.from(`${header.join(separator)}\rPID`), ...segment, Buffer.from('\rZZZ')]);
}
