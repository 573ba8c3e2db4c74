/**
 * Small whole data sets, those of storage commitment for one: read into elements, changed, and written again. What was
 * not touched is written with the bytes it came in. For instances, which may be huge, there is data-set-peek.ts.
 */
import { firstValue } from '../facts.ts';
import { ElementHeader, UNDEFINED_LENGTH, vrCode, vrName } from './element-header.ts';
import { valueText } from './element-value.ts';
import { type Encoding, encodingOf, IMPLICIT_LITTLE_ENDIAN } from './encoding.ts';
import { ITEM_DELIMITATION_TAG, ITEM_TAG, SEQUENCE_DELIMITATION_TAG, vrOfTag } from './tags.ts';

/** Elements in the order of their tags. */
export type DataSet = readonly Element[];

export interface Element {
  /** Group * 65536 + element. */
  readonly tag: number;
  /** Two letters; UN where the encoding leaves it out and tags.ts does not know it. */
  readonly vr: string;
  /** A view of what was read, as `encoding` has it; empty where there are items. */
  readonly value: Buffer;
  /** Of a sequence. One of defined length whose VR is not known is a value, and has none. */
  readonly items: readonly DataSet[] | undefined;
  readonly encoding: Encoding;
  /** A view of all bytes of an element that was read, its header included; undefined of one that was made. */
  readonly raw: Buffer | undefined;
}

/** Sequences inside each other. */
const DEPTH_CAP = 32;
const EMPTY = Buffer.alloc(0);
const UN = vrCode('UN');

/**
 * Reads a whole data set, of which the elements are views. undefined when it is malformed, has encapsulated pixels, or
 * is deflated and `inflate` is missing or fails.
 */
export function readDataSet(
  bytes: Buffer,
  transferSyntax: string,
  inflate?: (deflated: Buffer) => Buffer | undefined,
): DataSet | undefined {
  const encoding = encodingOf(transferSyntax);
  const plain = encoding.deflated ? inflate?.(bytes) : bytes;
  try {
    return plain && new Reader(plain).elements(plain.length, encoding, false, 0);
  } catch (error) {
    if (error instanceof Malformed) return undefined;
    throw error;
  }
}

export function elementOf(dataSet: DataSet, tag: number): Element | undefined {
  return dataSet.find((element) => element.tag === tag);
}

/** The text of an element, its first value where there are several; integers in decimal digits; undefined: none. */
export function textOf(dataSet: DataSet, tag: number): string | undefined {
  const element = elementOf(dataSet, tag);
  return element && firstValue(valueText(element.value, element.vr, element.encoding));
}

/** The items of a sequence; none when it is absent or empty. */
export function itemsOf(dataSet: DataSet, tag: number): readonly DataSet[] {
  return elementOf(dataSet, tag)?.items ?? [];
}

/** An element of text, padded to an even length: UIDs with a NUL, the rest with a space (PS3.5 6.2). */
export function textElement(tag: number, vr: string, text: string): Element {
  const padded = text.length % 2 === 0 ? text : text + (vr === 'UI' ? '\0' : ' ');
  return made(tag, vr, Buffer.from(padded, 'latin1'), undefined);
}

/** An element of one number of 16 bits. */
export function shortElement(tag: number, number: number): Element {
  const value = Buffer.alloc(2);
  value.writeUInt16LE(number);
  return made(tag, 'US', value, undefined);
}

export function sequenceElement(tag: number, items: readonly DataSet[]): Element {
  return made(tag, 'SQ', EMPTY, items);
}

/** A data set with that element at its place, instead of any other of the same tag. */
export function withElement(dataSet: DataSet, element: Element): DataSet {
  return [
    ...dataSet.filter(({ tag }) => tag < element.tag),
    element,
    ...dataSet.filter(({ tag }) => tag > element.tag),
  ];
}

export function withoutElement(dataSet: DataSet, tag: number): DataSet {
  return dataSet.filter((element) => element.tag !== tag);
}

function made(tag: number, vr: string, value: Buffer, items: readonly DataSet[] | undefined): Element {
  return { tag, vr, value, items, encoding: IMPLICIT_LITTLE_ENDIAN, raw: undefined };
}

class Malformed extends Error {}

class Reader {
  readonly #bytes: Buffer;
  readonly #header = new ElementHeader();
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The elements until `end`, or `delimited` by an item delimitation before it. */
  elements(end: number, encoding: Encoding, delimited: boolean, depth: number): DataSet {
    const elements: Element[] = [];
    while (delimited || this.#at < end) {
      const start = this.#at;
      this.#readHeader(end, encoding);
      if (delimited && this.#header.tag === ITEM_DELIMITATION_TAG) break;
      if (this.#header.tag >>> 16 === ITEM_TAG >>> 16) throw new Malformed();
      elements.push(this.#element(start, end, encoding, depth));
    }
    return elements;
  }

  /** The element whose header was read. */
  #element(start: number, end: number, encoding: Encoding, depth: number): Element {
    const { tag, vr: code, length } = this.#header;
    const vr = code === 0 ? (vrOfTag(tag) ?? 'UN') : vrName(code);
    const valueStart = this.#at;
    const isDelimited = length === UNDEFINED_LENGTH;
    if (!isDelimited && length > end - valueStart) throw new Malformed();
    let items: readonly DataSet[] | undefined;
    if (isDelimited || vr === 'SQ') {
      // PS3.5 6.2.2: what such an element holds is implicit little endian.
      const inner = code === UN ? IMPLICIT_LITTLE_ENDIAN : encoding;
      items = this.#items(isDelimited ? end : valueStart + length, inner, isDelimited, depth + 1);
    } else {
      this.#at += length;
    }
    const value = items ? EMPTY : this.#bytes.subarray(valueStart, this.#at);
    return { tag, vr: items ? 'SQ' : vr, value, items, encoding, raw: this.#bytes.subarray(start, this.#at) };
  }

  #items(end: number, encoding: Encoding, delimited: boolean, depth: number): DataSet[] {
    if (depth > DEPTH_CAP) throw new Malformed();
    const items: DataSet[] = [];
    while (delimited || this.#at < end) {
      this.#readHeader(end, encoding);
      const { tag, length } = this.#header;
      if (delimited && tag === SEQUENCE_DELIMITATION_TAG) break;
      const isDelimited = length === UNDEFINED_LENGTH;
      if (tag !== ITEM_TAG || (!isDelimited && length > end - this.#at)) throw new Malformed();
      items.push(this.elements(isDelimited ? end : this.#at + length, encoding, isDelimited, depth));
    }
    return items;
  }

  #readHeader(end: number, { explicit, bigEndian }: Encoding): void {
    const length = this.#header.read(this.#bytes, this.#at, end, explicit, bigEndian);
    const { tag } = this.#header;
    const isEnd = tag === ITEM_DELIMITATION_TAG || tag === SEQUENCE_DELIMITATION_TAG;
    if (length <= 0 || (isEnd && this.#header.length !== 0)) throw new Malformed();
    this.#at += length;
  }
}
