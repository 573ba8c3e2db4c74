import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createDataSetPeek, type DataSetPeek, VALUE_CAP } from '../../../protocols/dicom/data-set-peek.ts';
import { encodingOf } from '../../../protocols/dicom/encoding.ts';
import { WANTED_TAGS } from '../../../protocols/dicom/message-facts.ts';
import { TAG } from '../../../protocols/dicom/tags.ts';
import { createInflate } from '../../../src/frontends/dicom/inflate.ts';
import { pieces, randomNumbers } from './fixture.ts';
import { dataSets, encoded, header, type TestElement, TRANSFER_SYNTAXES } from './random-data-sets.ts';

const ENCODINGS = Object.entries(TRANSFER_SYNTAXES);
const { implicit, explicit, deflated, 'big endian': bigEndian } = TRANSFER_SYNTAXES;

function bytesOf(elements: readonly TestElement[], transferSyntax: string): Buffer {
  const encoding = encodingOf(transferSyntax);
  const plain = encoded(elements, encoding);
  return encoding.deflated ? deflateRawSync(plain) : plain;
}

interface Peeked {
  readonly state: DataSetPeek['state'];
  readonly values: readonly unknown[];
}

/** What is known after the last of `chunks`, and after the end. */
function peeked(
  chunks: readonly Uint8Array[],
  transferSyntax: string,
  tags: readonly number[] = WANTED_TAGS,
): Peeked & { readonly before: DataSetPeek['state'] } {
  const peek = createDataSetPeek({ transferSyntax, tags, inflate: createInflate() });
  for (const chunk of chunks) peek.push(chunk);
  const before = peek.state;
  peek.end();
  return { before, state: peek.state, values: tags.map((tag) => peek.value(tag)) };
}

function expectedOf(elements: readonly TestElement[]): unknown[] {
  return WANTED_TAGS.map((tag) => {
    const value = elements.find((element) => element.tag === tag)?.value;
    return value === '' ? undefined : value;
  });
}

/** A study as a modality sends it: private elements, sequences with UIDs of other studies, then its own. */
const STUDY: readonly TestElement[] = [
  { tag: 0x00080005, vr: 'CS', value: 'ISO_IR 100' },
  { tag: 0x00080050, vr: 'SH', value: 'ACC-1' },
  { tag: 0x00080060, vr: 'CS', value: 'CT' },
  {
    tag: 0x00081115,
    vr: 'SQ',
    open: true,
    value: [
      [{ tag: 0x0020000d, vr: 'UI', value: '2.25.9' }],
      [],
      [{ tag: 0x0020000e, vr: 'UI', value: '2.25.8' }],
    ],
  },
  { tag: 0x00081140, vr: 'SQ', value: [[{ tag: 0x0020000d, vr: 'UI', value: '2.25.7' }]] },
  { tag: 0x00091002, vr: 'OB', value: Buffer.from('SQUIUNSQ') },
  { tag: 0x00091100, vr: 'UN', open: true, value: [[{ tag: 0x0020000d, vr: 'UI', value: '2.25.6' }]] },
  { tag: 0x00100020, vr: 'LO', value: 'INVENTED-1' },
  { tag: 0x0020000d, vr: 'UI', value: '2.25.5' },
  { tag: 0x7fe00010, vr: 'OW', value: Buffer.alloc(4000, 1) },
];
const OF_STUDY = ['ACC-1', 'CT', 'INVENTED-1', '2.25.5'];

describe.each(ENCODINGS)('%s', (_name, transferSyntax) => {
  const bytes = bytesOf(STUDY, transferSyntax);

  test('a study, whole', () => {
    expect(peeked([bytes], transferSyntax)).toMatchObject({ state: 'done', values: OF_STUDY });
  });

  test('cut anywhere: one byte at a time, and in two', () => {
    expect(peeked(pieces(bytes, [...bytes.keys()]), transferSyntax).values).toEqual(OF_STUDY);
    for (let cut = 1; cut < Math.min(bytes.length, 500); cut++) {
      expect(peeked(pieces(bytes, [cut]), transferSyntax)).toMatchObject({ state: 'done', values: OF_STUDY });
    }
  });

  test('every prefix: nothing but what the whole has', () => {
    for (let length = 0; length < Math.min(bytes.length, 500); length++) {
      const { before, state, values } = peeked([bytes.subarray(0, length)], transferSyntax);
      expect(['reading', 'done']).toContain(before);
      expect(['malformed', 'done']).toContain(state);
      for (const [index, value] of values.entries()) expect([undefined, OF_STUDY[index]]).toContain(value);
    }
  });

  test('every single-byte corruption ends, and never throws', () => {
    const start = bytes.subarray(0, 400);
    for (let offset = 0; offset < start.length; offset++) {
      for (const flip of [0x01, 0x20, 0x80, 0xff]) {
        const corrupt = Buffer.from(start);
        corrupt[offset]! ^= flip;
        expect(['malformed', 'done']).toContain(peeked(pieces(corrupt, [offset]), transferSyntax).state);
      }
    }
  });

  test('any data set in any pieces tells what its elements say, those of its sequences never', () => {
    fc.assert(
      fc.property(dataSets(), fc.array(fc.nat({ max: 600 }), { maxLength: 8 }), (elements, cuts) => {
        const whole = bytesOf(elements, transferSyntax);
        const expected = { state: 'done', values: expectedOf(elements) };
        expect(peeked([whole], transferSyntax)).toMatchObject(expected);
        expect(peeked(pieces(whole, cuts), transferSyntax)).toMatchObject(expected);
      }),
      { numRuns: 150 },
    );
  });

  test('data sets without a study UID are read to their pixels, and no further', () => {
    const without = bytesOf(
      STUDY.filter(({ tag }) => tag !== TAG.STUDY_INSTANCE_UID),
      transferSyntax,
    );
    const { state, values } = peeked([without], transferSyntax);
    expect({ state, values }).toEqual({ state: 'done', values: [...OF_STUDY.slice(0, 3), undefined] });
    const empty = STUDY.map((element) =>
      element.tag === TAG.STUDY_INSTANCE_UID ? { ...element, value: '' } : element,
    );
    expect(peeked([bytesOf(empty, transferSyntax)], transferSyntax).values).toEqual(values);
  });

  test('keeps nothing of its chunks', () => {
    const peek = createDataSetPeek({ transferSyntax, tags: WANTED_TAGS, inflate: createInflate() });
    const chunk = Buffer.alloc(1);
    for (const byte of bytes) {
      chunk[0] = byte;
      peek.push(chunk);
      chunk[0] = 0xff;
    }
    peek.end();
    expect(WANTED_TAGS.map((tag) => peek.value(tag))).toEqual(OF_STUDY);
  });
});

describe('done', () => {
  test('with the last byte of the last wanted value, before the next element', () => {
    const start = encoded(STUDY.slice(0, -1), encodingOf(explicit));
    expect(peeked([start], explicit).before).toBe('done');
    expect(peeked([start.subarray(0, -1)], explicit).before).toBe('reading');
  });

  test('with the first header behind the last wanted element, when that is absent', () => {
    const encoding = encodingOf(explicit);
    const start = Buffer.concat([
      encoded(STUDY.slice(0, 3), encoding),
      header(0x0020_000e, 'UI', 2, encoding),
    ]);
    expect(peeked([start], explicit)).toMatchObject({
      before: 'done',
      values: ['ACC-1', 'CT', undefined, undefined],
    });
  });

  test('behind elements of every VR', () => {
    // PS3.5 Table 6.2-1.
    const vrs =
      'AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SS ST SV TM UC UI UL UN UR US UT UV';
    const elements = vrs
      .split(' ')
      .map((vr, index) => ({ tag: 0x0009_1000 + index, vr, value: Buffer.alloc(8) }));
    for (const transferSyntax of [explicit, bigEndian]) {
      const bytes = bytesOf([...elements, ...STUDY.slice(-2)], transferSyntax);
      expect(peeked([bytes], transferSyntax).values.at(-1)).toBe('2.25.5');
    }
  });

  test('at once when nothing is wanted', () => {
    expect(peeked([], implicit, []).before).toBe('done');
  });

  test('what comes later is ignored', () => {
    const peek = createDataSetPeek({ transferSyntax: explicit, tags: WANTED_TAGS });
    peek.push(encoded(STUDY, encodingOf(explicit)));
    peek.push(Buffer.alloc(100, 0xff));
    peek.end();
    expect([peek.state, peek.value(TAG.STUDY_INSTANCE_UID)]).toEqual(['done', '2.25.5']);
  });

  test('of an empty data set', () => {
    expect(peeked([], explicit)).toMatchObject({ before: 'reading', state: 'done' });
  });
});

describe('values', () => {
  const one = (element: TestElement, transferSyntax: string = explicit) =>
    peeked([bytesOf([element], transferSyntax)], transferSyntax, [element.tag]).values[0];

  test('several, those that are empty left out; padding removed from each', () => {
    expect(one({ tag: 0x00080008, vr: 'CS', value: 'ORIGINAL\\ PRIMARY \\\\AXIAL' })).toEqual([
      'ORIGINAL',
      'PRIMARY',
      'AXIAL',
    ]);
    expect(one({ tag: 0x00080060, vr: 'CS', value: '\\CT\\' })).toBe('CT');
    expect(one({ tag: 0x0020000d, vr: 'UI', value: '1.2.3\0' })).toBe('1.2.3');
    expect(one({ tag: 0x00100020, vr: 'LO', value: '  ' })).toBeUndefined();
    expect(one({ tag: 0x00100020, vr: 'LO', value: '\\' })).toBeUndefined();
  });

  test('of one text, in which a backslash is a character', () => {
    expect(one({ tag: 0x00104000, vr: 'LT', value: 'C:\\X' })).toBe('C:\\X');
  });

  test('integers in decimal digits, in either byte order, also where the VR is left out', () => {
    expect(one({ tag: 0x00280010, vr: 'US', value: Buffer.from([0, 2]) })).toBe('512');
    expect(one({ tag: 0x00280010, vr: 'US', value: Buffer.from([2, 0]) }, bigEndian)).toBe('512');
    expect(one({ tag: 0x00280010, vr: 'US', value: Buffer.from([0, 2]) }, implicit)).toBe('512');
    expect(one({ tag: 0x00280106, vr: 'SS', value: Buffer.from([0xff, 0xff, 1, 0]) })).toEqual(['-1', '1']);
    expect(one({ tag: 0x00091027, vr: 'SL', value: Buffer.from([0xff, 0xff, 0xff, 0xfe]) }, bigEndian)).toBe(
      '-2',
    );
    expect(one({ tag: 0x00091027, vr: 'UL', value: Buffer.from([0, 0, 1, 0]) })).toBe('65536');
    expect(one({ tag: 0x00280010, vr: 'US', value: Buffer.from([9]) })).toBeUndefined();
  });

  test('no text: sequences and binary', () => {
    expect(one({ tag: 0x00091002, vr: 'OB', value: Buffer.from('AB') })).toBeUndefined();
    expect(one({ tag: 0x00081140, vr: 'SQ', value: [[]] })).toBeUndefined();
    expect(one({ tag: 0x00081140, vr: 'SQ', value: [[]], open: true })).toBeUndefined();
  });

  test('of a private element without a VR', () => {
    expect(one({ tag: 0x00091001, vr: 'UN', value: 'INVENTED' })).toBe('INVENTED');
    expect(one({ tag: 0x00091001, vr: 'LO', value: 'INVENTED' }, implicit)).toBe('INVENTED');
  });

  test('of characters beyond ASCII: UTF-8 where the data set says so', () => {
    const institution = { tag: 0x00080080, vr: 'LO', value: Buffer.from('Zürich', 'utf8') };
    const tags = [institution.tag];
    const utf8 = [{ tag: 0x00080005, vr: 'CS', value: 'ISO_IR 192' }, institution];
    expect(peeked([bytesOf(utf8, explicit)], explicit, tags).values).toEqual(['Zürich']);
    const latin1 = { ...institution, value: Buffer.from('Zürich', 'latin1') };
    expect(peeked([bytesOf([latin1], explicit)], explicit, tags).values).toEqual(['Zürich']);
  });

  test('one longer than the cap is as absent, and jumped over', () => {
    const long: TestElement[] = [
      { tag: 0x00100020, vr: 'UT', value: 'x'.repeat(VALUE_CAP + 2) },
      { tag: 0x0020000d, vr: 'UI', value: '2.25.5' },
    ];
    expect(peeked([bytesOf(long, explicit)], explicit).values.slice(2)).toEqual([undefined, '2.25.5']);
    const longest = long.with(0, { ...long[0]!, value: 'x'.repeat(VALUE_CAP) });
    expect(peeked([bytesOf(longest, explicit)], explicit).values[2]).toHaveLength(VALUE_CAP);
  });

  test('of an element that is there twice the first counts; a tag out of order is read all the same', () => {
    const elements: TestElement[] = [
      { tag: 0x00100020, vr: 'LO', value: 'FIRST' },
      { tag: 0x00080060, vr: 'CS', value: 'CT' },
      { tag: 0x00100020, vr: 'LO', value: 'SECOND' },
    ];
    expect(peeked([bytesOf(elements, explicit)], explicit).values).toEqual([
      undefined,
      'CT',
      'FIRST',
      undefined,
    ]);
  });
});

describe('elements that lie about their length', () => {
  const encoding = encodingOf(explicit);
  const modality = encoded([{ tag: 0x00080060, vr: 'CS', value: 'CT' }], encoding);

  test.each<[string, Buffer]>([
    ['longer than the data set', Buffer.concat([header(0x00100020, 'LO', 200, encoding), Buffer.from('AB')])],
    ['a header that is cut off', Buffer.from('1000')],
    ['a sequence without its end', header(0x00081140, 'SQ', 0xffffffff, encoding)],
    [
      'a text of undefined length',
      Buffer.concat([header(0x00091001, 'UT', 0xffffffff, encoding), Buffer.alloc(40, 65)]),
    ],
    ['the end of a sequence where none is', header(0xfffee0dd, '', 0, encoding)],
    [
      'the end of an item in a sequence',
      Buffer.concat([header(0x00081140, 'SQ', 0xffffffff, encoding), header(0xfffee00d, '', 0, encoding)]),
    ],
    [
      'the end of a sequence with a length',
      Buffer.concat([header(0x00081140, 'SQ', 0xffffffff, encoding), header(0xfffee0dd, '', 2, encoding)]),
    ],
    ['no letters where the VR is', Buffer.concat([header(0x00091001, 'lo', 0, encoding), Buffer.alloc(4)])],
  ])('%s: malformed, and what was found stays', (_name, rest) => {
    for (const chunks of [[modality, rest], pieces(Buffer.concat([modality, rest]), [...Array(80).keys()])]) {
      expect(peeked(chunks, explicit)).toMatchObject({
        state: 'malformed',
        values: [undefined, 'CT', undefined, undefined],
      });
    }
  });

  test('sequences inside each other without end', () => {
    const item = Buffer.concat([
      header(0x00081140, 'SQ', 0xffffffff, encoding),
      header(0xfffee000, '', 0xffffffff, encoding),
    ]);
    expect(
      peeked(
        Array.from({ length: 60 }, () => item),
        explicit,
      ).before,
    ).toBe('reading');
    expect(
      peeked(
        Array.from({ length: 100 }, () => item),
        explicit,
      ).before,
    ).toBe('malformed');
  });

  test('4 GiB are jumped over by length', () => {
    const peek = createDataSetPeek({ transferSyntax: implicit, tags: WANTED_TAGS });
    peek.push(header(0x00091002, 'OB', 0xfffffffe, encodingOf(implicit)));
    const chunk = Buffer.alloc(1024 * 1024);
    for (let left = 0xfffffffe; left > 0; left -= chunk.length) peek.push(chunk.subarray(0, left));
    peek.push(encoded([{ tag: 0x0020000d, vr: 'UI', value: '2.25.5' }], encodingOf(implicit)));
    expect([peek.state, peek.value(TAG.STUDY_INSTANCE_UID)]).toEqual(['done', '2.25.5']);
  });
});

describe('deflated', () => {
  const plain = encoded(STUDY, encodingOf(deflated));

  test('a stream that is none, and no inflate', () => {
    expect(peeked([Buffer.alloc(3000, 0xff)], deflated).state).toBe('malformed');
    const peek = createDataSetPeek({ transferSyntax: deflated, tags: WANTED_TAGS });
    peek.push(deflateRawSync(plain));
    peek.end();
    expect(peek.state).toBe('malformed');
  });

  test('padded to an even length', () => {
    expect(peeked([deflateRawSync(plain), Buffer.alloc(1)], deflated).values).toEqual(OF_STUDY);
  });

  test('pixels that are all the same do not hide what stands before them', () => {
    const blank = Buffer.concat([
      plain,
      header(0x7fe00010, 'OW', 16 << 20, encodingOf(deflated)),
      Buffer.alloc(16 << 20),
    ]);
    expect(peeked([deflateRawSync(blank)], deflated).values).toEqual(OF_STUDY);
  });

  test('a deflate bomb in front of the study is given up, whatever the pieces', () => {
    const bomb = Buffer.concat([
      header(0x00091002, 'OB', 16 << 20, encodingOf(deflated)),
      Buffer.alloc(16 << 20),
      plain,
    ]);
    const stream = deflateRawSync(bomb);
    let most = 0;
    const inflate = createInflate();
    const peek = createDataSetPeek({
      transferSyntax: deflated,
      tags: WANTED_TAGS,
      inflate: (prefix) => {
        const inflated = inflate(prefix);
        most = Math.max(most, inflated?.length ?? 0);
        return inflated;
      },
    });
    for (const chunk of pieces(stream, [100, 5000, 20_000])) peek.push(chunk);
    expect(peek.state).toBe('malformed');
    expect(most).toBeLessThanOrEqual(8 << 20);
  });

  test('is inflated anew only when it doubled, and read on where it was', () => {
    const random = randomNumbers(1);
    const noise = Buffer.from(Array.from({ length: 20_000 }, () => random(256)));
    const long: TestElement[] = [...STUDY];
    long.splice(5, 0, { tag: 0x0009_1001, vr: 'OB', value: noise });
    const stream = bytesOf(long, deflated);
    let times = 0;
    const inflate = createInflate();
    const peek = createDataSetPeek({
      transferSyntax: deflated,
      tags: WANTED_TAGS,
      inflate: (prefix) => {
        times++;
        return inflate(prefix);
      },
    });
    for (const byte of stream) peek.push(Buffer.of(byte));
    peek.end();
    expect(stream.length).toBeGreaterThan(8 * 1024);
    expect(times).toBeLessThanOrEqual(Math.ceil(Math.log2(stream.length / 1024)) + 1);
    expect(WANTED_TAGS.map((tag) => peek.value(tag))).toEqual(OF_STUDY);
  });
});
