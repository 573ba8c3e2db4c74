/**
 * The buffers that sockets read into. A connection starts with a small one; one that fills it gets a large one, of
 * which there is a limited number: 256 KiB is where bulk throughput stops growing, and thousands of idle associations
 * must not hold that much each.
 *
 * They come from `allocUnsafeSlow`: their own memory, and pages never touched cost nothing.
 */
import { Buffer } from 'node:buffer';

export const SMALL_BUFFER = 16 * 1024;
export const LARGE_BUFFER = 256 * 1024;

/** Small buffers kept for the next connection (16 MiB). */
const SMALL_KEPT = 1024;
/** Large buffers in use at once (64 MiB); beyond that connections stay with their small ones. */
const LARGE_LIMIT = 256;
/** Large buffers kept for the next connection that wants one (8 MiB). */
const LARGE_KEPT = 32;

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
 * Gives a buffer back. With `held`, some write still reads from it: then it is left to the garbage collector instead
 * of being used again.
 */
export function giveBuffer(buffer: Buffer, held: boolean): void {
  if (buffer.length === SMALL_BUFFER) {
    if (!held && small.length < SMALL_KEPT) small.push(buffer);
  } else {
    largeInUse -= 1;
    if (!held && large.length < LARGE_KEPT) large.push(buffer);
  }
}
