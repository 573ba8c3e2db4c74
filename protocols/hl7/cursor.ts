/**
 * A cursor over an HL7 v2 message: reads fields out of the bytes where they are, copies and changes nothing.
 *
 *     MSH|^~\&|SENDER|WARD|…<CR>        HL7 v2.5.1 chapter 2: message delimiters, MSH
 *     offset 0   segment name, three letters
 *     offset 3   MSH-1, the field separator
 *     offset 4   MSH-2, the encoding characters: component, repetition, escape, subcomponent, and from v2.7 truncation
 *     …          MSH-3 and on, one field separator before each
 *
 * FHS and BHS begin a batch and are built the same way. Any delimiters are honoured; some senders leave encoding
 * characters out, from the end. Blanks and a byte order mark before the first segment are passed over. Segments end
 * with CR or CRLF; with LF when the first one does.
 *
 * Delimiters are looked for byte by byte: in the message itself, or where its character set (MSH-18) has bytes that
 * only look like delimiters, in a copy without them (`layout`). The header's own fields are told apart before that is
 * known: up to MSH-18 they are taken for ASCII.
 */
import { type CharacterSet, characterSetOf, decodeText, layoutOf } from './character-set.ts';
import { type FieldPath, fieldPath } from './field-path.ts';
import { isLatin1, latin1, NEAR, partStart, seek } from './parts.ts';
import {
  BHS,
  beginning,
  CR,
  codeAt,
  FHS,
  hasByteOrderMark,
  isDelimiter,
  isHeader,
  LF,
  MSH,
} from './segments.ts';
import { type Delimiters, unescapeBytes } from './text.ts';

/** Why a message cannot be read. */
export type MessageProblem =
  | 'no MSH segment'
  | 'MSH-1 is not a delimiter'
  | 'MSH-2 is not a row of delimiters'
  | 'MSH is too long';

/** A first segment longer than this is not read. */
const MAX_HEADER = 16_384;
/** Header fields whose offsets are kept; MSH has 25 by v2.8. */
const HEADER_FIELDS = 32;
/** MSH-18. */
const CHARACTER_SET = 18;
/** So many of its repetitions are looked at. */
const MOST_CHARACTER_SETS = 8;
/** ESC begins the escape sequences of ISO 2022. */
const SHIFT = 0x1b;
const NOTHING: readonly string[] = [];
const BYTE_ORDER_MARK_SAYS: readonly string[] = ['UNICODE UTF-8'];
const EMPTY = Buffer.alloc(0);

/** Opens a message; it reads from `bytes` for as long as it is used. Never throws: `problem` says when it cannot be read. */
export function openMessage(bytes: Buffer): Message {
  return new Message().open(bytes);
}

/** One message. May be opened again on other bytes, which saves making one for each message of a busy connection. */
export class Message implements Delimiters {
  bytes: Buffer = EMPTY;
  /** Undefined when the message can be read. With a problem no field has a value. */
  problem: MessageProblem | undefined;
  /** It begins with FHS or BHS. */
  batch = false;
  /** Bytes before the first segment: blanks, a byte order mark. */
  skipped = 0;
  /** The byte that ends segments: CR, or LF. */
  lineEnd = CR;
  fieldSeparator = -1;
  componentSeparator = -1;
  repetitionSeparator = -1;
  escapeCharacter = -1;
  subcomponentSeparator = -1;
  truncationCharacter = -1;
  /** Where each field of the first segment begins, by number; one more marks the end of the last. */
  readonly #headerFields = new Array<number>(HEADER_FIELDS + 2).fill(0);
  #headerFieldCount = 0;
  #characterSet: CharacterSet | undefined;
  #layout: Buffer | undefined;
  /** The range that was found last. */
  #from = 0;
  #to = 0;

  /** Reads the delimiters and the offsets of the first segment's fields; nothing else yet. */
  open(bytes: Buffer): this {
    this.bytes = bytes;
    this.#characterSet = undefined;
    this.#layout = undefined;
    this.#headerFieldCount = 0;
    this.problem = this.#openHeader();
    return this;
  }

  #openHeader(): MessageProblem | undefined {
    const { bytes } = this;
    const start = beginning(bytes, MAX_HEADER);
    this.skipped = start;
    const code = codeAt(bytes, start);
    this.batch = code === FHS || code === BHS;
    if (code !== MSH && !this.batch) return 'no MSH segment';
    const separator = bytes[start + 3] ?? CR;
    if (!isDelimiter(separator)) return 'MSH-1 is not a delimiter';

    const fields = this.#headerFields;
    const limit = Math.min(bytes.length, start + MAX_HEADER);
    fields[1] = start + 3;
    fields[2] = start + 4;
    let count = 2;
    let at = start + 4;
    for (; at < limit; at++) {
      const byte = bytes[at]!;
      if (byte === separator) {
        if (count <= HEADER_FIELDS) fields[++count] = at + 1;
      } else if (byte === CR || byte === LF) break;
    }
    if (at === limit && limit < bytes.length) return 'MSH is too long';
    if (count > HEADER_FIELDS) count = HEADER_FIELDS;
    else fields[count + 1] = at + 1;
    this.lineEnd = bytes[at] === LF ? LF : CR;
    this.fieldSeparator = separator;
    if (!this.#openEncodingCharacters(start + 4, fields[3]! - 1)) return 'MSH-2 is not a row of delimiters';
    this.#headerFieldCount = count;
    return undefined;
  }

  #openEncodingCharacters(from: number, to: number): boolean {
    const { bytes } = this;
    const count = to - from;
    if (count < 1 || count > 5) return false;
    for (let at = from; at < to; at++) if (!isDelimiter(bytes[at]!)) return false;
    this.componentSeparator = bytes[from]!;
    this.repetitionSeparator = count > 1 ? bytes[from + 1]! : -1;
    this.escapeCharacter = count > 2 ? bytes[from + 2]! : -1;
    this.subcomponentSeparator = count > 3 ? bytes[from + 3]! : -1;
    this.truncationCharacter = count > 4 ? bytes[from + 4]! : -1;
    return true;
  }

  /**
   * How text in this message is decoded: by MSH-18, in a batch that of its first message; a byte order mark says UTF-8.
   */
  get characterSet(): CharacterSet {
    this.#characterSet ??= characterSetOf(this.#declaredCharacterSets());
    return this.#characterSet;
  }

  #declaredCharacterSets(): readonly string[] {
    const { bytes, fieldSeparator, repetitionSeparator } = this;
    if (hasByteOrderMark(bytes, this.skipped - 3)) return BYTE_ORDER_MARK_SAYS;
    let from = 0;
    let to = 0;
    if (!this.batch) {
      if (this.#headerFieldCount < CHARACTER_SET) return NOTHING;
      from = this.#headerFields[CHARACTER_SET]!;
      to = this.#headerFields[CHARACTER_SET + 1]! - 1;
    } else {
      const at = this.findSegment(MSH);
      if (at < 0) return NOTHING;
      // MSH-1 is the separator itself, so that MSH-18 is the eighteenth part.
      const end = this.segmentEnd(at);
      from = partStart(bytes, fieldSeparator, CHARACTER_SET, at, end);
      if (from < 0) return NOTHING;
      to = seek(bytes, fieldSeparator, from, end);
    }
    if (from === to) return NOTHING;
    const declared = latin1(bytes, from, to);
    if (repetitionSeparator < 0) return [declared];
    return declared.split(String.fromCharCode(repetitionSeparator), MOST_CHARACTER_SETS);
  }

  /**
   * Where delimiters are to be looked for: the message, or as many bytes in which those that only look like one are
   * NUL. What a field's bytes are stands in `bytes`.
   */
  get layout(): Buffer {
    this.#layout ??= layoutOf(this.bytes, this.characterSet);
    return this.#layout;
  }

  /**
   * Field `number` of the first segment - MSH, in a batch FHS or BHS - or a component of its first repetition, as it
   * stands: one character a byte, escape sequences unresolved, '' when it has no value. `likely` is what it probably
   * is: the same string is returned then, and none is made.
   */
  header(number: number, component = 0, likely = ''): string {
    if (!this.#findHeader(number, component)) return '';
    const { bytes } = this;
    return isLatin1(bytes, this.#from, this.#to, likely) ? likely : latin1(bytes, this.#from, this.#to);
  }

  /** As `header`, but the bytes themselves: a view. */
  headerBytes(number: number, component = 0): Buffer {
    return this.#findHeader(number, component) ? this.bytes.subarray(this.#from, this.#to) : EMPTY;
  }

  /** As `header`, but as text: escape sequences resolved, decoded by `characterSet`. */
  headerText(number: number, component = 0): string {
    return this.#findHeader(number, component) ? this.#text() : '';
  }

  /**
   * The bytes at a path (`PID-3[2].1`): a view. Undefined when the message has no such field or it is empty; a field
   * that is to be deleted gives its two bytes `""`. Read in the first segment of that name, and
   * in the field's first repetition when the path names none.
   */
  field(path: FieldPath | string): Buffer | undefined {
    return this.#find(path) ? this.bytes.subarray(this.#from, this.#to) : undefined;
  }

  /** As `field`, but as text: escape sequences resolved, decoded by `characterSet`. */
  text(path: FieldPath | string): string | undefined {
    return this.#find(path) ? this.#text() : undefined;
  }

  /** The texts at a path in every segment of that name and, when the path names none, in every repetition: `limit` of them at most. */
  texts(path: FieldPath | string, limit = 64): string[] {
    const wanted = typeof path === 'string' ? fieldPath(path) : path;
    const found: string[] = [];
    let at = this.findSegment(wanted.segmentCode);
    for (; at >= 0 && found.length < limit; at = this.findSegment(wanted.segmentCode, at)) {
      this.#collect(at, wanted, limit, found);
    }
    return found;
  }

  /** As `texts`, but in the segment at `at` alone, which has the path's name. */
  textsAt(at: number, path: FieldPath, limit = 64): string[] {
    const found: string[] = [];
    this.#collect(at, path, limit, found);
    return found;
  }

  #collect(at: number, wanted: FieldPath, limit: number, found: string[]): void {
    const last = wanted.repetition || limit;
    for (let repetition = wanted.repetition || 1; repetition <= last; repetition++) {
      if (found.length === limit || !this.#findIn(at, wanted, repetition)) return;
      if (this.#to > this.#from) found.push(this.#text());
    }
  }

  /** Where the next segment of a name begins, after the one at `after` or, without it, from the first on; -1 for none. */
  findSegment(code: number, after = -1): number {
    let at = after < 0 ? this.firstSegment : this.nextSegment(after);
    while (at >= 0 && this.segmentCode(at) !== code) at = this.nextSegment(at);
    return at;
  }

  /** Where the first segment begins, -1 when the message cannot be read. */
  get firstSegment(): number {
    return this.problem === undefined ? this.skipped : -1;
  }

  /** Where the segment after the one at `at` begins, -1 after the last. Empty lines do not count. */
  nextSegment(at: number): number {
    const { bytes } = this;
    let next = bytes.indexOf(this.lineEnd, at);
    if (next < 0) return -1;
    while (bytes[next] === CR || bytes[next] === LF) next++;
    return next < bytes.length ? next : -1;
  }

  /** The name of the segment at `at` as a number (`segmentCode` in `segments.ts`). */
  segmentCode(at: number): number {
    return codeAt(this.bytes, at);
  }

  /** Where the segment at `at` ends: at its line end. */
  segmentEnd(at: number): number {
    return seek(this.bytes, this.lineEnd, at, this.bytes.length);
  }

  /** Field `number` of the segment at `at` as it stands, one character a byte; '' when it has no value. */
  fieldLatin1(at: number, number: number): string {
    const start = this.fieldStart(at, number);
    return start < 0 ? '' : latin1(this.bytes, start, this.fieldEnd(start));
  }

  /** Where field `number` of the segment at `at` begins, -1 when the segment ends before it. */
  fieldStart(at: number, number: number): number {
    const { layout, fieldSeparator, lineEnd } = this;
    // MSH-1 is the separator itself, so that MSH-2 is what follows the first one.
    const separators = isHeader(codeAt(layout, at)) ? number - 1 : number;
    if (separators === 0) return at + 3;
    // Most fields that are asked for are near the beginning: found without looking for the segment's end first.
    const near = Math.min(at + NEAR, layout.length);
    let passed = 0;
    for (let next = at; next < near; next++) {
      const byte = layout[next];
      if (byte === lineEnd) return -1;
      if (byte === fieldSeparator && ++passed === separators) return next + 1;
    }
    return partStart(layout, fieldSeparator, separators + 1, at, this.segmentEnd(at));
  }

  /** Where the field that begins at `start` ends. Not for MSH-1. */
  fieldEnd(start: number): number {
    const { layout, fieldSeparator, lineEnd } = this;
    const near = Math.min(start + NEAR, layout.length);
    for (let next = start; next < near; next++) {
      const byte = layout[next];
      if (byte === fieldSeparator || byte === lineEnd) return next;
    }
    return seek(layout, fieldSeparator, near, this.segmentEnd(near));
  }

  #findHeader(number: number, component: number): boolean {
    if (number > this.#headerFieldCount) return false;
    this.#from = this.#headerFields[number]!;
    this.#to = number === 1 ? this.#from + 1 : this.#headerFields[number + 1]! - 1;
    return component === 0 || this.#narrow(this.#from, this.#to, 1, component, 0);
  }

  #find(path: FieldPath | string): boolean {
    const wanted = typeof path === 'string' ? fieldPath(path) : path;
    const at = this.findSegment(wanted.segmentCode);
    return at >= 0 && this.#findIn(at, wanted, wanted.repetition || 1) && this.#to > this.#from;
  }

  #findIn(at: number, wanted: FieldPath, repetition: number): boolean {
    const { field, component, subcomponent } = wanted;
    const start = this.fieldStart(at, field);
    if (start < 0) return false;
    if (field <= 2 && isHeader(codeAt(this.bytes, at))) {
      this.#from = start;
      this.#to = field === 1 ? start + 1 : this.fieldEnd(start);
      return repetition === 1 && component <= 1 && subcomponent <= 1;
    }
    return this.#narrow(start, this.fieldEnd(start), repetition, component, subcomponent);
  }

  /** Finds a part of the field from `from` to `to`; false when there is no such part. */
  #narrow(from: number, to: number, repetition: number, component: number, subcomponent: number): boolean {
    return (
      this.#part(this.repetitionSeparator, repetition, from, to) &&
      (component === 0 || this.#part(this.componentSeparator, component, this.#from, this.#to)) &&
      (subcomponent === 0 || this.#part(this.subcomponentSeparator, subcomponent, this.#from, this.#to))
    );
  }

  #part(separator: number, number: number, from: number, to: number): boolean {
    const { layout } = this;
    const start = partStart(layout, separator, number, from, to);
    if (start < 0) return false;
    this.#from = start;
    this.#to = seek(layout, separator, start, to);
    return true;
  }

  /** The range that was found, as text. */
  #text(): string {
    const { bytes, escapeCharacter } = this;
    for (let at = this.#from; at < this.#to; at++) {
      const byte = bytes[at]!;
      if (byte < 0x80 && byte !== escapeCharacter && byte !== SHIFT) continue;
      const found = bytes.subarray(this.#from, this.#to);
      const layout = this.layout.subarray(this.#from, this.#to);
      return decodeText(unescapeBytes(found, this, layout), this.characterSet);
    }
    return latin1(bytes, this.#from, this.#to);
  }
}
