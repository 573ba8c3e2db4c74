/**
 * Runs the checks: each at its interval with some jitter, faster while a server is in doubt, and once for all servers
 * that ask for the same.
 */
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import type { Server } from '../server.ts';
import type { Cancel, Check, CheckResult } from './check.ts';

export interface HealthRunnerOptions {
  readonly deadlines: Deadlines;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

export interface WatchOptions {
  readonly check: Check;
  /** Milliseconds from one check to the next. */
  readonly interval: number;
  /** The check uses a connection as work does: it leaves the last free one to work. */
  readonly takesSlot?: boolean;
}

/** Checks come up to this part of the interval early, so that they do not march in step. */
const JITTER = 0.1;
/** In doubt checks come so many times as often, but not more often than this, in milliseconds. */
const FASTER = 5;
const LEAST_INTERVAL_MS = 250;

export class HealthRunner {
  readonly #options: HealthRunnerOptions;
  readonly #rounds = new Map<string, Round>();

  constructor(options: HealthRunnerOptions) {
    this.#options = options;
  }

  /** Has `server` checked, from now on. Returns how to stop that. */
  watch(server: Server, { check, interval, takesSlot = false }: WatchOptions): () => void {
    const key = JSON.stringify([check.key, interval, takesSlot]);
    let round = this.#rounds.get(key);
    if (!round) {
      round = new Round(check, interval, takesSlot, this.#options);
      this.#rounds.set(key, round);
    }
    const joined = round;
    const leave = joined.join(server);
    return () => {
      if (leave() === 0 && this.#rounds.get(key) === joined) this.#rounds.delete(key);
    };
  }

  /** Stops all checks. */
  close(): void {
    for (const round of this.#rounds.values()) round.stop();
    this.#rounds.clear();
  }
}

/** One check, again and again, for the servers that wait for its result. */
class Round {
  readonly #check: Check;
  readonly #interval: number;
  readonly #takesSlot: boolean;
  readonly #random: () => number;
  readonly #deadline: Deadline;
  readonly #servers = new Set<Server>();
  /** Ends the check that is under way. */
  #cancel: Cancel | undefined;
  #isRunning = false;
  /** The next check comes as soon as it may. */
  #isHurried = true;

  constructor(
    check: Check,
    interval: number,
    takesSlot: boolean,
    { deadlines, random }: HealthRunnerOptions,
  ) {
    this.#check = check;
    this.#interval = interval;
    this.#takesSlot = takesSlot;
    this.#random = random;
    this.#deadline = deadlines.after(0, () => this.#run());
  }

  /** Returns how to leave, which tells how many are left. */
  join(server: Server): () => number {
    this.#servers.add(server);
    const ignoreDoubts = server.onDoubt(() => this.#hurry());
    this.#hurry();
    return () => {
      ignoreDoubts();
      this.#servers.delete(server);
      if (this.#servers.size === 0) this.stop();
      return this.#servers.size;
    };
  }

  stop(): void {
    this.#deadline.cancel();
    this.#cancel?.();
    this.#cancel = undefined;
    this.#servers.clear();
  }

  #run(): void {
    if (this.#takesSlot && [...this.#servers].some(hasOneSlotLeft)) {
      this.#schedule();
      return;
    }
    this.#isRunning = true;
    this.#cancel = this.#check.start((result) => this.#finished(result));
  }

  #finished({ outcome, reason }: CheckResult): void {
    this.#isRunning = false;
    this.#cancel = undefined;
    for (const server of this.#servers) server.checked(outcome, reason);
    if (this.#servers.size > 0) this.#schedule();
  }

  #schedule(): void {
    this.#isHurried = [...this.#servers].some(({ isInDoubt }) => isInDoubt);
    const pause = this.#isHurried ? this.#hurriedInterval : this.#interval;
    this.#deadline.restart(pause * (1 - JITTER * this.#random()));
  }

  /** Somebody has doubts: the next check comes sooner, unless it is about to come anyway. */
  #hurry(): void {
    if (this.#isRunning || this.#isHurried) return;
    this.#isHurried = true;
    this.#deadline.restart(this.#hurriedInterval);
  }

  get #hurriedInterval(): number {
    return Math.min(this.#interval, Math.max(this.#interval / FASTER, LEAST_INTERVAL_MS));
  }
}

/** A server at work with room for one more connection, or none: work tells enough of it. */
function hasOneSlotLeft({ active, maxConnections }: Server): boolean {
  return maxConnections !== undefined && active > 0 && active >= maxConnections - 1;
}
