/**
 * Memory that goes to the thread and comes back, the same few buffers again and again: what crosses threads and is not
 * given back is collected late, and its place in the heap of the process later still.
 */
import { PIECE_BYTES } from './file.ts';

/** For bytes of many short messages. */
export const SLAB_BYTES = 64 * 1024;

/** How many of each size are kept for whoever comes next: 4 MiB, and 256 KiB. */
const KEPT: readonly (readonly [size: number, count: number])[] = [
  [PIECE_BYTES, 16],
  [SLAB_BYTES, 4],
];

interface Shelf {
  readonly buffers: ArrayBuffer[];
  readonly room: number;
}

export class Buffers {
  readonly #shelves = new Map<number, Shelf>(KEPT.map(([size, room]) => [size, { buffers: [], room }]));

  /** What is in it is anybody's. */
  take(size: number): ArrayBuffer {
    return this.#shelves.get(size)?.buffers.pop() ?? new ArrayBuffer(size);
  }

  /** Nobody uses it any more. */
  giveBack(buffer: ArrayBuffer): void {
    const shelf = this.#shelves.get(buffer.byteLength);
    if (shelf && shelf.buffers.length < shelf.room) shelf.buffers.push(buffer);
    else free(buffer);
  }
}

/** Frees memory now, not when it is collected. Views of it are empty from now on. */
export function free(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}
