/** What every front-end is to the balancer, whatever its protocol. */
import type { Endpoint } from '../relay/channel.ts';

/** `Options`: what one of its protocol is made of; the wiring makes them anew at each reload. */
export interface FrontEnd<Options = unknown> {
  /** What it listens on; a port 0 of the configuration is the system's choice here. */
  readonly endpoints: readonly Endpoint[];
  readonly totals: Readonly<Record<string, number>>;
  /** Live associations or connections. */
  connections(): Iterable<ConnectionView>;
  /**
   * What comes from now on is served as these options say; what is open goes on as it began. Never fails and takes no
   * time: listeners are bound, certificates and patterns are read before. Listeners that are no longer among the
   * options are closed by whoever bound them.
   */
  reconfigure(options: Options): void;
  /** Stops accepting and closes its listeners; resolves when the work in hand is done. */
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
