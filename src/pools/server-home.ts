import type { PoolLoad } from './load.ts';
import type { Server } from './server.ts';
import type { VerdictOptions } from './verdict.ts';

/** What a server asks of its pool, and tells it. */
export interface ServerHome {
  readonly load: PoolLoad;
  readonly health: VerdictOptions;
  /** Milliseconds after which a server that came up has its full weight; 0: at once. */
  readonly slowStart: number;
  /** Milliseconds for which the cookies of a draining server still count. */
  readonly drain: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** May work still go elsewhere when this server takes none? */
  hasOther(server: Server): boolean;
  /** Who may get work has changed: a state or a weight. */
  stateChanged(server: Server): void;
  /** Its open work has to end. */
  hasToLeave(server: Server, why: 'halted'): void;
  /** There may be room for more work: a slot was given back, or a limit has changed. */
  roomChanged(server: Server): void;
}
