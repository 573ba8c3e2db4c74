/** What the director answers: where this work may go, in which order, and why. */
import type { Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';

export interface Candidate {
  readonly server: Server;
  /** Why this server, a sentence; without the values of facts. */
  readonly reason: string;
}

/** Why there is no next server. full: somebody is up, but without room. all-tried: nobody is left to ask. */
export type Exhausted = 'none-up' | 'full' | 'all-tried';

export interface ChooseOptions {
  /** Full servers are candidates too. */
  readonly ignoreRoom?: boolean;
  /** A limit of the caller's own, beside the server's. */
  readonly hasRoom?: (server: Server) => boolean;
  /** The work is urgent, whatever the rule says. */
  readonly urgent?: boolean;
}

export interface Choice {
  /** `routes[1]`, counted from 1, or `default`. */
  readonly rule: string;
  /** The name of a rejection, or `no-route`. Then there is no candidate. */
  readonly reject: string | undefined;
  readonly pool: Pool | undefined;
  readonly urgent: boolean;
  /** The fact by which this work comes back to its server, and its value (which may be patient data). */
  readonly persistence: { readonly by: string; readonly key: string } | undefined;
  /** Why the last `next()` had nothing. It may be asked again when something got free. */
  readonly exhausted: Exhausted | undefined;
  /**
   * The next server to try. Its persistence entry is reserved before this returns; the reservation of the candidate
   * before it is given up. With nothing left to try, the candidate before stays the one that `settle` is about.
   */
  next(): Candidate | undefined;
  /** The last candidate took the work: its entry is confirmed and lives on from now. */
  settle(): void;
  /** Nothing was had: what this choice reserved is dropped, what it moved is put back. */
  abandon(): void;
  /**
   * After `settle`: the work goes on, and its entry lives at least as long. Returns what to call when it ended,
   * from when on the entry lives for its `ttl`.
   */
  hold(): () => void;
}
