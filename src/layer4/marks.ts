/**
 * Marks: the numbers by which the kernel's rules name servers. They are those that packets have (`meta mark`), so they
 * begin where other software is not likely to have its own.
 */

const FIRST = 0x4754_0001;
const LAST = 0x4754_3fff;

export class Marks {
  readonly #taken: Set<number>;
  #last: number;

  /** `taken`: marks that the kernel has in use. */
  constructor(taken: Iterable<number>) {
    this.#taken = new Set(taken);
    this.#last = Math.max(FIRST - 1, ...this.#taken);
  }

  /** One that nobody has; not one that was free only just now, as long as there are others. */
  take(): number {
    for (let tries = FIRST; tries <= LAST; tries++) {
      this.#last = this.#last >= LAST ? FIRST : this.#last + 1;
      if (this.#taken.has(this.#last)) continue;
      this.#taken.add(this.#last);
      return this.#last;
    }
    throw new RangeError('all marks are taken');
  }
}
