/**
 * A long message as it comes from its sender. Its parts are views of what the connection read, which reads on when they
 * were taken. What is kept of the message is its beginning, and what of the rest finds room in the retry buffer: as long
 * as all of it does, the message can be read again for another server.
 */

import type { Break, MessageStream, StreamReader } from './message-stream.ts';
import { RetryBuffer } from './retry-buffer.ts';

const EMPTY: Buffer = Buffer.alloc(0);
/** Bytes by which the memory of a beginning may be longer than the beginning. */
const SPARE = 1024;

export class InboundStream implements MessageStream {
  #beginning: Buffer;
  /** Told when its reader asks, or wants no more: the connection may read on. */
  readonly #asked: () => void;
  /** What came and was not asked for: of one chunk, two at most. */
  #parts: Buffer[] = [];
  #reader: StreamReader | undefined;
  #wasAsked = false;
  /** What was taken. */
  readonly #taken = new RetryBuffer();
  /** Of what was taken, the part that comes next once more; undefined: what comes is new. */
  #again: number | undefined;
  #over: 'whole' | Break | undefined;
  /** Its reader knows how it ended, or does not want to. */
  #isDone = false;
  #isCancelled = false;

  constructor(beginning: Buffer, asked: () => void) {
    this.#beginning = beginning;
    this.#asked = asked;
  }

  get beginning(): Buffer {
    return this.#beginning;
  }

  /** Nothing more may be read: nobody has asked for it. */
  get holdsUp(): boolean {
    return !this.#isDone && !this.#reader;
  }

  /** Its frame has ended, or never will. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Somebody asked for what follows its beginning, and will hear how it ends. */
  get wasAsked(): boolean {
    return this.#wasAsked;
  }

  next(reader: StreamReader): void {
    this.#wasAsked = true;
    const again = this.#again === undefined ? undefined : this.#taken.part(this.#again++);
    if (again) {
      reader.part(again);
      return;
    }
    this.#again = undefined;
    if (this.#isDone) {
      reader.broken(this.#over === undefined || this.#over === 'whole' ? 'its sender left' : this.#over);
      return;
    }
    this.#reader = reader;
    this.#serve();
    this.#asked();
  }

  rewind(): boolean {
    if (this.#isCancelled || !this.#taken.isWhole) return false;
    this.#reader = undefined;
    this.#isDone = false;
    this.#again = 0;
    return true;
  }

  shorten(length: number): void {
    this.#taken.giveUp();
    const whole = this.#beginning;
    this.#beginning = Buffer.from(whole.subarray(0, length));
    // Freed now, where it has its memory for itself: many streams may begin before anything is collected.
    if (whole.buffer.byteLength - whole.length < SPARE) (whole.buffer as ArrayBuffer).transfer(0);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#isDone = true;
    this.#reader = undefined;
    this.#parts = [];
    this.#beginning = EMPTY;
    this.#taken.clear();
    this.#asked();
  }

  /** The connection read more of it; valid until the connection reads on. */
  add(part: Buffer): void {
    if (this.#isDone) return;
    this.#parts.push(part);
    this.#serve();
  }

  /** The connection read its end. */
  end(): void {
    this.#over = 'whole';
    this.#serve();
  }

  /** The rest will not come, or what was not asked for is gone. */
  breakOff(why: Break): void {
    if (this.#over !== undefined && this.#parts.length === 0) return;
    this.#over = why;
    this.#parts = [];
    this.#serve();
  }

  #serve(): void {
    const reader = this.#reader;
    if (!reader) return;
    const part = this.#parts.shift();
    if (!part && !this.#over) return;
    this.#reader = undefined;
    if (part) {
      this.#taken.add(part);
      reader.part(part);
    } else {
      this.#isDone = true;
      if (this.#over === 'whole') reader.end();
      else reader.broken(this.#over!);
    }
  }
}
