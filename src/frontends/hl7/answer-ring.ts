/** The latest answers, one behind the other in a fixed number of bytes: each new one takes the room of the oldest. */

export class AnswerRing {
  readonly #bytes: Buffer;
  /** Where the next answer goes, counted from the first byte ever written. */
  #end = 0;

  constructor(size: number) {
    this.#bytes = Buffer.alloc(size);
  }

  /** Copies an answer, which is not longer than the ring. Returns where it is. */
  put(answer: Buffer): number {
    const size = this.#bytes.length;
    let offset = this.#end % size;
    if (offset + answer.length > size) {
      // It would not lie in one piece.
      this.#end += size - offset;
      offset = 0;
    }
    answer.copy(this.#bytes, offset);
    const at = this.#end;
    this.#end += answer.length;
    return at;
  }

  /** A copy of what was put there; undefined: its room was taken. */
  get(at: number, length: number): Buffer | undefined {
    const size = this.#bytes.length;
    if (at < this.#end - size) return undefined;
    const offset = at % size;
    return Buffer.from(this.#bytes.subarray(offset, offset + length));
  }
}
