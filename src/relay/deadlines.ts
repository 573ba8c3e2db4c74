/**
 * One timer for all deadlines, so that a connection costs no timer of its own and restarting a deadline per chunk
 * costs one number written.
 */

export interface Deadline {
  /** Never fires after this. */
  cancel(): void;
  /** Counts anew, from now, `ms` milliseconds (default: as before). Works on a fired or cancelled deadline too. */
  restart(ms?: number): void;
}

export interface Deadlines {
  /** Calls `expire` once when `ms` milliseconds passed, to within one tick (100 ms), never early. */
  after(ms: number, expire: () => void): Deadline;
  /** Stops the timer; nothing fires any more. */
  close(): void;
}
