/**
 * Finds the end of a message's head: the first empty line (RFC 9112 2.1). Memory grows with what arrived, up to a cap.
 *
 * What can become no head any more is refused at once: with bare LF as line ends, or with a first line of HTTP/0.9, the
 * empty line might never come.
 */
import { GrowingBuffer } from '../bytes/growing-buffer.ts';
import { MessageFault } from './message-head.ts';

const EMPTY_LINE = Buffer.from('\r\n\r\n', 'latin1');
const LINE_END = Buffer.from('\r\n', 'latin1');
const CR = 0x0d;
const LF = 0x0a;

export class HeadCollector {
  /** How many of the bytes last pushed belong to the head. */
  used = 0;
  readonly #most: number;
  readonly #collected = new GrowingBuffer();

  /** `most`: bytes of a head, start line and empty line included. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Nothing of a next head has arrived. */
  get isEmpty(): boolean {
    return this.#collected.length === 0;
  }

  /**
   * Takes the next bytes. Returns the head without its empty line, a character a byte, once it is whole. Throws
   * MessageFault: 414, 431 as soon as it is longer than it may be, 400 as soon as it cannot be one.
   */
  push(bytes: Buffer): string | undefined {
    const before = this.#collected.length;
    if (before > 0) return this.#pushMore(bytes, before);
    const end = bytes.indexOf(EMPTY_LINE);
    if (end === -1) {
      if (bytes.length > this.#most) throw tooLong(bytes);
      checkLines(bytes, 0);
      this.#collected.append(bytes, 0, bytes.length);
      this.used = bytes.length;
      return undefined;
    }
    this.used = end + EMPTY_LINE.length;
    if (this.used > this.#most) throw tooLong(bytes);
    return bytes.toString('latin1', 0, end);
  }

  #pushMore(bytes: Buffer, before: number): string | undefined {
    // One byte more than may be, at most, so that nobody can make this grow.
    const length = Math.min(bytes.length, this.#most - before + 1);
    this.#collected.append(bytes, 0, length);
    const all = this.#collected.view();
    const end = all.indexOf(EMPTY_LINE, Math.max(0, before - EMPTY_LINE.length + 1));
    if (all.length > this.#most && (end === -1 || end + EMPTY_LINE.length > this.#most)) throw tooLong(all);
    this.used = end === -1 ? length : end + EMPTY_LINE.length - before;
    if (end === -1) {
      checkLines(all, before);
      return undefined;
    }
    const head = all.toString('latin1', 0, end);
    this.#collected.take();
    return head;
  }
}

/** Looks at the line ends that arrived from `start` on, and at the first line, which the version is in. */
function checkLines(bytes: Buffer, start: number): void {
  const isBehindEmptyLine = bytes[0] === CR && bytes[1] === LF;
  const firstEnd = bytes.indexOf(LF, isBehindEmptyLine ? LINE_END.length : 0);
  for (let at = bytes.indexOf(LF, start); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    const isHead = bytes[at - 1] === CR && (at !== firstEnd || bytes.subarray(0, at).includes('HTTP/'));
    if (!isHead) throw new MessageFault(400, 'The start line or the end of a line is not one of HTTP/1.');
  }
}

function tooLong(bytes: Buffer): MessageFault {
  return bytes.includes(LINE_END)
    ? new MessageFault(431, 'The header fields are too long.')
    : new MessageFault(414, 'The request target is too long.');
}
