/**
 * Messages on their way to one peer, one after the other (PS3.8 Annex E: never interleaved), each written while it
 * still arrives. Fragments are cut anew only where the peer takes less than they have.
 */
import {
  COMMAND_BIT,
  FRAME_HEADER_LENGTH,
  fragmentLength,
  frameControl,
  longestFragment,
  putFrameHeader,
} from '../../../../protocols/dicom/p-data.ts';
import type { Channel } from '../../../relay/channel.ts';
import type { Message } from './message.ts';

export interface OutboxListener {
  /** The peer took what it was given, or a message went out whole. */
  moved(): void;
}

export class Outbox {
  readonly #channel: Channel;
  readonly #listener: OutboxListener;
  readonly #cutter: FrameCutter;
  readonly #queue: Message[] = [];
  readonly #taken = () => {
    this.#isHeldBack = false;
    this.pump();
    this.#listener.moved();
  };
  /** The peer does not take any more for the moment. */
  #isHeldBack = false;

  /** `maxLength`: what the peer announced, in bytes; 0 is no limit. */
  constructor(channel: Channel, maxLength: number, listener: OutboxListener) {
    this.#channel = channel;
    this.#listener = listener;
    this.#cutter = new FrameCutter(longestFragment(maxLength));
  }

  /** Between two PDUs, and nothing is left for the system to send: an A-ABORT may follow. */
  get atBoundary(): boolean {
    return this.#cutter.atBoundary && !this.#isHeldBack;
  }

  get isHeldBack(): boolean {
    return this.#isHeldBack;
  }

  /** Bytes that are there and were not written yet. */
  get bytesUnsent(): number {
    return this.bytesUnsentTo(undefined);
  }

  /** The same up to the end of `message`; without it, of all. */
  bytesUnsentTo(message: Message | undefined): number {
    let bytes = 0;
    for (const one of this.#queue) {
      bytes += one.length;
      if (one === message) break;
    }
    return bytes - this.#cutter.taken;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Its bytes follow those of the messages before. Call `pump` when it has got more. */
  push(message: Message): void {
    message.enter();
    this.#queue.push(message);
    this.pump();
  }

  pump(): void {
    while (!this.#isHeldBack) {
      const message = this.#queue[0];
      if (!message) return;
      const piece = this.#cutter.next(message);
      if (piece) {
        this.#isHeldBack = !this.#channel.write(piece, this.#taken);
      } else if (message.isComplete) {
        this.#queue.shift();
        this.#cutter.restart();
        message.leave();
        this.#listener.moved();
      } else {
        return;
      }
    }
  }

  /** Nothing is written any more: the channel is closed or reset. */
  drop(): void {
    this.#isHeldBack = true;
    for (const message of this.#queue.splice(0)) message.leave();
  }
}

/** Walks through the frames of a message, and hands out its bytes as its receiver may have them. */
class FrameCutter {
  /** Bytes of the message that were handed out. */
  taken = 0;
  /** The longest fragment, in bytes. */
  readonly #most: number;
  #chunk = 0;
  #offset = 0;
  /** Bytes of the frame under way that were not handed out. */
  #frameLeft = 0;
  /** The frame under way is cut: what is left of the piece that was announced. */
  #isCut = false;
  #pieceLeft = 0;
  #control = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get atBoundary(): boolean {
    return this.#isCut ? this.#pieceLeft === 0 : this.#frameLeft === 0;
  }

  restart(): void {
    this.taken = 0;
    this.#chunk = 0;
    this.#offset = 0;
  }

  /** The next bytes, valid until more are asked for; undefined: there are no more yet. */
  next(message: Message): Buffer | undefined {
    let chunk = message.chunk(this.#chunk);
    if (!chunk) return undefined;
    if (this.#offset === chunk.filled) {
      if (this.#chunk + 1 === message.chunkCount) return undefined;
      message.passed(++this.#chunk);
      this.#offset = 0;
      chunk = message.chunk(this.#chunk)!;
      if (chunk.filled === 0) return undefined;
    }
    return this.#isCut
      ? this.#piece(chunk.bytes, chunk.filled, message.contextId)
      : this.#frames(chunk.bytes, chunk.filled, message.contextId);
  }

  /** All that is there of this chunk, as far as the peer takes the frames as they are. */
  #frames(bytes: Buffer, filled: number, contextId: number): Buffer {
    const start = this.#offset;
    let at = start;
    while (at < filled) {
      if (this.#frameLeft === 0) {
        const length = fragmentLength(bytes, at);
        if (length > this.#most && at > start) break;
        if (length > this.#most) return this.#cutFrame(bytes, contextId, length);
        this.#frameLeft = FRAME_HEADER_LENGTH + length;
      }
      const count = Math.min(this.#frameLeft, filled - at);
      this.#frameLeft -= count;
      at += count;
    }
    return this.#take(bytes, start, at);
  }

  #cutFrame(bytes: Buffer, contextId: number, length: number): Buffer {
    this.#isCut = true;
    this.#frameLeft = length;
    this.#control = frameControl(bytes, this.#offset);
    this.#offset += FRAME_HEADER_LENGTH;
    this.taken += FRAME_HEADER_LENGTH;
    return this.#pieceHeader(contextId);
  }

  /** Of a frame that is too long: the header of a shorter one, or bytes of that. */
  #piece(bytes: Buffer, filled: number, contextId: number): Buffer {
    if (this.#pieceLeft === 0) return this.#pieceHeader(contextId);
    const start = this.#offset;
    const end = Math.min(filled, start + this.#pieceLeft);
    this.#frameLeft -= end - start;
    this.#pieceLeft -= end - start;
    if (this.#frameLeft === 0) this.#isCut = false;
    return this.#take(bytes, start, end);
  }

  #pieceHeader(contextId: number): Buffer {
    this.#pieceLeft = Math.min(this.#most, this.#frameLeft);
    const isLastPiece = this.#pieceLeft === this.#frameLeft;
    const control = isLastPiece ? this.#control : this.#control & COMMAND_BIT;
    const header = Buffer.allocUnsafe(FRAME_HEADER_LENGTH);
    putFrameHeader(header, 0, contextId, control, this.#pieceLeft);
    return header;
  }

  #take(bytes: Buffer, start: number, end: number): Buffer {
    this.#offset = end;
    this.taken += end - start;
    return bytes.subarray(start, end);
  }
}
