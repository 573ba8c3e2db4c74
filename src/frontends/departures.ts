/**
 * Work that has to leave a server: of one that was halted at its next safe point, and all that is left when the time
 * of its pool (`timeouts.drain`) is over; of one that failed over at once.
 */
import type { Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';
import type { Deadline, Deadlines } from '../relay/deadlines.ts';

export interface Departure {
  /** Ends what is between two pieces of work now; the rest ends itself at its next safe point (`server.isHalted`). */
  leave(server: Server): void;
  /** Ends everything. */
  cut(server: Server, why: string): void;
}

/** Watches the servers of `pools`. Returns how to stop that. */
export function watchDepartures(
  pools: readonly Pool[],
  departure: Departure,
  deadlines: Deadlines,
): () => void {
  const departures = new Departures(departure, deadlines);
  departures.watch(pools);
  return () => departures.close();
}

/** For pools that change: a halt that came before a reload is not forgotten over it. */
export class Departures {
  readonly #departure: Departure;
  readonly #deadlines: Deadlines;
  readonly #watched = new Map<Pool, () => void>();
  /** Halted: when what is left there is cut. */
  readonly #pending = new Map<Server, Deadline>();

  constructor(departure: Departure, deadlines: Deadlines) {
    this.#departure = departure;
    this.#deadlines = deadlines;
  }

  /** Watches these pools from now on, and of those before only where work is still open. */
  watch(pools: Iterable<Pool>): void {
    const wanted = new Set(pools);
    for (const [pool, stop] of this.#watched) {
      if (wanted.has(pool) || pool.servers.some(({ active }) => active > 0)) continue;
      stop();
      this.#watched.delete(pool);
    }
    for (const pool of wanted) {
      if (this.#watched.has(pool)) continue;
      const stop = pool.watchLeaving((server, why) => {
        if (why === 'halted') this.#halted(server, pool.drain);
        else this.#departure.cut(server, 'another server of its pool has taken over');
      });
      this.#watched.set(pool, stop);
    }
  }

  close(): void {
    for (const stop of this.#watched.values()) stop();
    this.#watched.clear();
    for (const deadline of this.#pending.values()) deadline.cancel();
    this.#pending.clear();
  }

  #halted(server: Server, drain: number): void {
    this.#departure.leave(server);
    this.#pending.get(server)?.cancel();
    const cutRest = () => {
      this.#pending.delete(server);
      if (server.isHalted)
        this.#departure.cut(server, 'its server was halted, and the time to finish is over');
    };
    this.#pending.set(server, this.#deadlines.after(drain, cutRest));
  }
}
