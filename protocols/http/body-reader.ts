/**
 * The body of an HTTP/1 message: where it ends, and what of its bytes is content (RFC 9112 6.3, 7.1).
 *
 *     chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF ) 1*"0" [ chunk-ext ] CRLF trailer-section CRLF
 *
 * Chunk sizes are digits and nothing else, lines end with CRLF, and extensions, which nobody uses, are skipped.
 */
import { GrowingBuffer } from '../bytes/growing-buffer.ts';
import { type Fields, fieldValue, fieldValues } from './fields.ts';
import { MessageFault, readTrailers } from './message-head.ts';

/** A length in bytes (0: there is no body), in chunks, or until the connection ends. */
export type Framing = number | 'chunked' | 'until-close';

/** Of a request that `requestFault` has nothing against. */
export function requestFraming(fields: Fields): Framing {
  if (fieldValue(fields, 'transfer-encoding') !== undefined) return 'chunked';
  return Number(fieldValue(fields, 'content-length') ?? 0);
}

/**
 * Of a response that may have a body (not one to HEAD, nor 1xx, 204, 304). undefined: nobody can tell where it ends.
 * RFC 9112 6.3 lets Transfer-Encoding go before Content-Length; who sends both is not to be trusted with either.
 */
export function responseFraming(fields: Fields): Framing | undefined {
  const lengths = fieldValues(fields, 'content-length');
  const codings = fieldValues(fields, 'transfer-encoding');
  if (codings.length > 0) {
    const isChunked = codings.length === 1 && codings[0]!.toLowerCase() === 'chunked';
    return isChunked && lengths.length === 0 ? 'chunked' : undefined;
  }
  if (lengths.length === 0) return 'until-close';
  return lengths.length === 1 && /^[0-9]{1,15}$/.test(lengths[0]!) ? Number(lengths[0]) : undefined;
}

/** Sixteen digits would not fit a number. */
const MOST_DIGITS = 13;
const LONGEST_EXTENSION = 256;
const LONGEST_TRAILERS = 8192;

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;

/** What a chunked body goes on with. */
type Part = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailers';

const NO_FIELDS: Fields = [];

export class BodyReader {
  /** The body is whole. */
  isDone = true;
  /** How many of the bytes last read belong to the body. */
  used = 0;
  /** Behind the last chunk, once the body is whole. */
  trailers: Fields = NO_FIELDS;
  #framing: Framing = 0;
  /** Bytes of content that this chunk, or the body, still has. */
  #left = 0;
  #part: Part = 'size';
  #digits = 0;
  #skipped = 0;
  #trailers: GrowingBuffer | undefined;

  /** A body begins. */
  begin(framing: Framing): void {
    this.#framing = framing;
    this.#left = typeof framing === 'number' ? framing : 0;
    this.#part = 'size';
    this.#digits = 0;
    this.isDone = framing === 0;
    this.trailers = NO_FIELDS;
  }

  /**
   * The content in `bytes`: a view of them. They are changed: where a body comes in chunks, its content is moved
   * together. Throws MessageFault.
   */
  read(bytes: Buffer): Buffer {
    if (this.#framing === 'chunked') return this.#readChunks(bytes);
    if (this.#framing === 'until-close') {
      this.used = bytes.length;
      return bytes;
    }
    this.used = Math.min(bytes.length, this.#left);
    this.#left -= this.used;
    this.isDone = this.#left === 0;
    return this.used === bytes.length ? bytes : bytes.subarray(0, this.used);
  }

  /** The connection has ended in order: true when that ends the body. */
  end(): boolean {
    if (this.#framing === 'until-close') this.isDone = true;
    return this.isDone;
  }

  #readChunks(bytes: Buffer): Buffer {
    let from = 0;
    let to = 0;
    let at = 0;
    while (at < bytes.length && !this.isDone) {
      if (this.#part !== 'data') {
        at = this.#readFrame(bytes, at);
        continue;
      }
      const length = Math.min(this.#left, bytes.length - at);
      if (to === from) from = to = at;
      else bytes.copyWithin(to, at, at + length);
      to += length;
      at += length;
      this.#left -= length;
      if (this.#left === 0) this.#part = 'data-cr';
    }
    this.used = at;
    return bytes.subarray(from, to);
  }

  /** What is round the data. Returns where to go on. */
  #readFrame(bytes: Buffer, at: number): number {
    const byte = bytes[at]!;
    switch (this.#part) {
      case 'size':
        this.#readSize(byte);
        return at + 1;
      case 'extension':
        if (byte === CR) this.#part = 'size-lf';
        else this.#skip(byte);
        return at + 1;
      case 'size-lf':
        expect(byte, LF);
        if (this.#left > 0) this.#part = 'data';
        else this.#beginTrailers();
        return at + 1;
      case 'data-cr':
        expect(byte, CR);
        this.#part = 'data-lf';
        return at + 1;
      case 'data-lf':
        expect(byte, LF);
        this.#part = 'size';
        this.#digits = 0;
        return at + 1;
      default:
        return this.#readTrailers(bytes, at);
    }
  }

  #readSize(byte: number): void {
    const digit = hexadecimal(byte);
    if (digit !== -1) {
      this.#left = this.#left * 16 + digit;
      if (++this.#digits > MOST_DIGITS) throw malformed();
      return;
    }
    if (this.#digits === 0) throw malformed();
    this.#skipped = 0;
    if (byte === CR) this.#part = 'size-lf';
    else if (byte === SEMICOLON) this.#part = 'extension';
    else throw malformed();
  }

  #skip(byte: number): void {
    const isText = byte === 0x09 || (byte >= 0x20 && byte !== 0x7f);
    if (!isText || ++this.#skipped > LONGEST_EXTENSION) throw malformed();
  }

  #beginTrailers(): void {
    this.#part = 'trailers';
    this.#trailers ??= new GrowingBuffer();
    // The CRLF of the last chunk, so that each field line follows one, and the first empty line is the end.
    this.#trailers.append(LINE_END, 0, 2);
  }

  #readTrailers(bytes: Buffer, start: number): number {
    const collected = this.#trailers!;
    const before = collected.length;
    // The usual end is two bytes.
    const stop = Math.min(bytes.length, start + LONGEST_TRAILERS);
    collected.append(bytes, start, stop);
    const all = collected.view();
    const end = all.indexOf(EMPTY_LINE, Math.max(0, before - 3));
    if (end === -1) {
      if (all.length > LONGEST_TRAILERS) throw new MessageFault(431, 'The trailer fields are too long.');
      return stop;
    }
    if (end > 0) this.trailers = readTrailers(all.toString('latin1', 0, end));
    collected.clear();
    this.isDone = true;
    return start + end + EMPTY_LINE.length - before;
  }
}

const LINE_END = Buffer.from('\r\n', 'latin1');
const EMPTY_LINE = Buffer.from('\r\n\r\n', 'latin1');

function expect(byte: number, wanted: number): void {
  if (byte !== wanted) throw malformed();
}

function malformed(): MessageFault {
  return new MessageFault(400, 'The chunked body is malformed.');
}

/** The value of a digit, or -1. */
function hexadecimal(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
