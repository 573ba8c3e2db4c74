/**
 * The TCP front-end of one VIP: opaque streams that come to any number of its ports, with one way to choose a server and
 * one persistence for all of them.
 */
import type { Server } from '../../pools/server.ts';
import { channelAcceptor } from '../../relay/accept.ts';
import type { Channel, Endpoint } from '../../relay/channel.ts';
import type { ConnectionView, FrontEnd } from '../front-end.ts';
import { type PoolListener, PoolWatch } from '../pool-watch.ts';
import { WaitingRoom } from '../waiting-room.ts';
import type { Arrival } from './arrival.ts';
import { Connection, type ConnectionHost } from './connection.ts';
import type { TcpFrontEndOptions } from './settings.ts';

export type { TcpFrontEndOptions, TcpTimeouts } from './settings.ts';

/** Takes the connections of its listeners from now on. */
export function createTcpFrontEnd(options: TcpFrontEndOptions): FrontEnd<TcpFrontEndOptions> {
  return new TcpFrontEnd(options);
}

class TcpFrontEnd implements FrontEnd<TcpFrontEndOptions>, ConnectionHost, PoolListener {
  /** `refused`: turned away by the balancer. `failed`: broken by the client or the server. */
  readonly totals = { connections: 0, refused: 0, failed: 0 };
  #options: TcpFrontEndOptions;
  readonly #connections = new Set<Connection>();
  readonly #waiting: WaitingRoom<Arrival>;
  readonly #pools: PoolWatch;
  #isClosed = false;
  readonly #whenEmpty: (() => void)[] = [];

  constructor(options: TcpFrontEndOptions) {
    this.#options = options;
    this.#waiting = new WaitingRoom(options.timeouts.queue, options.deadlines, options.now);
    this.#pools = new PoolWatch(this, options.deadlines);
    this.reconfigure(options);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#options.listeners.map(({ endpoint }) => endpoint);
  }

  *connections(): Iterable<ConnectionView> {
    for (const connection of this.#connections) yield connection.view;
  }

  reconfigure(options: TcpFrontEndOptions): void {
    this.#options = options;
    this.#waiting.patience = options.timeouts.queue;
    this.#pools.watch(options.pools);
    const { entrance } = options;
    for (const listener of options.listeners) {
      const { port } = listener.endpoint;
      listener.acceptor = channelAcceptor(entrance, (channel) => {
        // A PROXY header names the port that the client came to; without one, asking the system can be spared.
        this.#accept(channel, entrance.proxyProtocol ? channel.local.port : port);
      });
    }
  }

  changed(): void {
    this.#waiting.serve();
  }

  /** A stream whose bytes nobody understands has no safe point. */
  leave(): void {}

  cut(server: Server, why: string): void {
    for (const connection of this.#connections) if (connection.server === server) connection.cut(why);
  }

  #accept(client: Channel, port: number): void {
    const { connections: most = Infinity } = this.#options.limits;
    const isFull = this.#connections.size >= most;
    const connection = new Connection(client, port, this.#options, this);
    this.#connections.add(connection);
    this.totals.connections++;
    if (this.#isClosed) connection.cut(SHUTTING_DOWN);
    else if (isFull) connection.refuse('close', 'the VIP has as many connections as it may');
    else connection.begin();
  }

  wait(arrival: Arrival): boolean {
    return this.#waiting.enter(arrival);
  }

  waitNoMore(arrival: Arrival): void {
    this.#waiting.leave(arrival);
  }

  over(connection: Connection): void {
    this.#connections.delete(connection);
    if (connection.end === 'refused') this.totals.refused++;
    if (connection.end === 'reset') this.totals.failed++;
    if (this.#connections.size === 0) for (const empty of this.#whenEmpty.splice(0)) empty();
  }

  async drain(): Promise<void> {
    await Promise.all(this.#options.listeners.map((listener) => listener.close()));
    await this.#empty();
    this.#pools.close();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const connection of this.#connections) connection.cut(SHUTTING_DOWN);
    await this.drain();
  }

  #empty(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#whenEmpty.push(resolve);
    return promise;
  }
}

const SHUTTING_DOWN = 'the balancer is shutting down';
