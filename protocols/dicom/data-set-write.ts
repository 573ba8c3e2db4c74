/** Writes the data sets of data-set.ts: headers as in element-header.ts, sequences and items of defined length. */
import type { DataSet, Element } from './data-set.ts';
import { isShortVr, vrCode } from './element-header.ts';
import { type Encoding, encodingOf } from './encoding.ts';
import { ITEM_TAG } from './tags.ts';

/** VRs of binary numbers → bytes each (PS3.5 7.3). */
const NUMBER_SIZES: ReadonlyMap<string, number> = new Map([
  ...['AT', 'OW', 'SS', 'US'].map((vr) => [vr, 2] as const),
  ...['FL', 'OF', 'OL', 'SL', 'UL'].map((vr) => [vr, 4] as const),
  ...['FD', 'OD', 'OV', 'SV', 'UV'].map((vr) => [vr, 8] as const),
]);
const LONGEST_SHORT_VALUE = 0xffff;

/**
 * A whole data set in that transfer syntax (UID), whichever its elements were read in. Throws RangeError when it is
 * deflated and `deflate` is missing.
 */
export function writeDataSet(
  dataSet: DataSet,
  transferSyntax: string,
  deflate?: (dataSet: Buffer) => Buffer,
): Buffer {
  const encoding = encodingOf(transferSyntax);
  const bytes = encodeAll(dataSet, encoding);
  if (!encoding.deflated) return bytes;
  if (!deflate) throw new RangeError(`a data set in ${transferSyntax} has to be deflated`);
  const deflated = deflate(bytes);
  // PS3.5 A.5: to an even length, with a NUL.
  return deflated.length % 2 === 0 ? deflated : Buffer.concat([deflated, Buffer.alloc(1)]);
}

function encodeAll(dataSet: DataSet, encoding: Encoding): Buffer {
  return Buffer.concat(dataSet.map((element) => encode(element, encoding)));
}

function encode(element: Element, encoding: Encoding): Buffer {
  const { tag, vr, value, items, raw, encoding: from } = element;
  if (raw && from.explicit === encoding.explicit && from.bigEndian === encoding.bigEndian) return raw;
  const body = items
    ? Buffer.concat(items.map((item) => withHeader(ITEM_TAG, undefined, encodeAll(item, encoding), encoding)))
    : inByteOrder(value, vr, from, encoding);
  return withHeader(tag, encoding.explicit ? vr : undefined, body, encoding);
}

function inByteOrder(value: Buffer, vr: string, from: Encoding, to: Encoding): Buffer {
  const size = NUMBER_SIZES.get(vr);
  if (size === undefined || from.bigEndian === to.bigEndian) return value;
  const swapped = Buffer.from(value);
  for (let at = 0; at + size <= swapped.length; at += size) swapped.subarray(at, at + size).reverse();
  return swapped;
}

/** `vr`: undefined where the header has none. */
function withHeader(tag: number, vr: string | undefined, value: Buffer, { bigEndian }: Encoding): Buffer {
  // PS3.5 6.2.2: a value too long for the length field of its VR is written as UN.
  const isTooLong = vr !== undefined && isShortVr(vrCode(vr)) && value.length > LONGEST_SHORT_VALUE;
  const written = isTooLong ? 'UN' : vr;
  const isLong = written !== undefined && !isShortVr(vrCode(written));
  const header = Buffer.alloc(isLong ? 12 : 8);
  const uint16 = (number: number, at: number) =>
    bigEndian ? header.writeUInt16BE(number, at) : header.writeUInt16LE(number, at);
  const uint32 = (number: number, at: number) =>
    bigEndian ? header.writeUInt32BE(number, at) : header.writeUInt32LE(number, at);
  uint16(tag >>> 16, 0);
  uint16(tag & 0xffff, 2);
  if (written !== undefined) header.write(written, 4, 'latin1');
  if (written !== undefined && !isLong) uint16(value.length, 6);
  else uint32(value.length, header.length - 4);
  return Buffer.concat([header, value]);
}
