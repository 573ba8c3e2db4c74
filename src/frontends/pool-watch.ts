/**
 * What a front-end hears of the servers of its pools: that there may be room for who waits, and that work has to leave
 * a server - of one that was halted at its next safe point, and all that is left when the time of its pool
 * (`timeouts.drain`) is over; of one that failed over at once.
 *
 * Pools change with a reload: one that is no longer reached is watched for as long as work is open there, and a halt that
 * came before is not forgotten over it.
 */
import type { Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';
import type { Deadline, Deadlines } from '../relay/deadlines.ts';

export interface PoolListener {
  /** A server's state, weight or room has changed. */
  changed(server: Server): void;
  /** Ends what is between two pieces of work now; the rest ends itself at its next safe point (`server.isHalted`). */
  leave(server: Server): void;
  /** Ends everything. */
  cut(server: Server, why: string): void;
}

export class PoolWatch {
  readonly #listener: PoolListener;
  readonly #deadlines: Deadlines;
  /** How to stop watching each. */
  readonly #watched = new Map<Pool, () => void>();
  /** Halted: when what is left there is cut. */
  readonly #pending = new Map<Server, Deadline>();

  constructor(listener: PoolListener, deadlines: Deadlines) {
    this.#listener = listener;
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
    for (const pool of wanted) if (!this.#watched.has(pool)) this.#watched.set(pool, this.#begin(pool));
  }

  close(): void {
    for (const stop of this.#watched.values()) stop();
    this.#watched.clear();
    for (const deadline of this.#pending.values()) deadline.cancel();
    this.#pending.clear();
  }

  #begin(pool: Pool): () => void {
    const listener = this.#listener;
    const stopChanges = pool.watch((server) => listener.changed(server));
    const stopLeaving = pool.watchLeaving((server, why) => {
      if (why === 'halted') this.#halted(server, pool.drain);
      else listener.cut(server, 'another server of its pool has taken over');
    });
    return () => {
      stopChanges();
      stopLeaving();
    };
  }

  #halted(server: Server, drain: number): void {
    this.#listener.leave(server);
    this.#pending.get(server)?.cancel();
    const cutRest = () => {
      this.#pending.delete(server);
      if (server.isHalted)
        this.#listener.cut(server, 'its server was halted, and the time to finish is over');
    };
    this.#pending.set(server, this.#deadlines.after(drain, cutRest));
  }
}
