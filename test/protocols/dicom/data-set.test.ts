import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type DataSet,
  elementOf,
  itemsOf,
  readDataSet,
  sequenceElement,
  shortElement,
  textElement,
  textOf,
  withElement,
  withoutElement,
} from '../../../protocols/dicom/data-set.ts';
import { writeDataSet } from '../../../protocols/dicom/data-set-write.ts';
import { encodingOf } from '../../../protocols/dicom/encoding.ts';
import { TAG } from '../../../protocols/dicom/tags.ts';
import { createInflate } from '../../../src/frontends/dicom/inflate.ts';
import { dataSets, encoded, header, type TestElement, TRANSFER_SYNTAXES } from './random-data-sets.ts';

const { implicit, explicit, deflated, 'big endian': bigEndian } = TRANSFER_SYNTAXES;
const PLAIN = [implicit, explicit, bigEndian];
const CT = '1.2.840.10008.5.1.4.1.1.2';

/** Storage commitment is asked for (PS3.4 Table J.3-1), by a peer that adds things of its own. */
const REQUEST: readonly TestElement[] = [
  { tag: TAG.TRANSACTION_UID, vr: 'UI', value: '2.25.100' },
  {
    tag: TAG.REFERENCED_SOP_SEQUENCE,
    vr: 'SQ',
    open: true,
    value: ['2.25.1', '2.25.22', '2.25.333'].map((uid) => [
      { tag: TAG.REFERENCED_SOP_CLASS_UID, vr: 'UI', value: CT },
      { tag: TAG.REFERENCED_SOP_INSTANCE_UID, vr: 'UI', value: uid },
      { tag: 0x0009_1001, vr: 'OW', value: Buffer.from([1, 2, 3, 4]) },
    ]),
  },
  { tag: 0x0009_1100, vr: 'UN', open: true, value: [[{ tag: 0x0008_1155, vr: 'UI', value: '2.25.9' }]] },
  { tag: 0x0010_0020, vr: 'LO', value: 'odd' },
];

function requestIn(transferSyntax: string): Buffer {
  const elements = REQUEST.toSorted((one, other) => one.tag - other.tag);
  return encoded(elements, encodingOf(transferSyntax));
}

function read(bytes: Buffer, transferSyntax: string): DataSet {
  const dataSet = readDataSet(bytes, transferSyntax);
  if (!dataSet) throw new Error('the data set is malformed');
  return dataSet;
}

const instances = (dataSet: DataSet, tag: number = TAG.REFERENCED_SOP_SEQUENCE) =>
  itemsOf(dataSet, tag).map((item) => textOf(item, TAG.REFERENCED_SOP_INSTANCE_UID));

describe.each(PLAIN)('storage commitment in %s', (transferSyntax) => {
  const bytes = requestIn(transferSyntax);

  test('read', () => {
    const dataSet = read(bytes, transferSyntax);
    expect(textOf(dataSet, TAG.TRANSACTION_UID)).toBe('2.25.100');
    expect(instances(dataSet)).toEqual(['2.25.1', '2.25.22', '2.25.333']);
    expect(textOf(dataSet, TAG.PATIENT_ID)).toBe('odd');
    expect(textOf(dataSet, TAG.STUDY_INSTANCE_UID)).toBeUndefined();
    expect(itemsOf(dataSet, TAG.FAILED_SOP_SEQUENCE)).toEqual([]);
  });

  test('untouched, it is written as it came', () => {
    expect(writeDataSet(read(bytes, transferSyntax), transferSyntax)).toEqual(bytes);
  });

  test('split: another Transaction UID, some of its items, all else as it came', () => {
    const dataSet = read(bytes, transferSyntax);
    const [first, , third] = itemsOf(dataSet, TAG.REFERENCED_SOP_SEQUENCE);
    const part = withElement(
      withElement(dataSet, textElement(TAG.TRANSACTION_UID, 'UI', '2.25.7')),
      sequenceElement(TAG.REFERENCED_SOP_SEQUENCE, [first!, third!]),
    );
    const written = writeDataSet(part, transferSyntax);
    const again = read(written, transferSyntax);
    expect(textOf(again, TAG.TRANSACTION_UID)).toBe('2.25.7');
    expect(instances(again)).toEqual(['2.25.1', '2.25.333']);
    expect(again.map(({ tag }) => tag)).toEqual(dataSet.map(({ tag }) => tag));
    for (const tag of [0x0009_1100, TAG.PATIENT_ID]) {
      expect(elementOf(again, tag)!.raw).toEqual(elementOf(dataSet, tag)!.raw);
    }
    const uid = elementOf(again, TAG.TRANSACTION_UID)!.value;
    expect([uid.length % 2, uid.at(-1)]).toEqual([0, 0x37]);
    expect(elementOf(itemsOf(again, TAG.REFERENCED_SOP_SEQUENCE)[1]!, 0x0009_1001)!.value).toEqual(
      Buffer.from([1, 2, 3, 4]),
    );
  });

  test('merged, from servers that answer in other transfer syntaxes', () => {
    const items = PLAIN.flatMap((other) =>
      itemsOf(read(requestIn(other), other), TAG.REFERENCED_SOP_SEQUENCE),
    );
    const failed = withElement(items[0]!, shortElement(TAG.FAILURE_REASON, 0x0112));
    const report = [
      textElement(TAG.TRANSACTION_UID, 'UI', '2.25.100'),
      sequenceElement(TAG.FAILED_SOP_SEQUENCE, [failed]),
      sequenceElement(TAG.REFERENCED_SOP_SEQUENCE, items),
    ];
    const again = read(writeDataSet(report, transferSyntax), transferSyntax);
    expect(instances(again)).toEqual(
      Array.from({ length: 3 }, () => ['2.25.1', '2.25.22', '2.25.333']).flat(),
    );
    const [item] = itemsOf(again, TAG.FAILED_SOP_SEQUENCE);
    expect([textOf(item!, TAG.FAILURE_REASON), textOf(item!, TAG.REFERENCED_SOP_CLASS_UID)]).toEqual([
      '274',
      CT,
    ]);
  });

  test('every prefix: read or refused, never an error', () => {
    for (let length = 0; length < bytes.length; length++) {
      const dataSet = readDataSet(bytes.subarray(0, length), transferSyntax);
      if (dataSet) expect(writeDataSet(dataSet, transferSyntax)).toEqual(bytes.subarray(0, length));
    }
  });

  test('every single-byte corruption: refused, or written as it came', () => {
    for (let offset = 0; offset < bytes.length; offset++) {
      for (const flip of [0x01, 0x20, 0x80, 0xff]) {
        const corrupt = Buffer.from(bytes);
        corrupt[offset]! ^= flip;
        const dataSet = readDataSet(corrupt, transferSyntax);
        if (dataSet) expect(writeDataSet(dataSet, transferSyntax)).toEqual(corrupt);
      }
    }
  });

  test('any data set is written as it came, and reads the same in every other encoding', () => {
    fc.assert(
      fc.property(dataSets(), fc.constantFrom(...PLAIN), (elements, other) => {
        const original = encoded(elements, encodingOf(transferSyntax));
        const dataSet = read(original, transferSyntax);
        expect(writeDataSet(dataSet, transferSyntax)).toEqual(original);
        const again = read(writeDataSet(dataSet, other), other);
        for (const { tag, vr } of elements) {
          // Where its VR was lost, it may be text or not.
          if (['UI', 'US'].includes(vr)) expect(textOf(again, tag)).toEqual(textOf(dataSet, tag));
        }
        expect(again.map(({ tag }) => tag)).toEqual(elements.map(({ tag }) => tag));
      }),
      { numRuns: 100 },
    );
  });
});

describe('elements', () => {
  const tags = (dataSet: DataSet) => dataSet.map(({ tag }) => tag);

  test('come to their place, instead of one that is there', () => {
    const dataSet = [textElement(8, 'LO', 'a'), textElement(16, 'LO', 'b')];
    expect(tags(withElement(dataSet, shortElement(12, 1)))).toEqual([8, 12, 16]);
    expect(tags(withElement(dataSet, shortElement(4, 1)))).toEqual([4, 8, 16]);
    expect(tags(withElement(dataSet, shortElement(20, 1)))).toEqual([8, 16, 20]);
    expect(textOf(withElement(dataSet, textElement(16, 'LO', 'c')), 16)).toBe('c');
    expect(tags(withoutElement(dataSet, 8))).toEqual([16]);
    expect(tags(dataSet)).toEqual([8, 16]);
  });

  test('UIDs are padded with a NUL, other text with a space', () => {
    expect(textElement(8, 'UI', '1.2').value).toEqual(Buffer.from('1.2\0'));
    expect(textElement(8, 'AE', 'ABC').value).toEqual(Buffer.from('ABC '));
    expect(textElement(8, 'AE', 'AB').value).toEqual(Buffer.from('AB'));
  });

  test('a value too long for its VR is written as UN', () => {
    const long = [textElement(0x0008_0080, 'LO', 'x'.repeat(70_000))];
    const [element] = read(writeDataSet(long, explicit), explicit);
    expect([element!.vr, element!.value.length]).toEqual(['UN', 70_000]);
  });
});

describe('deflated', () => {
  test('with the functions that do it, to an even length', () => {
    for (const elements of [REQUEST.slice(0, 1), REQUEST.slice(0, 2)]) {
      const plain = encoded(elements, encodingOf(deflated));
      const dataSet = readDataSet(deflateRawSync(plain), deflated, createInflate())!;
      const written = writeDataSet(dataSet, deflated, deflateRawSync);
      expect(written.length % 2).toBe(0);
      expect(readDataSet(written, deflated, createInflate())).toEqual(dataSet);
    }
  });

  test('without them', () => {
    expect(readDataSet(deflateRawSync(Buffer.alloc(0)), deflated)).toBeUndefined();
    expect(() => writeDataSet([], deflated)).toThrow(RangeError);
    expect(readDataSet(Buffer.alloc(30, 0xff), deflated, createInflate())).toBeUndefined();
  });
});

describe('refused', () => {
  const encoding = encodingOf(explicit);
  const open = (tag: number, vr: string) => header(tag, vr, 0xffffffff, encoding);

  test('sequences too deep inside each other', () => {
    const nested = (depth: number): TestElement[] =>
      depth === 0 ? [] : [{ tag: 0x0008_1140, vr: 'SQ', open: true, value: [nested(depth - 1)] }];
    expect(readDataSet(encoded(nested(32), encoding), explicit)).toBeDefined();
    expect(readDataSet(encoded(nested(33), encoding), explicit)).toBeUndefined();
    const endless = Array.from({ length: 2000 }, () => [open(0x0008_1140, 'SQ'), open(0xfffe_e000, '')]);
    expect(readDataSet(Buffer.concat(endless.flat()), explicit)).toBeUndefined();
  });

  test.each<[string, Buffer[]]>([
    [
      'an item that is longer than its sequence',
      [
        header(0x0008_1140, 'SQ', 8, encoding),
        header(0xfffe_e000, '', 8, encoding),
        header(0x0008_0060, 'CS', 0, encoding),
      ],
    ],
    [
      'the end of an item with a length',
      [
        open(0x0008_1140, 'SQ'),
        open(0xfffe_e000, ''),
        header(0xfffe_e00d, '', 2, encoding),
        header(0xfffe_e0dd, '', 0, encoding),
      ],
    ],
    [
      'an element that is longer than its item',
      [
        header(0x0008_1140, 'SQ', 18, encoding),
        header(0xfffe_e000, '', 10, encoding),
        header(0x0008_0060, 'CS', 4, encoding),
        Buffer.from('CTCT'),
      ],
    ],
    [
      'something else than an item in a sequence',
      [header(0x0008_1140, 'SQ', 8, encoding), header(0x0008_0060, 'CS', 0, encoding)],
    ],
    ['the end of an item where none is', [header(0xfffe_e00d, '', 0, encoding)]],
    [
      'encapsulated pixels',
      [
        open(0x7fe0_0010, 'OB'),
        header(0xfffe_e000, '', 4, encoding),
        Buffer.alloc(4),
        header(0xfffe_e0dd, '', 0, encoding),
      ],
    ],
  ])('%s', (_name, parts) => {
    expect(readDataSet(Buffer.concat(parts), explicit)).toBeUndefined();
  });
});
