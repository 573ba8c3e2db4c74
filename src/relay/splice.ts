/**
 * Joins two channels: what one reads, the other writes, both ways, until both are gone. No byte is copied or held: a
 * chunk that the kernel does not take at once stops the reading on the other side until it has.
 */
import type { GantryError } from '../errors.ts';
import type { Channel, ChannelHandler } from './channel.ts';

export type Direction = 'toServer' | 'toClient';
export type Side = 'client' | 'server';

export interface SpliceOptions {
  /** Bytes read from the client before, to be written first. */
  readonly toServer?: Uint8Array | undefined;
  /** Bytes read from the server before, to be written first. */
  readonly toClient?: Uint8Array | undefined;
  /**
   * Sees each chunk before it is written, and must neither keep nor change it. May call `stop()`, `end()` or `reset()`;
   * after `stop()` this chunk is not written any more.
   */
  tap?(bytes: Buffer, direction: Direction): void;
  /** The sending side of `direction` sent FIN. It is passed on, unless this returns 'handled'. */
  ended?(direction: Direction): 'forward' | 'handled';
  /**
   * A side is gone; called once for each. Without this callback the other side is reset when there was an error, and
   * ended when there was none; with it, that is the owner's business.
   */
  closed?(side: Side, error: GantryError | undefined): void;
}

export interface Splice {
  /**
   * Nothing is passed on any more; the channels are the owner's again, who gives both a new handler at once. A side
   * that was being held back stays paused until the owner resumes it.
   */
  stop(): void;
}

/** One direction of a splice: reads `from`, writes `to`. */
class Flow implements ChannelHandler {
  readonly #from: Channel;
  readonly #to: Channel;
  readonly #direction: Direction;
  readonly #side: Side;
  readonly #options: SpliceOptions;
  readonly #taken = () => {
    if (!this.stopped) this.#from.resume();
  };
  stopped = false;

  constructor(from: Channel, to: Channel, direction: Direction, options: SpliceOptions) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#side = direction === 'toServer' ? 'client' : 'server';
    this.#options = options;
  }

  start(prefix: Uint8Array | undefined): void {
    this.#from.handler = this;
    if (prefix !== undefined && !this.#to.write(prefix, this.#taken)) this.#from.pause();
    else this.#from.resume();
  }

  read(bytes: Buffer): void {
    this.#options.tap?.(bytes, this.#direction);
    if (!this.stopped && !this.#to.write(bytes, this.#taken)) this.#from.pause();
  }

  ended(): void {
    if (this.#options.ended?.(this.#direction) !== 'handled') this.#to.end();
  }

  closed(error: GantryError | undefined): void {
    if (this.#options.closed !== undefined) this.#options.closed(this.#side, error);
    else if (error === undefined) this.#to.end();
    else this.#to.reset();
  }
}

/** Splices two channels that are connected; takes over both handlers. */
export function splice(client: Channel, server: Channel, options: SpliceOptions = {}): Splice {
  const toServer = new Flow(client, server, 'toServer', options);
  const toClient = new Flow(server, client, 'toClient', options);
  toServer.start(options.toServer);
  toClient.start(options.toClient);
  return {
    stop() {
      toServer.stopped = true;
      toClient.stopped = true;
    },
  };
}
