/**
 * Writes messages in as few writes as can be: a head and a small body are one. What is put together lies in a buffer
 * that is used again, unless the kernel did not take it at once.
 */
import type { Fields } from '../../../protocols/http/fields.ts';
import type { Channel } from '../../relay/channel.ts';

const SCRATCH = 16 * 1024;
/** Content up to this length is copied behind what goes before it. */
const COPIED = 12 * 1024;

let scratch = Buffer.allocUnsafeSlow(SCRATCH);

export interface Piece {
  /** What goes before the content, a character a byte: a head with its empty line. */
  readonly head: string;
  /** A view, valid until this returns, or, when it returns false, until `taken`. */
  readonly content: Buffer;
  readonly isChunked: boolean;
  /** The body ends with this. */
  readonly isLast: boolean;
  readonly trailers: Fields;
}

/** True when the kernel took everything; otherwise `taken` is called when it has. */
export function writePiece(channel: Channel, piece: Piece, taken: () => void): boolean {
  const { head, content, isChunked, isLast, trailers } = piece;
  const inChunk = isChunked && content.length > 0;
  const before = inChunk ? `${head}${content.length.toString(16)}\r\n` : head;
  const after = (inChunk ? '\r\n' : '') + (isChunked && isLast ? `0\r\n${fieldLines(trailers)}\r\n` : '');
  const length = before.length + content.length + after.length;
  if (length === 0) return true;
  if (content.length <= COPIED && length <= SCRATCH) {
    return writeTogether(channel, before, content, after, length, taken);
  }
  if (before !== '') channel.write(Buffer.from(before, 'latin1'));
  // Nothing is taken before what was written earlier is: the last write speaks for all.
  if (after === '') return channel.write(content, taken);
  channel.write(content);
  return channel.write(Buffer.from(after, 'latin1'), taken);
}

function writeTogether(
  channel: Channel,
  before: string,
  content: Buffer,
  after: string,
  length: number,
  taken: () => void,
): boolean {
  let at = before === '' ? 0 : scratch.write(before, 0, before.length, 'latin1');
  if (content.length > 0) {
    scratch.set(content, at);
    at += content.length;
  }
  if (after !== '') scratch.write(after, at, after.length, 'latin1');
  if (channel.write(scratch.subarray(0, length), taken)) return true;
  scratch = Buffer.allocUnsafeSlow(SCRATCH);
  return false;
}

/** Field lines, each with its CRLF. */
export function fieldLines(fields: Fields): string {
  let lines = '';
  for (let at = 0; at < fields.length; at += 2) lines += `${fields[at]}: ${fields[at + 1]}\r\n`;
  return lines;
}
