/** What every front-end is to the balancer, whatever its protocol. */
import type { Endpoint } from '../relay/channel.ts';

export interface FrontEnd {
  /** What it listens on; a port 0 of the configuration is the system's choice here. */
  readonly endpoints: readonly Endpoint[];
  readonly totals: Readonly<Record<string, number>>;
  /** Live associations or connections. */
  connections(): Iterable<ConnectionView>;
  /** Stops accepting; resolves when the work in hand is done. */
  drain(): Promise<void>;
  /** Ends everything at once, as the protocol allows. */
  close(): Promise<void>;
}

/** One live association or connection; nothing here is patient data. */
export interface ConnectionView {
  /** Unique while the process lives. */
  readonly id: string;
  /** `host:port`. */
  readonly client: string;
  readonly facts: Readonly<Record<string, string>>;
  readonly pool: string | undefined;
  readonly server: string | undefined;
  readonly reason: string | undefined;
  readonly bytes: { readonly toServer: number; readonly toClient: number };
  /** Operations or messages so far. */
  readonly messages: number;
  /** Milliseconds of the clock when it began. */
  readonly started: number;
}
