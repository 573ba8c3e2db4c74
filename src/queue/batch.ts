/** Operations on their way to the thread: what one transaction will be made of. */
import { type Buffers, SLAB_BYTES } from './buffers.ts';
import type { Operation, Result } from './operations.ts';

/** Told what became of an operation. */
export type Told = (result: Result) => void;

export class Batch {
  readonly operations: Operation[] = [];
  readonly told: (Told | undefined)[] = [];
  /** What the thread reads from, and gives back. */
  readonly lent: ArrayBuffer[] = [];
  /** What it writes into: they are results. */
  readonly filled: ArrayBuffer[] = [];
  readonly #buffers: Buffers;
  #slab: ArrayBuffer | undefined;
  /** Where the next bytes go in it. */
  #length = 0;
  #bytes = 0;

  constructor(buffers: Buffers) {
    this.#buffers = buffers;
  }

  add(operation: Operation, told?: Told): void {
    this.operations.push(operation);
    this.told.push(told);
    if (operation.do === 'piece') this.lent.push(operation.bytes.buffer);
    else if (operation.do === 'read') this.filled.push(operation.into);
  }

  /** A copy of the bytes, which goes to the thread with the batch. */
  copy(bytes: Uint8Array): Uint8Array {
    if (!this.#slab || this.#length + bytes.length > this.#slab.byteLength) {
      this.#slab = this.#buffers.take(Math.max(SLAB_BYTES, bytes.length));
      this.lent.push(this.#slab);
      this.#length = 0;
    }
    const copy = new Uint8Array(this.#slab, this.#length, bytes.length);
    copy.set(bytes);
    this.#length += bytes.length;
    this.#bytes += bytes.length;
    return copy;
  }

  /** Of all copies. */
  get bytes(): number {
    return this.#bytes;
  }
}
