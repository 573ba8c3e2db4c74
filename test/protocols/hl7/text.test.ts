import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Delimiters, escapeText, USUAL_DELIMITERS, unescapeBytes } from '../../../protocols/hl7/text.ts';

const unescaped = (text: string, delimiters: Delimiters = USUAL_DELIMITERS): string =>
  unescapeBytes(Buffer.from(text, 'latin1'), delimiters).toString('latin1');

test.each([
  ['', ''],
  ['plain', 'plain'],
  ['\\F\\', '|'],
  ['\\F\\\\S\\', '|^'],
  ['a\\T\\b', 'a&b'],
  ['\\E\\F\\E\\', '\\F\\'],
  ['\\X\\', '\\X\\'],
  ['\\X4\\', '\\X4\\'],
  ['\\X4G\\', '\\X4G\\'],
  ['\\X0d0A\\', '\r\n'],
  ['\\H\\bold\\N\\', '\\H\\bold\\N\\'],
  ['\\.br\\', '\\.br\\'],
  ['\\Zabc\\', '\\Zabc\\'],
  ['C:\\FILES\\F\\', 'C:\\FILES|'],
  ['\\', '\\'],
  ['\\F', '\\F'],
  ['\\\\', '\\\\'],
  ['\\P\\', '\\P\\'],
  ['\\constructor\\', '\\constructor\\'],
])('%j means %j', (text, expected) => {
  expect(unescaped(text)).toBe(expected);
});

test('with the delimiters of the message', () => {
  const delimiters = {
    fieldSeparator: 0x23,
    componentSeparator: 0x2a,
    repetitionSeparator: 0x2b,
    escapeCharacter: 0x21,
    subcomponentSeparator: 0x25,
    truncationCharacter: 0x40,
  };
  expect(unescaped('!F!!S!!R!!E!!T!!P!\\F\\', delimiters)).toBe('#*+!%@\\F\\');
});

test('without an escape character nothing is escaped', () => {
  const delimiters = { ...USUAL_DELIMITERS, escapeCharacter: -1 };
  expect(unescaped('\\F\\', delimiters)).toBe('\\F\\');
  expect(escapeText('a|b^c', delimiters)).toBe('a b c');
});

test('bytes without escapes are handed back as they are', () => {
  const bytes = Buffer.from('plain');
  expect(unescapeBytes(bytes, USUAL_DELIMITERS)).toBe(bytes);
});

test('many megabytes of hexadecimal', () => {
  const digits = '41'.repeat(4 * 1024 * 1024);
  expect(unescaped(`\\X${digits}\\`)).toHaveLength(digits.length / 2);
});

test('what was escaped comes back, and holds no delimiter but escapes', () => {
  const text = fc.string({ unit: fc.constantFrom('|', '^', '~', '\\', '&', 'F', 'X', '4', ' ', 'a') });
  fc.assert(
    fc.property(text, (original) => {
      const escaped = escapeText(original, USUAL_DELIMITERS);
      expect(escaped).not.toMatch(/[|^~&]/);
      expect(unescaped(escaped)).toBe(original);
    }),
  );
});
