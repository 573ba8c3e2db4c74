/**
 * The acknowledgements on their way to one sender: framed into one buffer, written once per turn of the event loop.
 */
import { frameLength, type MllpBlocks, writeFrame } from '../../../protocols/hl7/mllp.ts';
import type { Channel } from '../../relay/channel.ts';
import type { Flushable, FlushQueue } from './flush-queue.ts';

const SMALLEST = 1024;
/** A buffer larger than this is given back when it was written. */
const LARGEST_KEPT = 65_536;
const EMPTY: Buffer = Buffer.alloc(0);

export class Outbox implements Flushable {
  readonly #channel: Channel;
  readonly #queue: FlushQueue;
  readonly #blocks: MllpBlocks;
  #collected: Buffer = EMPTY;
  /** What was written last, of `#collected`. */
  #view: Buffer = EMPTY;
  #length = 0;
  /** Not in use: the channel gave it back. */
  #spare: Buffer = EMPTY;
  /** The channel still holds a buffer of ours. */
  #held: Buffer | undefined;
  #heldLength = 0;
  readonly #drained: () => void;
  #asked = false;
  #finished = false;

  /** `drained` is called when the channel took everything. */
  constructor(channel: Channel, queue: FlushQueue, blocks: MllpBlocks, drained: () => void) {
    this.#channel = channel;
    this.#queue = queue;
    this.#blocks = blocks;
    this.#drained = drained;
  }

  /** Bytes that the channel has not taken yet. `drained` is called when it has. */
  get pending(): number {
    return this.#length + this.#heldLength;
  }

  /** Adds a frame around `content`, which is copied. */
  add(content: Buffer): void {
    if (this.#finished) return;
    const needed = this.#length + frameLength(content.length);
    if (needed > this.#collected.length) this.#grow(needed);
    this.#length = writeFrame(this.#collected, this.#length, content, this.#blocks);
    if (this.#held || this.#asked) return;
    this.#asked = true;
    this.#queue.add(this);
  }

  flush(): void {
    this.#asked = false;
    if (this.#length === 0 || this.#held || this.#finished || !this.#channel.open) return;
    const buffer = this.#collected;
    // Answers of one server are often of one length: then the view of last time serves again.
    if (this.#view.length !== this.#length) this.#view = buffer.subarray(0, this.#length);
    this.#length = 0;
    if (this.#channel.write(this.#view, this.#written)) {
      if (buffer.length > LARGEST_KEPT) this.#use(EMPTY);
      this.#drained();
      return;
    }
    this.#held = buffer;
    this.#heldLength = this.#view.length;
    this.#use(this.#spare);
    this.#spare = EMPTY;
  }

  /** Hands everything to the channel at once; nothing is added after this. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    if (this.#length > 0 && this.#channel.open)
      this.#channel.write(this.#collected.subarray(0, this.#length));
    this.#use(EMPTY);
    this.#length = 0;
  }

  #use(buffer: Buffer): void {
    this.#collected = buffer;
    this.#view = EMPTY;
  }

  readonly #written = (): void => {
    if (this.#held && this.#held.length <= LARGEST_KEPT) this.#spare = this.#held;
    this.#held = undefined;
    this.#heldLength = 0;
    if (this.#length > 0) this.flush();
    else this.#drained();
  };

  #grow(needed: number): void {
    const roomier = Buffer.allocUnsafeSlow(Math.max(SMALLEST, 2 * this.#collected.length, needed));
    this.#collected.copy(roomier, 0, 0, this.#length);
    this.#use(roomier);
  }
}
