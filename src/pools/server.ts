/** One server of a pool: its state, its limits and its live load. Nothing here reads a clock: callers pass `now`. */

/**
 * starting: no check result yet, takes traffic. up / down: the check's word. draining: no new work, work in hand
 * finishes. drained: nothing left. halted: an operator took it out.
 */
export type ServerState = 'starting' | 'up' | 'down' | 'draining' | 'drained' | 'halted';

export interface ServerOptions {
  readonly pool: string;
  readonly name: string;
  readonly host: string;
  /** undefined: the port the client came to. */
  readonly port: number | undefined;
  /** DICOM: the called AE title this server wants. */
  readonly ae: string | undefined;
  readonly weight: number;
  readonly maxConnections: number | undefined;
  readonly backup: boolean;
}
