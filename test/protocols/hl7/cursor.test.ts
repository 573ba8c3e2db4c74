import { describe, expect, test } from 'vitest';
import { Message, type MessageProblem, openMessage } from '../../../protocols/hl7/cursor.ts';
import { fixture, fixtureNames } from './fixture.ts';
import { oneByOne } from './reference-decoder.ts';

const open = (text: string): Message => openMessage(Buffer.from(text, 'latin1'));
const read = (message: Message, path: string): string | undefined => message.field(path)?.toString('latin1');

const HEADER = 'MSH|^~\\&|APP^1.2^ISO|FAC|RIS|HOSP|2026||ADT^A01|ID-1|P|2.5.1\r';

describe('the header', () => {
  const message = openMessage(fixture('adt-a01'));

  test('fields and components of MSH, as they stand', () => {
    expect(message.problem).toBeUndefined();
    expect(message.header(1)).toBe('|');
    expect(message.header(2)).toBe('^~\\&');
    expect(message.header(3)).toBe('INVENTEDAPP');
    expect(message.header(9)).toBe('ADT^A01^ADT_A01');
    expect(message.header(9, 2)).toBe('A01');
    expect(message.header(9, 4)).toBe('');
    expect(message.header(10)).toBe('A01-0001');
    expect(message.headerBytes(10)).toEqual(Buffer.from('A01-0001'));
    expect(message.header(12)).toBe('2.5.1');
  });

  test('fields that are not there have no value', () => {
    expect(message.header(8)).toBe('');
    expect(message.header(13)).toBe('');
    expect(message.header(31)).toBe('');
    expect(message.header(1000)).toBe('');
    expect(message.headerBytes(13)).toHaveLength(0);
  });

  test('a header of more fields than any version has', () => {
    const message = open(
      `MSH|^~\\&|${Array.from({ length: 100 }, (_, i) => `f${i + 3}`).join('|')}\rPID|1||X`,
    );
    expect(message.header(3)).toBe('f3');
    expect(message.header(32)).toBe('f32');
    expect(message.header(33)).toBe('');
    expect(read(message, 'MSH-33')).toBe('f33');
    expect(read(message, 'MSH-102')).toBe('f102');
  });

  test('a message can be opened again on other bytes', () => {
    const again = new Message().open(fixture('odd-delimiters'));
    expect(again.header(10)).toBe('ODD-0001');
    again.open(fixture('no-msh'));
    expect([again.problem, again.header(10), again.field('PID-3')]).toEqual([
      'no MSH segment',
      '',
      undefined,
    ]);
    again.open(fixture('utf-8'));
    expect([again.characterSet.encoding, again.text('PID-3.4')]).toEqual(['utf-8', 'KÖLN']);
    again.open(fixture('latin-1'));
    expect([again.characterSet.encoding, again.text('PID-3.4')]).toEqual(['windows-1252', 'KÖLN']);
  });
});

describe('fields', () => {
  const message = open(`${HEADER}PID|1||77^^^HOSP&1.2.3&ISO^MR~88^^^SSA^SS||""||\rOBX|1|TX\rOBX|2|NM|a^b\r`);

  test.each([
    ['PID-1', '1'],
    ['PID-2', undefined],
    ['PID-3', '77^^^HOSP&1.2.3&ISO^MR'],
    ['PID-3.1', '77'],
    ['PID-3.2', undefined],
    ['PID-3.4', 'HOSP&1.2.3&ISO'],
    ['PID-3.4.2', '1.2.3'],
    ['PID-3.4.4', undefined],
    ['PID-3.1.1', '77'],
    ['PID-3.1.2', undefined],
    ['PID-3[2]', '88^^^SSA^SS'],
    ['PID-3[2].5', 'SS'],
    ['PID-3[3].1', undefined],
    ['PID-7', undefined],
    ['PID-99', undefined],
    ['OBX-1', '1'],
    ['OBX-3', undefined],
    ['ZZZ-1', undefined],
    ['MSH-1', '|'],
    ['MSH-1.1', '|'],
    ['MSH-1.2', undefined],
    ['MSH-2', '^~\\&'],
    ['MSH-2.1', '^~\\&'],
    ['MSH-2[2]', undefined],
    ['MSH-3.2', '1.2'],
    ['MSH-12', '2.5.1'],
    ['MSH-13', undefined],
  ])('%s', (path, expected) => {
    expect(read(message, path)).toBe(expected);
  });

  test('empty and "" (to be deleted) are different', () => {
    const message = openMessage(fixture('to-be-deleted'));
    expect(read(message, 'PID-5')).toBe('""');
    expect(message.text('PID-7')).toBe('""');
    expect(message.field('PID-6')).toBeUndefined();
  });

  test('every value, over segments and repetitions', () => {
    expect(message.texts('PID-3.1')).toEqual(['77', '88']);
    expect(message.texts('PID-3[2].1')).toEqual(['88']);
    expect(message.texts('OBX-1')).toEqual(['1', '2']);
    expect(message.texts('OBX-3.2')).toEqual(['b']);
    expect(message.texts('OBX-1', 1)).toEqual(['1']);
    expect(message.texts('PID-2')).toEqual([]);
    expect(message.texts('MSH-2')).toEqual(['^~\\&']);
  });

  test('a field is a view of the message', () => {
    expect(message.field('PID-3.1')?.buffer).toBe(message.bytes.buffer);
  });

  test('a malformed path is the programmer’s mistake', () => {
    expect(() => message.field('PID.3')).toThrow('not a field path');
  });
});

describe('delimiters', () => {
  test('odd delimiters', () => {
    const message = openMessage(fixture('odd-delimiters'));
    expect(message.problem).toBeUndefined();
    expect(message.header(1)).toBe('#');
    expect(message.header(2)).toBe('*+!%');
    expect(message.header(9, 2)).toBe('A01');
    expect(read(message, 'PID-3.4.2')).toBe('1.2.3');
    expect(read(message, 'PID-3[2].1')).toBe('INV|0009');
    expect(message.text('PID-5.2')).toBe('PER#SON');
  });

  test('three, four and five encoding characters', () => {
    const three = openMessage(fixture('three-encoding-characters'));
    expect(three.problem).toBeUndefined();
    expect(read(three, 'PID-3.4')).toBe('HOSP&1.2.3&ISO');
    expect(read(three, 'PID-3.4.1')).toBe('HOSP&1.2.3&ISO');
    expect(read(three, 'PID-3.4.2')).toBeUndefined();
    expect(openMessage(fixture('adt-a01')).truncationCharacter).toBe(-1);
    const five = openMessage(fixture('five-encoding-characters'));
    expect(five.header(2)).toBe('^~\\&#');
    expect(five.text('PID-5.2')).toBe('PER#SON');
  });

  test('one encoding character: components and nothing else', () => {
    const message = open('MSH|^|A^B~C|\rPID|1||7~8^\\F\\&');
    expect(message.header(3, 2)).toBe('B~C');
    expect(message.text('PID-3.1')).toBe('7~8');
    expect(message.text('PID-3.2')).toBe('\\F\\&');
  });

  test('an encoding character written twice does no harm', () => {
    const message = open('MSH|^~\\\\&|APP|FAC|||||ADT^A01|ID\r');
    expect([message.problem, message.header(9, 2), message.header(10)]).toEqual([undefined, 'A01', 'ID']);
  });
});

describe('what cannot be read says so and never throws', () => {
  test.each<[string, MessageProblem]>([
    ['', 'no MSH segment'],
    ['   \r\n', 'no MSH segment'],
    ['MS', 'no MSH segment'],
    ['PID|1', 'no MSH segment'],
    ['msh|^~\\&|', 'no MSH segment'],
    ['{"resourceType":"Bundle"}', 'no MSH segment'],
    ['MSH', 'MSH-1 is not a delimiter'],
    ['MSH\rPID', 'MSH-1 is not a delimiter'],
    ['MSHX^~\\&X', 'MSH-1 is not a delimiter'],
    ['MSH |^~\\&|', 'MSH-1 is not a delimiter'],
    ['MSH|', 'MSH-2 is not a row of delimiters'],
    ['MSH||APP', 'MSH-2 is not a row of delimiters'],
    ['MSH|APP|FAC', 'MSH-2 is not a row of delimiters'],
    ['MSH|^~\\&#!|APP', 'MSH-2 is not a row of delimiters'],
    [`MSH|^~\\&|${'x'.repeat(20_000)}\r`, 'MSH is too long'],
  ])('%j', (text, problem) => {
    const message = open(text);
    expect(message.problem).toBe(problem);
    expect([message.header(9), message.headerText(9), message.headerBytes(9).length]).toEqual(['', '', 0]);
    expect([message.field('MSH-9'), message.text('PID-3.1'), message.texts('PID-3')]).toEqual([
      undefined,
      undefined,
      [],
    ]);
    expect(message.characterSet.encoding).toBe('unknown');
  });

  test('no MSH', () => {
    expect(openMessage(fixture('no-msh')).problem).toBe('no MSH segment');
  });

  test('every prefix, and every byte changed, of every fixture', () => {
    const paths = ['MSH-1', 'MSH-2', 'MSH-9.2', 'PID-3[2].4.1', 'PID-5', 'OBR-18', 'BHS-11'];
    const visit = (bytes: Buffer): void => {
      const message = openMessage(bytes);
      for (const path of paths) {
        message.text(path);
        message.texts(path);
      }
      for (const number of [1, 2, 3, 9, 18, 33]) message.headerText(number, 1);
    };
    for (const name of fixtureNames()) {
      const bytes = fixture(name);
      for (let length = 0; length <= bytes.length; length++) visit(bytes.subarray(0, length));
      for (let at = 0; at < bytes.length; at++) {
        for (const byte of [0x00, 0x0d, 0x7c, 0x5c, 0xff]) {
          const corrupt = Buffer.from(bytes);
          corrupt[at] = byte;
          visit(corrupt);
        }
      }
    }
    for (const byte of oneByOne(Buffer.from(Array.from({ length: 256 }, (_, i) => i)))) visit(byte);
  });
});

describe('line ends', () => {
  test.each(['lf', 'crlf', 'no-last-cr', 'adt-a01'])('%s', (name) => {
    const message = openMessage(fixture(name));
    expect(message.problem).toBeUndefined();
    expect(message.header(12)).toBe('2.5.1');
    expect(read(message, 'PID-3.5')).toBe('MR');
    expect(message.texts('PID-1')).toEqual(['1']);
  });

  test('LF inside a field is content where CR ends segments', () => {
    const message = openMessage(fixture('lf-inside-a-field'));
    expect(message.text('OBX-5')).toBe('first line\nsecond line\nthird line');
    expect(read(message, 'PID-3.1')).toBe('INV0017');
  });

  test('empty lines do not count', () => {
    const message = open(`${HEADER}\r\r\nEVN|A01\r\n\r\nPID|1||7\r\r`);
    expect(read(message, 'EVN-1')).toBe('A01');
    expect(read(message, 'PID-3')).toBe('7');
  });

  test('blanks, NULs and a byte order mark before MSH are passed over', () => {
    for (const before of [
      '\r\n',
      '\0\0',
      ' \t',
      '\xef\xbb\xbf',
      '\xef\xbb\xbf\r\n',
      '\r\n\xef\xbb\xbf',
      '\x0b',
    ]) {
      const message = open(before + HEADER);
      expect([message.problem, message.skipped, message.header(10)]).toEqual([
        undefined,
        before.length,
        'ID-1',
      ]);
    }
  });
});

describe('text', () => {
  test('Latin-1 and UTF-8, by MSH-18', () => {
    const latin = openMessage(fixture('latin-1'));
    expect([latin.characterSet.encoding, latin.text('PID-5')]).toEqual(['windows-1252', 'ERFUNDÉN^PERSÖN']);
    const utf8 = openMessage(fixture('utf-8'));
    expect([utf8.characterSet.encoding, utf8.text('PID-5')]).toEqual(['utf-8', 'ERFUNDÉN^PERSÖN^日本']);
  });

  test('BOM: a byte order mark says UTF-8', () => {
    const message = openMessage(fixture('utf-8-byte-order-mark'));
    expect([message.problem, message.skipped, message.characterSet.encoding]).toEqual([
      undefined,
      3,
      'utf-8',
    ]);
    expect(message.text('PID-3.4')).toBe('KÖLN');
    expect(message.header(3)).toBe('INVENTEDAPP');
  });

  test('where nothing says what it is: UTF-8 when it is that, else windows-1252', () => {
    const message = openMessage(
      Buffer.from(`${HEADER}ZZZ|K\xf6ln|K\xc3\xb6ln|\x80 100|\xe6\x97\xa5\xe6\x9c\xac\r`, 'latin1'),
    );
    const texts = [1, 2, 3, 4].map((number) => message.text(`ZZZ-${number}`));
    expect(texts).toEqual(['Köln', 'Köln', '€ 100', '日本']);
  });

  test('escapes are resolved in text and left in bytes', () => {
    const message = open(`${HEADER}NTE|1||a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X4142\\ \\.br\\ \\\r`);
    expect(message.text('NTE-3')).toBe('a|b^c&d~e\\fAB \\.br\\ \\');
    expect(read(message, 'NTE-3')).toBe('a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\X4142\\ \\.br\\ \\');
  });
});

test('a field of many megabytes is passed over, not read', () => {
  const document = Buffer.alloc(8 * 1024 * 1024, 0x41);
  const message = openMessage(
    Buffer.concat([
      Buffer.from(`${HEADER}OBX|1|ED|D||X^^^Base64^`),
      document,
      Buffer.from('||||||F\rPID|1||7\r'),
    ]),
  );
  expect(read(message, 'OBX-11')).toBe('F');
  expect(message.field('OBX-5.5')).toHaveLength(document.length);
  expect(read(message, 'PID-3')).toBe('7');
});
