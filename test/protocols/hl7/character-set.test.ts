/** Character sets of MSH-18 (HL7 table 0211); the system's own decoders are the oracle. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { characterSetOf, decodeText, layoutOf } from '../../../protocols/hl7/character-set.ts';
import { openMessage } from '../../../protocols/hl7/cursor.ts';
import { messageFacts } from '../../../protocols/hl7/facts.ts';
import { orderingOf, patientKey } from '../../../protocols/hl7/patient.ts';
import { ALPHABETS, DELIMITERS, messageOf, written } from './alphabets.ts';

describe.each(Object.entries(ALPHABETS))('%s', (name, characters) => {
  const alphabet = { name, characters };

  test('has characters whose bytes look like delimiters, unless it is safe', () => {
    const looks = [...characters.values()].filter((bytes) => /[|^~\\&]/.test(bytes.toString('latin1', 1)));
    expect(looks.length).toBeGreaterThan(name === 'KS X 1001' ? -1 : 50);
  });

  test('every character in a field of its own, whatever its bytes look like', () => {
    const all = [...characters.keys()];
    for (const delimiters of DELIMITERS) {
      for (let from = 0; from < all.length; from += 500) {
        const texts = all.slice(from, from + 500);
        const fields = texts.map((text) => written(text, alphabet, delimiters));
        const message = openMessage(messageOf(fields, name, delimiters));
        const read = texts.map((_, index) => message.text(`PID-${index + 1}`));
        expect(read).toEqual(texts);
      }
    }
  });

  test('any text, escaped or not, in fields, repetitions and components', () => {
    const unit = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...characters.keys()) },
      fc.constantFrom('a', 'X', '7', ' ', '|', '^', '~', '\\', '&', '#', '!', '{'),
    );
    const text = fc.string({ unit, minLength: 1, maxLength: 6 });
    const field = fc.array(fc.array(text, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 });
    const message = fc.record({
      fields: fc.array(field, { minLength: 1, maxLength: 6 }),
      delimiters: fc.constantFrom(...DELIMITERS),
    });
    const joined = (parts: readonly Buffer[], by: string) =>
      Buffer.concat(parts.flatMap((part, index) => (index === 0 ? [part] : [Buffer.from(by), part])));
    fc.assert(
      fc.property(message, ({ fields, delimiters }) => {
        const bytes = fields.map((repetitions) =>
          joined(
            repetitions.map((components) =>
              joined(
                components.map((one) => written(one, alphabet, delimiters)),
                delimiters[1]!,
              ),
            ),
            delimiters[2]!,
          ),
        );
        const read = openMessage(messageOf(bytes, name, delimiters));
        for (const [f, repetitions] of fields.entries()) {
          for (const [r, components] of repetitions.entries()) {
            for (const [c, expected] of components.entries()) {
              expect(read.text(`PID-${f + 1}[${r + 1}].${c + 1}`)).toBe(expected);
            }
          }
        }
        expect(read.text(`PID-${fields.length + 1}`)).toBeUndefined();
      }),
      { numRuns: 150 },
    );
  });

  test('whatever the bytes: as long as before, lines and their names where they were, nothing throws', () => {
    const bytes = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(bytes, (random) => {
        const body = Buffer.concat([messageOf([], name, '|^~\\&'), Buffer.from('|'), random]);
        const message = openMessage(body);
        const { layout } = message;
        expect(layout).toHaveLength(body.length);
        for (const [at, byte] of layout.entries()) {
          if (byte !== body[at]) expect([byte, body[at] === 0x0d || body[at] === 0x0a]).toEqual([0, false]);
        }
        for (let field = 1; field < 5; field++) message.text(`ZZZ-${field}`);
      }),
      { numRuns: 300 },
    );
  });
});

test.each([
  ['', 'unknown'],
  ['ASCII', 'unknown'],
  ['ISO IR6', 'unknown'],
  ['NEVER HEARD OF', 'unknown'],
  ['UNICODE UTF-16', 'unknown'],
  ['constructor', 'unknown'],
  ['8859/1', 'windows-1252'],
  ['8859/2', 'iso-8859-2'],
  ['8859/5', 'iso-8859-5'],
  ['8859/9', 'windows-1254'],
  ['8859/15', 'iso-8859-15'],
  ['8859/99', 'unknown'],
  ['ISO 8859-1', 'windows-1252'],
  ['ISO_IR 100', 'windows-1252'],
  ['WINDOWS-1252', 'windows-1252'],
  ['UNICODE UTF-8', 'utf-8'],
  ['unicode utf-8', 'utf-8'],
  ['UNICODE', 'utf-8'],
  ['UTF-8', 'utf-8'],
  ['GB 18030-2000', 'gb18030'],
  ['GBK', 'gbk'],
  ['GB2312', 'gbk'],
  ['BIG-5', 'big5'],
  ['KS X 1001', 'euc-kr'],
  ['ISO IR87', 'iso-2022-jp'],
  ['ISO IR159', 'iso-2022-jp'],
  ['SJIS', 'shift_jis'],
])('MSH-18 %j is %s', (declared, encoding) => {
  expect(characterSetOf([declared]).encoding).toBe(encoding);
});

test('MSH-18 with repetitions: the first that is more than ASCII', () => {
  expect(characterSetOf(['', 'ISO IR87']).encoding).toBe('iso-2022-jp');
  expect(characterSetOf(['ASCII', '8859/15', 'UNICODE UTF-8']).encoding).toBe('iso-8859-15');
});

test('MSH-18 with a thousand names that nobody knows: the rest is not looked at', () => {
  const names = Array.from({ length: 1000 }, (_, index) => `INVENTED-${index}`);
  const header = (declared: string) => `MSH|^~\\&|||||||ADT|1|P|2.5||||||${declared}\rPID|1|K\xf6ln\r`;
  for (const declared of [`${names.join('~')}~GBK`, names.join(' ')]) {
    const message = openMessage(Buffer.from(header(declared), 'latin1'));
    expect([message.characterSet.encoding, message.text('PID-2')]).toEqual(['unknown', 'Köln']);
  }
});

test.each([
  ['8859/1', 'K\xf6ln', 'Köln'],
  ['8859/2', '\xa3\xf3d\xbc', 'Łódź'],
  ['8859/5', '\xbc\xde\xe1\xda\xd2\xd0', 'Москва'],
  ['8859/7', '\xc1\xe8\xde\xed\xe1', 'Αθήνα'],
  ['8859/15', '\xa4', '€'],
  ['8859/1', '\x80', '€'],
  ['UNICODE UTF-8', 'K\xc3\xb6ln', 'Köln'],
  ['ASCII', 'K\xf6ln', 'Köln'],
])('text in %s', (declared, bytes, text) => {
  expect(decodeText(Buffer.from(bytes, 'latin1'), characterSetOf([declared]))).toBe(text);
});

test('layout: the message itself where nothing can be mistaken', () => {
  const bytes = Buffer.from('PID|1||K\xf6ln', 'latin1');
  for (const name of ['', 'UNICODE UTF-8', '8859/1', 'KS X 1001'])
    expect(layoutOf(bytes, characterSetOf([name]))).toBe(bytes);
  const plain = Buffer.from('PID|1||COLOGNE');
  expect(layoutOf(plain, characterSetOf(['GBK']))).toBe(plain);
});

test('ISO IR87: katakana of seven bits, and a line that forgets to shift back', () => {
  const header = 'MSH|^~\\&|||||||ADT|1|P|2.5||||||~ISO IR87\r';
  const message = openMessage(
    Buffer.from(`${header}PID|1|\x1b(I\\^\x1b(B|a\rNK1|1|\x1b$B8|\rPV1|1|I|x\r`, 'latin1'),
  );
  expect([message.text('PID-2'), message.text('PID-3')]).toEqual(['ﾜﾞ', 'a']);
  expect([message.text('PV1-2'), message.text('PV1-3')]).toEqual(['I', 'x']);
});

test('facts: a name in GBK whose second byte is 7C, and what stands behind it', () => {
  // Invented: "\xad|" is one character, and so is "\x84^".
  const bytes = Buffer.concat([
    Buffer.from('MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5||||||GBK\rPID|1||77||'),
    Buffer.from('\xad|\x84^^\xad|', 'latin1'),
    Buffer.from('||19000101||||STREET^^\xbf\xc6\xc2\xa1', 'latin1'),
    Buffer.from('\rPV1|1|I\r'),
  ]);
  const decoder = new TextDecoder('gbk');
  const facts = messageFacts(openMessage(bytes));
  expect(facts.get('PID-5.1')).toBe(decoder.decode(Buffer.from('\xad|\x84^', 'latin1')));
  expect(facts.get('PID-5.2')).toBe(decoder.decode(Buffer.from('\xad|', 'latin1')));
  expect(facts.get('PID-7')).toBe('19000101');
  expect(facts.get('PID-11.3')).toBe('科隆');
});

test('the key of a patient whose authority has bytes that look like delimiters', () => {
  const message = openMessage(
    Buffer.from(
      'MSH|^~\\&|A|B|C|D|2026||ADT^A40|1|P|2.5||||||GBK\rPID|1||8^^^SSA^SS~7^^^\x84^\x85~^MR\rMRG|9^^^\x85~\r',
      'latin1',
    ),
  );
  expect(patientKey(message)).toBe('7^\x84^\x85~');
  expect(orderingOf(message).keys).toEqual(['7^\x84^\x85~', '8^SSA', '9^\x85~']);
});

test('a batch: the character set is that of its first message', () => {
  const batch = openMessage(
    Buffer.from(
      'FHS|^~\\&|A\rBHS|^~\\&|A\rMSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5||||||GBK\rPID|1||\xad||7\r',
      'latin1',
    ),
  );
  expect([batch.characterSet.encoding, batch.text('PID-4')]).toEqual(['gbk', '7']);
});
