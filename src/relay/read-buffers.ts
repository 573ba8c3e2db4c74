/**
 * The buffers that sockets read into. A connection starts with a small one; one that fills it gets a large one, of
 * which there is a limited number: 512 KiB is where bulk throughput stops growing, and thousands of idle associations
 * must not hold that much each.
 *
 * They come from `allocUnsafeSlow`: their own memory, and pages never touched cost nothing.
 */
import { Buffer } from 'node:buffer';

export const SMALL_BUFFER = 16 * 1024;
export const LARGE_BUFFER = 512 * 1024;

/** Small buffers kept for the next connection (16 MiB). */
const SMALL_KEPT = 1024;
/** Large buffers in use at once (128 MiB); beyond that connections stay with their small ones. */
export const LARGE_LIMIT = 256;
/** Large buffers kept for the next connection that wants one (8 MiB). */
const LARGE_KEPT = 16;

const small: Buffer[] = [];
const large: Buffer[] = [];
let largeInUse = 0;

export function takeSmallBuffer(): Buffer {
  return small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BUFFER);
}

/** undefined when too many are in use. */
export function takeLargeBuffer(): Buffer | undefined {
  if (largeInUse === LARGE_LIMIT) return undefined;
  largeInUse += 1;
  return large.pop() ?? Buffer.allocUnsafeSlow(LARGE_BUFFER);
}

/**
 * Gives a buffer back. When it is still in use - `held` by who got its bytes, or read by an unfinished write - it is
 * left to the garbage collector instead of being used again.
 */
export function giveBuffer(buffer: Buffer, held: boolean): void {
  held ||= isInUse(buffer);
  if (buffer.length === SMALL_BUFFER) {
    if (!held && small.length < SMALL_KEPT) small.push(buffer);
  } else {
    largeInUse -= 1;
    if (!held && large.length < LARGE_KEPT) large.push(buffer);
  }
}

/** Memory that writes which the kernel has not finished read from: how many, and who waits for the last of them. */
interface Use {
  writes: number;
  readonly waiting: (() => void)[];
}

const uses = new WeakMap<ArrayBufferLike, Use>();
/** How many there are: mostly none, which saves looking. */
let usesCount = 0;

/** A write of `bytes` was not finished at once: their memory must not be read into. */
export function holdMemory(bytes: Uint8Array): void {
  const use = uses.get(bytes.buffer);
  if (use !== undefined) {
    use.writes += 1;
    return;
  }
  uses.set(bytes.buffer, { writes: 1, waiting: [] });
  usesCount += 1;
}

/** That write has finished, or its connection is gone. */
export function releaseMemory(bytes: Uint8Array): void {
  const use = uses.get(bytes.buffer)!;
  use.writes -= 1;
  if (use.writes > 0) return;
  uses.delete(bytes.buffer);
  usesCount -= 1;
  for (const free of use.waiting) free();
}

/** Does an unfinished write read from `buffer`? */
export function isInUse(buffer: Buffer): boolean {
  return usesCount > 0 && uses.has(buffer.buffer);
}

/** Calls `free` when no write reads from `buffer` any more: at once or later. */
export function whenFree(buffer: Buffer, free: () => void): void {
  const use = uses.get(buffer.buffer);
  if (use === undefined) free();
  else use.waiting.push(free);
}
