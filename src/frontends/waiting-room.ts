/**
 * Who waits for a slot: urgent ones first, the others in the order they came. Everybody gets another try when something
 * got free, because each may be waiting for something else (a server, a limit of its AE title).
 */
import type { Deadline, Deadlines } from '../relay/deadlines.ts';

export interface Waiting {
  readonly isUrgent: boolean;
  /** Something got free. While it tries, a guest keeps its place: it may have to wait on. */
  tryAgain(): void;
  waitIsOver(): void;
}

export class WaitingRoom<Guest extends Waiting> {
  /** How long those may wait who come in from now on, milliseconds; 0 lets nobody in. */
  patience: number;
  readonly #deadlines: Deadlines;
  readonly #now: () => number;
  /** When the patience of each guest ends, counted from the first time it came in. */
  readonly #until = new WeakMap<Guest, number>();
  /** In order of arrival; a Map keeps it. */
  readonly #guests = new Map<Guest, Deadline>();

  constructor(patience: number, deadlines: Deadlines, now: () => number) {
    this.patience = patience;
    this.#deadlines = deadlines;
    this.#now = now;
  }

  get size(): number {
    return this.#guests.size;
  }

  /** True when the guest waits from now on, or waited already; false when its time is over. */
  enter(guest: Guest): boolean {
    const now = this.#now();
    const until = this.#until.get(guest) ?? now + this.patience;
    if (until <= now) return false;
    if (!this.#guests.has(guest)) {
      this.#until.set(guest, until);
      const timeUp = () => {
        this.#guests.delete(guest);
        guest.waitIsOver();
      };
      this.#guests.set(guest, this.#deadlines.after(until - now, timeUp));
    }
    return true;
  }

  leave(guest: Guest): void {
    this.#guests.get(guest)?.cancel();
    this.#guests.delete(guest);
  }

  /** Lets everybody try again, the urgent first. Most will have to wait on: they should find that out cheaply. */
  serve(): void {
    if (this.#guests.size === 0) return;
    // A copy: who leaves and comes in again while this goes on has had its turn.
    const guests = [...this.#guests.keys()];
    for (const guest of guests) if (guest.isUrgent && this.#guests.has(guest)) guest.tryAgain();
    for (const guest of guests) if (!guest.isUrgent && this.#guests.has(guest)) guest.tryAgain();
  }
}
