/** What becomes of a request that was upgraded (RFC 9110 7.8): two connections, each other's, until one of them ends. */
import type { GantryError } from '../../errors.ts';
import type { Server } from '../../pools/server.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import { type Side, splice } from '../../relay/splice.ts';
import type { ConnectionView } from '../front-end.ts';
import type { NewTunnel } from './exchange.ts';

/** How long one side may take to close when the other has. */
const LINGER_MS = 5000;

export class Tunnel {
  readonly server: Server;
  readonly #made: NewTunnel;
  readonly #id: string;
  readonly #over: (tunnel: Tunnel) => void;
  readonly #deadline: Deadline;
  readonly #began: { readonly toServer: number; readonly toClient: number };
  #open = 2;
  #why: string | undefined;

  /** `id`: unique while the process lives. */
  constructor(made: NewTunnel, id: string, over: (tunnel: Tunnel) => void) {
    const { client, server, settings } = made;
    this.#made = made;
    this.#id = id;
    this.#over = over;
    this.server = made.exchange.server!;
    this.#began = {
      toServer: client.channel.bytesRead - client.rest.length,
      toClient: server.channel.bytesRead - server.rest.length,
    };
    const { tunnel } = settings.timeouts;
    const deadline = settings.deadlines.after(tunnel, () => this.cut(`nothing came for ${tunnel} ms`));
    this.#deadline = deadline;
    splice(client.channel, server.channel, {
      toServer: client.rest,
      toClient: server.rest,
      tap() {
        deadline.restart();
      },
      closed: (side, error) => this.#closed(side, error),
    });
  }

  /** Resets both connections. */
  cut(why: string): void {
    this.#why ??= why;
    this.#made.client.channel.reset();
    this.#made.server.channel.reset();
  }

  get view(): ConnectionView {
    const view = this.#made.exchange.view(this.#id);
    return { ...view, facts: { ...view.facts, protocol: this.#made.protocol }, bytes: this.#bytes };
  }

  get #bytes(): { readonly toServer: number; readonly toClient: number } {
    const { client, server } = this.#made;
    return {
      toServer: client.channel.bytesRead - this.#began.toServer,
      toClient: server.channel.bytesRead - this.#began.toClient,
    };
  }

  #closed(side: Side, error: GantryError | undefined): void {
    const { client, server, exchange } = this.#made;
    const other = side === 'client' ? server.channel : client.channel;
    this.#open--;
    if (error !== undefined) this.#why ??= error.message;
    if (this.#open > 0) {
      if (error === undefined) other.end();
      else other.reset();
      this.#deadline.restart(LINGER_MS);
      return;
    }
    this.#deadline.cancel();
    const { toServer, toClient } = this.#bytes;
    exchange.tunnelEnded(toServer, toClient, this.#why);
    this.#over(this);
  }
}
