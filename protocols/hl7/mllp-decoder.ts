/**
 * MLLP push decoder: bytes in, whole frames out (layout in `mllp.ts`).
 *
 * A frame that lies whole inside one chunk is handed out as a view of that chunk, without a copy. A frame over several
 * chunks is gathered in a buffer of the decoder that doubles as it grows. A frame longer than `streamAbove` is handed out
 * as its beginning, gathered, and then as views of the chunks as they come, one for each. Every byte is looked at once.
 *
 * What is not to the letter of the standard, and what becomes of it:
 *
 *     1C before 0D or 0B, or at the end of the stream          ends the frame
 *     1C, then nothing                                         `pendingEnd`: ends the frame when the caller, who keeps
 *                                                              the time, calls `flushPendingEnd`
 *     1C before anything else                                  content
 *     0B inside a frame, before MSH, FHS or BHS                drops the frame so far and starts a new one
 *     0B inside a frame, before anything else                  content (vertical tabs that somebody pasted)
 *     anything between frames (CR, LF, NUL, BOM, noise)        skipped and counted, up to a cap
 *     MSH between frames, without a start block                dropped, said so
 */
import { CARRIAGE_RETURN, END_BLOCK, type MllpBlocks, START_BLOCK } from './mllp.ts';

/** Why bytes that look like a message were thrown away. */
export type DropReason = 'start block inside a frame' | 'connection ended inside a frame' | 'no start block';

export interface MllpSink {
  /** A whole frame's content. The view is valid until this returns: whoever keeps it longer copies it. */
  frame(content: Buffer): void;
  /**
   * A frame began that is longer than `streamAbove`. `beginning` is that much of it, or up to 3 bytes more, and the
   * sink's to keep. `part`s and `whole` follow, or one of `dropped` and `overlong`, or nothing after `stop`.
   */
  began?(beginning: Buffer): void;
  /** What follows of it: valid as long as the chunk is. */
  part?(bytes: Buffer): void;
  /** That was all of it. */
  whole?(): void;
  /** Bytes of a broken message were thrown away; of a frame that began, what was handed out counts too. */
  dropped(reason: DropReason, byteCount: number): void;
  /** `byteCount` bytes between frames were skipped. */
  garbage(byteCount: number): void;
  /**
   * A frame, or the bytes between two frames, went over its cap. The decoder has stopped: close the connection.
   * `beginning` is how the frame begins, 16 KiB of it at most, so that it can be answered; valid until this returns. It
   * is empty for a frame that was begun before.
   */
  overlong(byteCount: number, what: 'frame' | 'garbage', beginning: Buffer): void;
}

export interface MllpDecoderOptions extends MllpBlocks {
  /** Cap on a frame's content in bytes, default 64 MiB. */
  readonly maxFrame?: number;
  /** Cap on what may lie between two frames in bytes, default 4 KiB. */
  readonly maxGarbage?: number;
  /** Content in bytes above which a frame is handed out as it comes; undefined: never, however long it is. */
  readonly streamAbove?: number | undefined;
}

const EMPTY: Buffer = Buffer.alloc(0);
const SMALLEST_GATHERING = 4096;
/** 0B and two letters. */
const UNDECIDED_AT_MOST = 3;
/** A gathering buffer larger than this is given back after its frame. */
const LARGEST_GATHERING_KEPT = 65_536;
/** How much of an over-long frame is shown. */
const BEGINNING = 16_384;
/** Segments a frame may begin with, each behind its start block. */
const FIRST_SEGMENTS = ['MSH', 'FHS', 'BHS'].map((name) => Buffer.from(name));

export class MllpDecoder {
  readonly #sink: MllpSink;
  readonly #startBlock: number;
  readonly #endBlock: number;
  readonly #maxFrame: number;
  readonly #maxGarbage: number;
  readonly #streamAbove: number;
  /** The largest buffer that gathering can need. */
  readonly #maxGathered: number;
  #inFrame = false;
  /** Content of the frame that earlier chunks brought; the first `#gatheredLength` bytes of it count. */
  #gathered = EMPTY;
  #gatheredLength = 0;
  /** So many bytes of the frame in hand were handed out; 0 while it is not known to be a long one. */
  #streamed = 0;
  /** So many bytes at the end of what is gathered may yet turn out to be a block: 1C, or 0B and up to two letters. */
  #undecided = 0;
  #garbage = 0;
  /** The carriage return of a frame that was ended without it may still come. */
  #carriageReturnOwed = false;
  #stopped = false;
  #paused = false;
  /** Of a chunk in whose middle the decoder was paused. */
  #rest: Buffer = EMPTY;

  constructor(sink: MllpSink, options: MllpDecoderOptions = {}) {
    this.#sink = sink;
    this.#startBlock = options.startBlock ?? START_BLOCK;
    this.#endBlock = options.endBlock ?? END_BLOCK;
    this.#maxFrame = options.maxFrame ?? 64 * 1024 * 1024;
    this.#maxGarbage = options.maxGarbage ?? 4096;
    this.#streamAbove = options.streamAbove ?? Infinity;
    this.#maxGathered = Math.min(this.#maxFrame, this.#streamAbove) + UNDECIDED_AT_MOST;
  }

  /** Is a frame begun and not ended? (The caller's stall timer wants to know.) */
  get inFrame(): boolean {
    return this.#inFrame;
  }

  /** Bytes of memory held for the frame in hand. */
  get bytesHeld(): number {
    return this.#gathered.length;
  }

  /** The last byte was an end block, and what follows decides whether the frame ends there. */
  get pendingEnd(): boolean {
    return this.#undecided === 1 && this.#gathered[this.#gatheredLength - 1] === this.#endBlock;
  }

  /** `pause` was called. */
  get paused(): boolean {
    return this.#paused;
  }

  /**
   * Takes bytes as they came. Calls the sink before it returns. The decoder keeps nothing of `chunk`, unless it is
   * paused meanwhile: then `chunk` stays as it is, and nothing more is pushed, until `resume`.
   */
  push(chunk: Buffer): void {
    const length = chunk.length;
    if (length === 0) return;
    /** Where the content of the frame in hand begins in this chunk, and where to look on. */
    let from = this.#undecided === 0 ? 0 : this.#decide(chunk);
    let at = from;
    /** The next start and end block at or after `at`, `length` for none; older than `at`: not looked for yet. */
    let start = -1;
    let end = -1;
    while (at < length && !this.#stopped) {
      if (this.#paused) {
        this.#rest = chunk.subarray(at);
        return;
      }
      if (start < at) start = next(chunk, this.#startBlock, at);
      if (!this.#inFrame) {
        if (start > at) this.#skip(chunk, at, start);
        if (start === length || this.#stopped) return;
        this.#inFrame = true;
        from = at = start + 1;
        continue;
      }
      if (end < at) end = next(chunk, this.#endBlock, at);
      if (start < end) {
        const letters = lettersOfFirstSegment(chunk, start + 1);
        if (letters === 3) {
          if (this.#isOverlong(chunk, from, start)) return;
          this.#drop('start block inside a frame', start - from);
          from = start + 1;
        } else if (letters >= 0) {
          this.#gather(chunk, from, length, 1 + letters);
          return;
        }
        at = start + 1;
        continue;
      }
      if (end + 1 >= length) {
        this.#gather(chunk, from, length, length - end);
        return;
      }
      at = end + 1;
      const after = chunk[at];
      if (after === CARRIAGE_RETURN || after === this.#startBlock) {
        this.#finish(chunk, from, end);
        from = at = after === CARRIAGE_RETURN ? at + 1 : at;
      }
    }
  }

  /** From inside the sink: the frame or part that it is called for is the last until `resume`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    const rest = this.#rest;
    this.#paused = false;
    this.#rest = EMPTY;
    this.push(rest);
  }

  /** Nothing came for a while after an end block: the frame ends there. */
  flushPendingEnd(): void {
    if (!this.pendingEnd || this.#stopped) return;
    this.#gatheredLength -= 1;
    this.#undecided = 0;
    this.#finish(EMPTY, 0, 0);
    this.#carriageReturnOwed = true;
  }

  /** The peer will send no more. An end block that was pending ends its frame; a frame in hand is dropped. */
  end(): void {
    this.flushPendingEnd();
    if (this.#inFrame && !this.#stopped) this.#drop('connection ended inside a frame', 0);
    this.stop();
  }

  /** Calls the sink no more, whatever comes, and lets go of its memory. May be called from inside the sink. */
  stop(): void {
    this.#stopped = true;
    this.#inFrame = false;
    this.#gathered = EMPTY;
    this.#gatheredLength = 0;
    this.#streamed = 0;
    this.#undecided = 0;
    this.#rest = EMPTY;
  }

  /** Settles the undecided bytes at the end of what is gathered by what `chunk` begins with; returns how much of it that used up. */
  #decide(chunk: Buffer): number {
    const { pendingEnd } = this;
    const undecided = this.#undecided;
    this.#undecided = 0;
    if (pendingEnd) {
      if (chunk[0] !== CARRIAGE_RETURN && chunk[0] !== this.#startBlock) return 0;
      this.#gatheredLength -= 1;
      this.#finish(chunk, 0, 0);
      return chunk[0] === CARRIAGE_RETURN ? 1 : 0;
    }
    // A start block and up to two letters: the three letters after it, from both sides of the cut, decide.
    const letters = Buffer.alloc(3);
    const here = undecided - 1;
    this.#gathered.copy(letters, 0, this.#gatheredLength - here, this.#gatheredLength);
    const there = chunk.copy(letters, here);
    const fitting = lettersOfFirstSegment(letters.subarray(0, here + there), 0);
    if (fitting === 3) {
      this.#gatheredLength -= undecided;
      this.#drop('start block inside a frame', 0);
      if (!this.#stopped) this.#gather(letters, 0, here, 0);
    } else if (fitting === here + there) {
      this.#gather(chunk, 0, there, undecided + there);
      return there;
    }
    return 0;
  }

  /** Bytes between frames. */
  #skip(chunk: Buffer, from: number, to: number): void {
    const owed = this.#carriageReturnOwed && chunk[from] === CARRIAGE_RETURN ? 1 : 0;
    this.#carriageReturnOwed = false;
    const byteCount = to - from - owed;
    if (byteCount === 0) return;
    const unframed = this.#garbage === 0 && lettersOfFirstSegment(chunk, from + owed) === 3;
    this.#garbage += byteCount;
    if (unframed) this.#sink.dropped('no start block', byteCount);
    else this.#sink.garbage(byteCount);
    if (this.#garbage > this.#maxGarbage) {
      this.stop();
      this.#sink.overlong(this.#garbage, 'garbage', EMPTY);
    }
  }

  /** The frame in hand ends with `chunk` up to `to`. */
  #finish(chunk: Buffer, from: number, to: number): void {
    if (this.#isOverlong(chunk, from, to)) return;
    const isStreamed = this.#isStreamed(this.#gatheredLength + to - from);
    if (isStreamed) this.#handOut(chunk, from, to);
    else if (this.#gatheredLength > 0) this.#append(chunk, from, to);
    if (this.#stopped) return;
    const length = this.#gatheredLength;
    const content =
      length > 0 ? this.#gathered.subarray(0, length) : isStreamed ? EMPTY : chunk.subarray(from, to);
    this.#inFrame = false;
    this.#garbage = 0;
    this.#carriageReturnOwed = false;
    this.#release();
    if (isStreamed) this.#sink.whole?.();
    else this.#sink.frame(content);
  }

  /** The frame in hand, and `more` bytes that were not gathered, are thrown away. */
  #drop(reason: DropReason, more: number): void {
    const byteCount = this.#streamed + this.#gatheredLength + more;
    this.#release();
    this.#sink.dropped(reason, byteCount);
  }

  #release(): void {
    this.#streamed = 0;
    this.#gatheredLength = 0;
    if (this.#gathered.length > LARGEST_GATHERING_KEPT) this.#gathered = EMPTY;
  }

  /** The chunk ends in the middle of the frame in hand; its last `undecided` bytes may yet be a block. */
  #gather(chunk: Buffer, from: number, to: number, undecided: number): void {
    const decided = to - undecided;
    if (this.#isOverlong(chunk, from, decided)) return;
    // When not even `from` is decided, these are more letters of a start block that other chunks began.
    if (decided < from || !this.#isStreamed(this.#gatheredLength + decided - from)) {
      this.#append(chunk, from, to);
    } else {
      this.#handOut(chunk, from, decided);
      if (this.#stopped) return;
      this.#append(chunk, decided, to);
    }
    this.#undecided = undecided;
  }

  /** Is the frame in hand, of which `byteCount` bytes are here and not handed out, a long one? */
  #isStreamed(byteCount: number): boolean {
    return this.#streamed > 0 || byteCount > this.#streamAbove;
  }

  /** Hands out what is gathered of a long frame, and the bytes from `from` to `to` after it. */
  #handOut(chunk: Buffer, from: number, to: number): void {
    let at = from;
    if (this.#streamed === 0) {
      at += Math.max(this.#streamAbove - this.#gatheredLength, 0);
      this.#append(chunk, from, at);
      const beginning = this.#gathered.subarray(0, this.#gatheredLength);
      this.#gathered = EMPTY;
      this.#gatheredLength = 0;
      this.#streamed = beginning.length;
      this.#sink.began?.(beginning);
    } else if (this.#gatheredLength > 0) {
      // A block that turned out to be none; the sink may keep it while the next is gathered here.
      const few = Buffer.from(this.#gathered.subarray(0, this.#gatheredLength));
      this.#gatheredLength = 0;
      this.#streamed += few.length;
      this.#sink.part?.(few);
    }
    if (at === to || this.#stopped) return;
    this.#streamed += to - at;
    this.#sink.part?.(at === 0 && to === chunk.length ? chunk : chunk.subarray(at, to));
  }

  /** Adds bytes to what is gathered. */
  #append(chunk: Buffer, from: number, to: number): void {
    const size = this.#gatheredLength + to - from;
    if (size > this.#gathered.length) {
      const doubled = Math.min(2 * this.#gathered.length, this.#maxGathered);
      const roomier = Buffer.allocUnsafeSlow(Math.max(SMALLEST_GATHERING, doubled, size));
      this.#gathered.copy(roomier, 0, 0, this.#gatheredLength);
      this.#gathered = roomier;
    }
    chunk.copy(this.#gathered, this.#gatheredLength, from, to);
    this.#gatheredLength = size;
  }

  /** Is the frame in hand, with the bytes from `from` to `to`, more than a frame may be? Then it is told, once. */
  #isOverlong(chunk: Buffer, from: number, to: number): boolean {
    const byteCount = this.#streamed + this.#gatheredLength + to - from;
    if (byteCount <= this.#maxFrame) return false;
    let beginning = EMPTY;
    if (this.#streamed === 0) {
      beginning = this.#gathered.subarray(0, Math.min(this.#gatheredLength, BEGINNING));
      const rest = chunk.subarray(from, Math.min(to, from + BEGINNING - beginning.length));
      beginning = beginning.length > 0 ? Buffer.concat([beginning, rest]) : rest;
    }
    this.stop();
    this.#sink.overlong(byteCount, 'frame', beginning);
    return true;
  }
}

/** The offset of `byte` in `chunk` from `at` on, `chunk.length` when there is none. */
function next(chunk: Buffer, byte: number, at: number): number {
  // Where frames lie close together, the call costs more than the search.
  if (chunk[at] === byte) return at;
  const found = chunk.indexOf(byte, at);
  return found < 0 ? chunk.length : found;
}

/** How many letters of MSH, FHS or BHS stand at `at`: 3 for a whole name, fewer when the bytes end before it, -1 for another. */
function lettersOfFirstSegment(bytes: Buffer, at: number): number {
  const count = Math.min(3, bytes.length - at);
  for (const name of FIRST_SEGMENTS) {
    let letters = 0;
    while (letters < count && bytes[at + letters] === name[letters]) letters++;
    if (letters === count) return count;
  }
  return -1;
}
