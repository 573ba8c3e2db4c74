/** Data sets for tests: written in any encoding, of any shape, by rules of their own; and invented at random. */
import fc from 'fast-check';
import type { Encoding } from '../../../protocols/dicom/encoding.ts';

export interface TestElement {
  readonly tag: number;
  readonly vr: string;
  /** Text, bytes as they are, or items. */
  readonly value: string | Buffer | readonly (readonly TestElement[])[];
  /** Of sequences: the length is undefined, and that of the items. */
  readonly open?: boolean;
}

/** A transfer syntax of each encoding. */
export const TRANSFER_SYNTAXES = {
  implicit: '1.2.840.10008.1.2',
  explicit: '1.2.840.10008.1.2.1',
  'big endian': '1.2.840.10008.1.2.2',
  deflated: '1.2.840.10008.1.2.1.99',
} as const;

/** PS3.5 Table 7.1-1. */
const LONG = new Set('OB OD OF OL OV OW SQ SV UC UN UR UT UV'.split(' '));
const OPEN = 0xffffffff;

/** The bytes of a data set; deflating is left to the caller. */
export function encoded(elements: readonly TestElement[], encoding: Encoding): Buffer {
  return Buffer.concat(elements.map((element) => encodedElement(element, encoding)));
}

function encodedElement({ tag, vr, value, open = false }: TestElement, encoding: Encoding): Buffer {
  if (typeof value === 'string' || Buffer.isBuffer(value)) {
    const bytes = typeof value === 'string' ? padded(value, vr) : value;
    return Buffer.concat([header(tag, vr, bytes.length, encoding), bytes]);
  }
  // PS3.5 6.2.2: what UN holds is implicit little endian.
  const inner = vr === 'UN' ? { ...encoding, explicit: false, bigEndian: false } : encoding;
  const items = value.map((item): Buffer => {
    const body = encoded(item, inner);
    const start = header(0xfffee000, '', open ? OPEN : body.length, inner);
    return Buffer.concat([start, body, ...(open ? [header(0xfffee00d, '', 0, inner)] : [])]);
  });
  if (open) items.push(header(0xfffee0dd, '', 0, inner));
  const body = Buffer.concat(items);
  return Buffer.concat([header(tag, vr, open ? OPEN : body.length, encoding), body]);
}

function padded(text: string, vr: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.from(vr === 'UI' ? '\0' : ' ')]);
}

/** `vr` empty: of an item, which has none. */
export function header(tag: number, vr: string, length: number, { explicit, bigEndian }: Encoding): Buffer {
  const numbers = (values: readonly (readonly [number, 2 | 4])[]) => {
    const bytes = values.map(([value, size]) => {
      const part = Buffer.alloc(size);
      if (bigEndian) part.writeUIntBE(value, 0, size);
      else part.writeUIntLE(value, 0, size);
      return part;
    });
    return Buffer.concat(bytes);
  };
  const tagBytes = numbers([
    [tag >>> 16, 2],
    [tag & 0xffff, 2],
  ]);
  if (!explicit || vr === '') return Buffer.concat([tagBytes, numbers([[length, 4]])]);
  const vrBytes = Buffer.from(LONG.has(vr) ? `${vr}\0\0` : vr, 'latin1');
  return Buffer.concat([tagBytes, vrBytes, numbers([[length, LONG.has(vr) ? 4 : 2]])]);
}

/** The tags that random data sets have at most, with their VRs: study, modality and the rest beside others. */
const KNOWN: readonly (readonly [number, string])[] = [
  [0x00080016, 'UI'],
  [0x00080018, 'UI'],
  [0x00080050, 'SH'],
  [0x00080060, 'CS'],
  [0x00081030, 'LO'],
  [0x00090010, 'LO'],
  [0x00091002, 'OB'],
  [0x00091027, 'SL'],
  [0x00100020, 'LO'],
  [0x0020000d, 'UI'],
  [0x0020000e, 'UI'],
  [0x00280010, 'US'],
  [0x7fe00010, 'OW'],
];
const SEQUENCES = [0x00081111, 0x00081115, 0x00081140, 0x00091100, 0x00101002, 0x00181001, 0x00200200];

const text = fc.stringMatching(/^[A-Za-z0-9.]{0,20}$/);
const uid = fc.stringMatching(/^[0-9.]{0,30}$/);
const bytes = fc
  .uint8Array({ maxLength: 20 })
  .map((array) => Buffer.from(array.subarray(0, array.length & ~1)));

const leaf: fc.Arbitrary<TestElement> = fc
  .constantFrom(...KNOWN)
  .chain(([tag, vr]): fc.Arbitrary<TestElement> => {
    if (vr === 'OB' || vr === 'OW' || vr === 'SL') {
      return bytes.map((value) => ({ tag, vr, value: vr === 'SL' ? Buffer.alloc(4) : value }));
    }
    if (vr === 'US') return fc.constant({ tag, vr, value: Buffer.alloc(2) });
    return (vr === 'UI' ? uid : text).map((value) => ({ tag, vr, value }));
  });

/** The elements of a data set, in the order of their tags, each tag once; sequences up to `depth` inside each other. */
export function dataSets(depth = 3): fc.Arbitrary<readonly TestElement[]> {
  const element =
    depth === 0 ? leaf : fc.oneof({ weight: 3, arbitrary: leaf }, { weight: 1, arbitrary: sequence(depth) });
  return fc
    .uniqueArray(element, { maxLength: depth === 3 ? 12 : 4, selector: ({ tag }) => tag })
    .map((elements) => elements.toSorted((one, other) => one.tag - other.tag));
}

function sequence(depth: number): fc.Arbitrary<TestElement> {
  return fc
    .record({
      tag: fc.constantFrom(...SEQUENCES),
      isUnknown: fc.boolean(),
      open: fc.boolean(),
      value: fc.array(dataSets(depth - 1), { maxLength: 2 }),
    })
    .map(({ tag, isUnknown, open, value }) => ({ tag, vr: isUnknown ? 'UN' : 'SQ', value, open }));
}
