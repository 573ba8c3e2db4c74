/** Deadlines that come when the test says so. */
import type { Deadline, Deadlines } from '../../../src/relay/deadlines.ts';

class ManualDeadline implements Deadline {
  due = Infinity;
  readonly expire: () => void;
  readonly #clock: ManualDeadlines;
  #ms: number;

  constructor(clock: ManualDeadlines, ms: number, expire: () => void) {
    this.#clock = clock;
    this.#ms = ms;
    this.expire = expire;
    this.restart();
  }

  cancel(): void {
    this.due = Infinity;
  }

  restart(ms: number = this.#ms): void {
    this.#ms = ms;
    this.due = this.#clock.ms + ms;
  }
}

export class ManualDeadlines implements Deadlines {
  ms = 0;
  #all: ManualDeadline[] = [];

  after(ms: number, expire: () => void): Deadline {
    const deadline = new ManualDeadline(this, ms, expire);
    this.#all.push(deadline);
    return deadline;
  }

  close(): void {
    this.#all = [];
  }

  /** Milliseconds until the next deadline. */
  get next(): number {
    return Math.min(...this.#all.map(({ due }) => due)) - this.ms;
  }

  /** Lets `ms` milliseconds pass. */
  pass(ms: number): void {
    const end = this.ms + ms;
    for (;;) {
      const next = this.#all.reduce((first, each) => (each.due < first.due ? each : first), this.#all[0]!);
      if (!next || next.due > end) break;
      this.ms = next.due;
      next.due = Infinity;
      next.expire();
    }
    this.ms = end;
  }
}
