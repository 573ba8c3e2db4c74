/** Operations on their way to the thread: what one transaction will be made of. */
import type { Operation, Result } from './operations.ts';

/** Told what became of an operation. */
export type Told = (result: Result) => void;

const SLAB_BYTES = 64 * 1024;

export class Batch {
  readonly operations: Operation[] = [];
  readonly told: (Told | undefined)[] = [];
  readonly #slabs: ArrayBuffer[] = [];
  /** Where the next bytes go in the last slab. */
  #length = 0;
  #bytes = 0;

  add(operation: Operation, told?: Told): void {
    this.operations.push(operation);
    this.told.push(told);
  }

  /** A copy of the bytes, which goes to the thread with the batch. */
  copy(bytes: Uint8Array): Uint8Array {
    let slab = this.#slabs.at(-1);
    if (!slab || this.#length + bytes.length > slab.byteLength) {
      slab = new ArrayBuffer(Math.max(SLAB_BYTES, bytes.length));
      this.#slabs.push(slab);
      this.#length = 0;
    }
    const copy = new Uint8Array(slab, this.#length, bytes.length);
    copy.set(bytes);
    this.#length += bytes.length;
    this.#bytes += bytes.length;
    return copy;
  }

  /** Of all copies. */
  get bytes(): number {
    return this.#bytes;
  }

  get slabs(): readonly ArrayBuffer[] {
    return this.#slabs;
  }
}
