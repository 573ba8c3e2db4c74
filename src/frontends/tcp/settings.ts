/** What a TCP front-end is made of. */
import type { Director } from '../../director/director.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Entrance } from '../../relay/accept.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import type { ServerLink } from '../../relay/dial.ts';
import type { Listener } from '../../relay/listen.ts';

/** All of them milliseconds. */
export interface TcpTimeouts {
  /** For one dial; a pool may have its own. */
  readonly connect: number;
  /** That a client may wait for a slot of a full server; 0: none waits. */
  readonly queue: number;
  /** Without a byte either way. */
  readonly idle: number;
}

/** What connections need; each keeps those it began with. */
export interface TcpSettings {
  readonly vip: string;
  readonly entrance: Entrance;
  readonly director: Director;
  /** By the name of the pool. */
  readonly links: ReadonlyMap<string, ServerLink>;
  /** Is the server name looked for in what clients send? For rules and persistence by `sni`, where TLS passes through. */
  readonly peeksSni: boolean;
  readonly timeouts: TcpTimeouts;
  readonly deadlines: Deadlines;
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
}

export interface TcpFrontEndOptions extends TcpSettings {
  /** Bound by whoever made them; closed here when the front-end ends. */
  readonly listeners: readonly Listener[];
  /** Every pool its rules reach: when one of them gets room, those who wait are served. */
  readonly pools: readonly Pool[];
  readonly limits: {
    /** At once; more are turned away. */
    readonly connections?: number | undefined;
  };
}
