/**
 * Collects pieces of something whose length is capped but not to be trusted: memory grows with what really arrived,
 * not with what was announced, and every byte is copied at most twice.
 */

const FIRST_CAPACITY = 1024;

export class GrowingBuffer {
  #bytes: Buffer = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Appends `source[start, end)`. The caller has checked its cap. */
  append(source: Uint8Array, start: number, end: number): void {
    const length = this.#length + end - start;
    if (length > this.#bytes.length) this.#grow(length);
    // A loop beats creating a view for the few bytes of a header or a dribbling peer.
    if (end - start < 16) for (let at = start; at < end; at++) this.#bytes[this.#length++] = source[at]!;
    else this.#bytes.set(source.subarray(start, end), this.#length);
    this.#length = length;
  }

  /** What was collected, without copying: valid until the next `append` or `clear`. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Hands over what was collected and starts anew. */
  take(): Buffer {
    const taken = this.view();
    this.#bytes = EMPTY;
    this.#length = 0;
    return taken;
  }

  /** Forgets what was collected; keeps the memory for the next. */
  clear(): void {
    this.#length = 0;
  }

  #grow(needed: number): void {
    // Not from the shared pool: what is taken may live long, and would hold a whole slab of it.
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2, FIRST_CAPACITY));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

const EMPTY = Buffer.alloc(0);
