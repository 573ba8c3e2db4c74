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
  readonly #ms: number;
  readonly #deadlines: Deadlines;
  readonly #now: () => number;
  /** When the patience of each guest ends, counted from the first time it came in. */
  readonly #until = new WeakMap<Guest, number>();
  /** In order of arrival; a Map keeps it. */
  readonly #guests = new Map<Guest, Deadline>();

  /** `ms`: how long anybody may wait; 0 lets nobody in. */
  constructor(ms: number, deadlines: Deadlines, now: () => number) {
    this.#ms = ms;
    this.#deadlines = deadlines;
    this.#now = now;
  }

  get size(): number {
    return this.#guests.size;
  }

  /** True when the guest waits from now on, or waited already; false when its time is over. */
  enter(guest: Guest): boolean {
    const now = this.#now();
    const until = this.#until.get(guest) ?? now + this.#ms;
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

  /** Lets everybody try again, the urgent first. */
  serve(): void {
    if (this.#guests.size === 0) return;
    const guests = [...this.#guests.keys()];
    const inTurn = [
      ...guests.filter(({ isUrgent }) => isUrgent),
      ...guests.filter(({ isUrgent }) => !isUrgent),
    ];
    for (const guest of inTurn) {
      if (this.#guests.has(guest)) guest.tryAgain();
    }
  }
}
