/**
 * What was taken of a long message, kept so that it can be sent again: up to 4 MiB of a message, 16 MiB of all together.
 * A message that is longer, or finds no room, is kept no further, and what was kept of it is given up.
 */

const MOST_OF_ONE = 4 * 1024 * 1024;
const MOST_OF_ALL = 16 * 1024 * 1024;

/** Bytes of all messages. */
let keptOfAll = 0;

export class RetryBuffer {
  #parts: Buffer[] = [];
  #length = 0;
  #isWhole = true;

  /** It has everything that was added. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Part `index` as it was added; undefined: there were not so many. */
  part(index: number): Buffer | undefined {
    return this.#parts[index];
  }

  /** Keeps a copy, if there is room. */
  add(part: Buffer): void {
    if (!this.#isWhole) return;
    if (this.#length + part.length > MOST_OF_ONE || keptOfAll + part.length > MOST_OF_ALL) {
      this.giveUp();
      return;
    }
    this.#parts.push(Buffer.from(part));
    this.#length += part.length;
    keptOfAll += part.length;
  }

  /** Keeps nothing of what was added, and nothing more. */
  giveUp(): void {
    this.clear();
    this.#isWhole = false;
  }

  clear(): void {
    keptOfAll -= this.#length;
    this.#parts = [];
    this.#length = 0;
  }
}
