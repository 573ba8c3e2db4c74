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
  { leave, cut }: Departure,
  deadlines: Deadlines,
): () => void {
  const pending = new Map<Server, Deadline>();
  const unwatch = pools.map((pool) =>
    pool.watchLeaving((server, why) => {
      if (why === 'failed-over') {
        cut(server, 'another server of its pool has taken over');
        return;
      }
      leave(server);
      pending.get(server)?.cancel();
      const cutRest = () => {
        pending.delete(server);
        if (server.isHalted) cut(server, 'its server was halted, and the time to finish is over');
      };
      pending.set(server, deadlines.after(pool.drain, cutRest));
    }),
  );
  return () => {
    for (const stop of unwatch) stop();
    for (const deadline of pending.values()) deadline.cancel();
  };
}
