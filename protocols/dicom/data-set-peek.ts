/**
 * Looks for a few elements in a data set while it passes: PS3.5 7.1 puts elements in the order of their tags, so that
 * what a study is told by stands in the first few KiB, long before the pixels. Values are jumped over by length; only
 * the bytes of wanted ones are kept. Elements inside sequences are not looked at.
 *
 * Sequences and items of undefined length (PS3.5 7.5) are jumped over by following what they hold until their
 * delimitation items. Depth tells what may come: 0 elements of the data set, odd items of a sequence, even elements of an
 * item. What an element of VR UN and undefined length holds is implicit little endian in every encoding (PS3.5 6.2.2).
 */
import { GrowingBuffer } from '../bytes/growing-buffer.ts';
import type { FactValue } from '../facts.ts';
import {
  ElementHeader,
  LONGEST_HEADER,
  NO_HEADER,
  TOO_FEW_BYTES,
  UNDEFINED_LENGTH,
  vrCode,
  vrName,
} from './element-header.ts';
import { valueText } from './element-value.ts';
import { type Encoding, encodingOf } from './encoding.ts';
import { ITEM_DELIMITATION_TAG, ITEM_TAG, SEQUENCE_DELIMITATION_TAG, TAG, vrOfTag } from './tags.ts';

export interface DataSetPeekOptions {
  /** The UID that was negotiated for the data set. */
  readonly transferSyntax: string;
  /** What is looked for: group * 65536 + element, ascending. */
  readonly tags: readonly number[];
  /**
   * Inflates the beginning of a raw deflate stream as far as it goes, up to a bound of its own; undefined when it is
   * none. Without it a deflated data set is malformed.
   */
  readonly inflate?: (prefix: Buffer) => Buffer | undefined;
}

export interface DataSetPeek {
  /** Takes the next bytes of the data set, in pieces of any size. Keeps nothing of them. Never throws. */
  push(bytes: Uint8Array): void;
  /** The data set is over. */
  end(): void;
  /**
   * `done`: every wanted tag was seen or passed, or the data set is over. `malformed`: no more can be known, what was
   * found before stays. What is pushed then is ignored.
   */
  readonly state: 'reading' | 'done' | 'malformed';
  /**
   * A wanted element: text without padding, several values where backslashes part them, integers in decimal digits;
   * undefined when it is absent, empty, a sequence, binary, or longer than VALUE_CAP. Of several the first counts.
   */
  value(tag: number): FactValue;
}

/** The longest wanted value that is collected, in bytes. */
export const VALUE_CAP = 64 * 1024;
/** Sequences and items of undefined length inside each other. */
const DEPTH_CAP = 128;
/** Compressed bytes with which inflating begins; it is done anew each time they doubled. */
const FIRST_INFLATION = 1024;
const UN = vrCode('UN');
const NONE = -1;

export function createDataSetPeek(options: DataSetPeekOptions): DataSetPeek {
  const encoding = encodingOf(options.transferSyntax);
  const peek = new PlainPeek(encoding, options.tags);
  return encoding.deflated ? new DeflatedPeek(peek, options.inflate) : peek;
}

class PlainPeek implements DataSetPeek {
  readonly #encoding: Encoding;
  readonly #tags: readonly number[];
  readonly #last: number;
  readonly #values = new Map<number, FactValue>();
  #state: DataSetPeek['state'] = 'reading';
  #utf8 = false;

  readonly #header = new ElementHeader();
  /** Of a header that a cut went through. */
  readonly #cut = new Uint8Array(LONGEST_HEADER);
  #cutLength = 0;
  /** Bytes of the value under way that are still to come. */
  #left = 0;
  /** The wanted tag whose value is under way, or NONE. */
  #wanted = NONE;
  /** Of a value that a cut went through. */
  readonly #value = new GrowingBuffer();

  #depth = 0;
  /** The depth inside an element of VR UN, or NONE. */
  #unknownDepth = NONE;

  constructor(encoding: Encoding, tags: readonly number[]) {
    this.#encoding = encoding;
    this.#tags = tags;
    this.#last = tags.at(-1) ?? NONE;
    if (tags.length === 0) this.#state = 'done';
  }

  get state(): DataSetPeek['state'] {
    return this.#state;
  }

  value(tag: number): FactValue {
    return this.#values.get(tag);
  }

  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length && this.#state === 'reading') {
      at = this.#left > 0 ? this.#readValue(bytes, at) : this.#readHeader(bytes, at);
    }
  }

  end(): void {
    if (this.#state !== 'reading') return;
    const isWhole = this.#left === 0 && this.#cutLength === 0 && this.#depth === 0;
    this.#state = isWhole ? 'done' : 'malformed';
  }

  fail(): void {
    this.#state = 'malformed';
  }

  #readValue(bytes: Uint8Array, start: number): number {
    const end = Math.min(bytes.length, start + this.#left);
    this.#left -= end - start;
    if (this.#wanted === NONE) return end;
    if (this.#left === 0 && this.#value.length === 0) {
      this.#endWanted(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start));
      return end;
    }
    this.#value.append(bytes, start, end);
    if (this.#left === 0) this.#endWanted(this.#value.view());
    return end;
  }

  #endWanted(bytes: Buffer): void {
    const tag = this.#wanted;
    const vr = this.#header.vr === 0 ? (vrOfTag(tag) ?? '') : vrName(this.#header.vr);
    const value = valueText(bytes, vr, this.#encoding, this.#utf8);
    if (tag === TAG.SPECIFIC_CHARACTER_SET) this.#utf8 = value === 'ISO_IR 192';
    this.#values.set(tag, value);
    this.#value.clear();
    this.#wanted = NONE;
    if (tag === this.#last) this.#state = 'done';
  }

  #readHeader(bytes: Uint8Array, start: number): number {
    if (this.#cutLength === 0) {
      const length = this.#parse(bytes, start, bytes.length);
      if (length !== TOO_FEW_BYTES) return this.#begin(start, length);
    }
    for (let at = start; at < bytes.length; ) {
      this.#cut[this.#cutLength++] = bytes[at++]!;
      const length = this.#parse(this.#cut, 0, this.#cutLength);
      if (length === TOO_FEW_BYTES) continue;
      this.#cutLength = 0;
      return this.#begin(at, Math.min(length, 0));
    }
    return bytes.length;
  }

  #parse(bytes: Uint8Array, start: number, end: number): number {
    const isUnknown = this.#unknownDepth !== NONE;
    const { explicit, bigEndian } = this.#encoding;
    return this.#header.read(bytes, start, end, explicit && !isUnknown, bigEndian && !isUnknown);
  }

  /** A header is complete. Returns where it ends, given where what is left of it begins. */
  #begin(at: number, length: number): number {
    if (length === NO_HEADER || !this.#isExpected()) {
      this.fail();
      return at;
    }
    if (this.#depth === 0) this.#beginTopLevel();
    else this.#beginInside();
    return at + length;
  }

  /** Items and their ends stand only where a sequence has them. */
  #isExpected(): boolean {
    const { tag } = this.#header;
    if (this.#depth % 2 === 1) return tag === ITEM_TAG || tag === SEQUENCE_DELIMITATION_TAG;
    return tag >>> 16 !== ITEM_TAG >>> 16 || (tag === ITEM_DELIMITATION_TAG && this.#depth > 0);
  }

  #beginTopLevel(): void {
    const { tag, length } = this.#header;
    if (tag > this.#last) {
      this.#state = 'done';
      return;
    }
    const isWanted = tag === TAG.SPECIFIC_CHARACTER_SET || this.#tags.includes(tag);
    if (isWanted && length > 0 && length <= VALUE_CAP && !this.#values.has(tag)) this.#wanted = tag;
    this.#jump();
  }

  #beginInside(): void {
    const { tag, length } = this.#header;
    if (tag !== ITEM_DELIMITATION_TAG && tag !== SEQUENCE_DELIMITATION_TAG) {
      this.#jump();
      return;
    }
    this.#depth--;
    if (this.#depth < this.#unknownDepth) this.#unknownDepth = NONE;
    if (length !== 0) this.fail();
  }

  /** Over the value, by its length or by what it holds. */
  #jump(): void {
    if (this.#header.length !== UNDEFINED_LENGTH) {
      this.#left = this.#header.length;
      return;
    }
    this.#depth++;
    if (this.#header.vr === UN) this.#unknownDepth = this.#depth;
    if (this.#depth > DEPTH_CAP) this.fail();
  }
}

/** Inflates the beginning of the data set, ever longer ones, and has a PlainPeek read what is new in each. */
class DeflatedPeek implements DataSetPeek {
  readonly #peek: PlainPeek;
  readonly #inflate: DataSetPeekOptions['inflate'];
  readonly #compressed = new GrowingBuffer();
  /** How much was inflated, and what it gave. */
  #tried = 0;
  #inflated = 0;

  constructor(peek: PlainPeek, inflate: DataSetPeekOptions['inflate']) {
    this.#peek = peek;
    this.#inflate = inflate;
  }

  get state(): DataSetPeek['state'] {
    return this.#peek.state;
  }

  value(tag: number): FactValue {
    return this.#peek.value(tag);
  }

  push(bytes: Uint8Array): void {
    if (this.state !== 'reading') return;
    this.#compressed.append(bytes, 0, bytes.length);
    this.#readDoubled();
  }

  end(): void {
    if (this.state === 'reading') this.#read(this.#compressed.length);
    this.#peek.end();
    this.#compressed.take();
  }

  #readDoubled(): void {
    for (;;) {
      const next = this.#tried === 0 ? FIRST_INFLATION : this.#tried * 2;
      if (this.state !== 'reading' || next > this.#compressed.length) break;
      const before = this.#inflated;
      this.#read(next);
      this.#tried = next;
      // The stream is over and other bytes follow, or it gives more than is looked at.
      if (this.state === 'reading' && this.#inflated === before) this.#peek.fail();
    }
    if (this.state !== 'reading') this.#compressed.take();
  }

  #read(length: number): void {
    const inflated = this.#inflate?.(this.#compressed.view().subarray(0, length));
    if (!inflated) {
      this.#peek.fail();
      return;
    }
    this.#peek.push(inflated.subarray(this.#inflated));
    this.#inflated = Math.max(this.#inflated, inflated.length);
  }
}
