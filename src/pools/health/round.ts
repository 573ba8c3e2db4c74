/** One check, again and again, for those who wait for its result. */
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import type { Server } from '../server.ts';
import type { Cancel, Check } from './check.ts';

export interface RoundOptions {
  readonly deadlines: Deadlines;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

export interface Timing<R> {
  readonly check: Check<R>;
  /** Milliseconds from one check to the next. */
  readonly interval: number;
  /** The check uses a connection as work does: it leaves the last free one to work. */
  readonly takesSlot?: boolean;
}

/** Who waits for results, and of which server. */
export interface Listener<R> {
  readonly server: Server;
  /** undefined: the check was left out this time, for the sake of work. */
  tell(result: R | undefined): void;
}

/** Checks come up to this part of the interval early, so that they do not march in step. */
const JITTER = 0.1;
/** In doubt checks come so many times as often, but not more often than this, in milliseconds. */
const FASTER = 5;
const LEAST_INTERVAL_MS = 250;

export class Round<R> {
  readonly #timing: Timing<R>;
  readonly #random: () => number;
  readonly #deadline: Deadline;
  readonly #listeners = new Set<Listener<R>>();
  /** Ends the check that is under way. */
  #cancel: Cancel | undefined;
  #isRunning = false;
  /** The next check comes as soon as it may. */
  #isHurried = true;

  constructor(timing: Timing<R>, { deadlines, random }: RoundOptions) {
    this.#timing = timing;
    this.#random = random;
    this.#deadline = deadlines.after(0, () => this.#run());
  }

  get isEmpty(): boolean {
    return this.#listeners.size === 0;
  }

  join(listener: Listener<R>): void {
    this.#listeners.add(listener);
    this.hurry();
  }

  leave(listener: Listener<R>): void {
    this.#listeners.delete(listener);
    if (this.isEmpty) this.stop();
  }

  /** Somebody has doubts: the next check comes sooner, unless it is about to come anyway. */
  hurry(): void {
    if (this.#isRunning || this.#isHurried) return;
    this.#isHurried = true;
    this.#deadline.restart(this.#hurriedInterval);
  }

  stop(): void {
    this.#deadline.cancel();
    this.#cancel?.();
    this.#cancel = undefined;
    this.#listeners.clear();
  }

  #run(): void {
    this.#isRunning = true;
    if (this.#timing.takesSlot && [...this.#listeners].some(({ server }) => hasOneSlotLeft(server))) {
      this.#finished(undefined);
    } else {
      this.#cancel = this.#timing.check.start((result) => this.#finished(result));
    }
  }

  #finished(result: R | undefined): void {
    this.#cancel = undefined;
    for (const listener of this.#listeners) listener.tell(result);
    this.#isRunning = false;
    if (!this.isEmpty) this.#schedule();
  }

  #schedule(): void {
    this.#isHurried = [...this.#listeners].some(({ server }) => server.isInDoubt);
    const pause = this.#isHurried ? this.#hurriedInterval : this.#timing.interval;
    this.#deadline.restart(pause * (1 - JITTER * this.#random()));
  }

  get #hurriedInterval(): number {
    const { interval } = this.#timing;
    return Math.min(interval, Math.max(interval / FASTER, LEAST_INTERVAL_MS));
  }
}

/** A server at work with room for one more connection, or none: work tells enough of it. */
function hasOneSlotLeft({ active, maxConnections }: Server): boolean {
  return maxConnections !== undefined && active > 0 && active >= maxConnections - 1;
}
