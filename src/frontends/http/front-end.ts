/** The HTTP front-end of one VIP: its clients' connections, its connections to servers, who waits, and when it ends. */
import type { Socket } from 'node:net';
import type { Framing } from '../../../protocols/http/body-reader.ts';
import type { RequestHead } from '../../../protocols/http/strictness.ts';
import type { Server } from '../../pools/server.ts';
import { adoptSocket, channelAcceptor, socketAcceptor } from '../../relay/accept.ts';
import type { Channel, ChannelHandler, Endpoint } from '../../relay/channel.ts';
import { dial, preambleOf, type ServerLink } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { Acceptor } from '../../relay/listen.ts';
import type { ConnectionView, FrontEnd } from '../front-end.ts';
import { type PoolListener, PoolWatch } from '../pool-watch.ts';
import { WaitingRoom } from '../waiting-room.ts';
import type { Client, Origin } from './client.ts';
import { ClientConnection, type ClientHost, type ClientLink } from './client-connection.ts';
import { ClientSession } from './client-session.ts';
import { requestId } from './error-page.ts';
import { Exchange, type ExchangeHost, type NewTunnel, type Refusal } from './exchange.ts';
import { fieldLines } from './message-writer.ts';
import { refusal } from './own-answer.ts';
import { type Destination, ServerConnections } from './server-connections.ts';
import type { ServerSearch } from './server-search.ts';
import { type HttpFrontEndOptions, type HttpSettings, linkOf, settingsOf } from './settings.ts';
import { Tunnel } from './tunnel.ts';

/** Takes the connections of its listeners from now on. */
export function createHttpFrontEnd(options: HttpFrontEndOptions): FrontEnd<HttpFrontEndOptions> {
  return new HttpFrontEnd(options);
}

/** How long a client that is sent away at once may take to close. */
const LINGER_MS = 5000;

class HttpFrontEnd implements FrontEnd<HttpFrontEndOptions>, ClientHost, ExchangeHost, PoolListener {
  readonly totals = { connections: 0, requests: 0, errors: 0, refused: 0, tunnels: 0 };
  readonly servers: ServerConnections;
  settings: HttpSettings;
  isLeaving = false;
  readonly #clients = new Set<ClientLink>();
  readonly #tunnels = new Set<Tunnel>();
  readonly #waiting: WaitingRoom<ServerSearch>;
  readonly #pools: PoolWatch;
  readonly #whenEmpty: (() => void)[] = [];

  constructor(options: HttpFrontEndOptions) {
    const { deadlines, now, timeouts } = options;
    this.settings = settingsOf(options);
    this.servers = new ServerConnections({ dial: dialServer, deadlines, now });
    this.#waiting = new WaitingRoom(timeouts.queue, deadlines, now);
    this.#pools = new PoolWatch(this, deadlines);
    this.#serve();
  }

  get endpoints(): readonly Endpoint[] {
    return this.settings.listeners.map(({ endpoint }) => endpoint);
  }

  reconfigure(options: HttpFrontEndOptions): void {
    this.settings = settingsOf(options, this.settings);
    this.#waiting.patience = options.timeouts.queue;
    this.servers.keepOnly((server, link) => this.#isWanted(server, link));
    this.#serve();
  }

  #serve(): void {
    const { listeners, pools } = this.settings;
    const acceptor = this.#acceptor();
    for (const listener of listeners) listener.acceptor = acceptor;
    this.#pools.watch(pools);
  }

  changed(): void {
    this.#waiting.serve();
  }

  leave(server: Server): void {
    this.servers.leave(server);
  }

  cut(server: Server, why: string): void {
    this.servers.leave(server);
    for (const client of [...this.#clients]) client.leaveServer(server, why);
    for (const tunnel of [...this.#tunnels]) if (tunnel.server === server) tunnel.cut(why);
  }

  #acceptor(): Acceptor {
    const { entrance } = this.settings;
    if (entrance.tls) {
      return socketAcceptor(entrance, (socket, origin) => {
        if (origin.alpn === 'h2') this.#acceptSession(socket, origin);
        else this.#accept(adoptSocket(socket, origin));
      });
    }
    return channelAcceptor(entrance, (channel) => this.#accept(channel));
  }

  #accept(channel: Channel): void {
    const id = this.#nextId();
    if (this.#isFull) this.#turnAway(channel);
    else this.#clients.add(new ClientConnection(channel, this, id));
  }

  #acceptSession(socket: Socket, origin: Origin): void {
    const id = this.#nextId();
    if (this.#isFull) socket.destroy();
    else this.#clients.add(new ClientSession(socket, origin, this, id));
  }

  get #isFull(): boolean {
    return this.#clients.size + this.#tunnels.size >= (this.settings.limits.connections ?? Infinity);
  }

  #nextId(): string {
    this.totals.connections++;
    return `${this.settings.vip}-${this.totals.connections}`;
  }

  #turnAway(channel: Channel): void {
    const { deadlines, now } = this.settings;
    const { status, reason, fields, body } = refusal(503, 'Too many connections.', requestId(), now());
    const head = `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(fields)}Connection: close\r\n\r\n`;
    this.totals.errors++;
    dismiss(channel, deadlines, LINGER_MS, Buffer.concat([Buffer.from(head, 'latin1'), body]));
  }

  serve(client: Client, request: RequestHead, framing: Framing, refused?: Refusal): Exchange {
    this.totals.requests++;
    return new Exchange(this, client, request, framing, refused);
  }

  answeredItself(status: number): void {
    if (status >= 500) this.totals.errors++;
    else if (status >= 400) this.totals.refused++;
  }

  wait(search: ServerSearch): boolean {
    return this.#waiting.enter(search);
  }

  waitNoMore(search: ServerSearch): void {
    this.#waiting.leave(search);
  }

  tunnel(made: NewTunnel): void {
    this.totals.tunnels++;
    const over = (tunnel: Tunnel) => {
      this.#tunnels.delete(tunnel);
      this.#lookWhetherEmpty();
    };
    this.#tunnels.add(new Tunnel(made, `${this.settings.vip}-tunnel-${this.totals.tunnels}`, over));
  }

  clientIsOver(connection: ClientLink): void {
    if (!this.#clients.delete(connection)) return;
    this.servers.clientIsGone(connection.origin);
    this.#lookWhetherEmpty();
  }

  *connections(): Iterable<ConnectionView> {
    for (const client of this.#clients) yield* client.views();
    for (const tunnel of this.#tunnels) yield tunnel.view;
  }

  async drain(): Promise<void> {
    this.isLeaving = true;
    const listening = this.#stopListening();
    for (const client of [...this.#clients]) client.drain();
    await listening;
    await this.#empty();
    this.#end();
  }

  async close(): Promise<void> {
    this.isLeaving = true;
    const listening = this.#stopListening();
    const why = 'the balancer is shutting down';
    for (const client of [...this.#clients]) client.close(why);
    for (const tunnel of [...this.#tunnels]) tunnel.cut(why);
    await listening;
    await this.#empty();
    this.#end();
  }

  #isWanted(server: Server, link: ServerLink): boolean {
    const pool = this.settings.pools.find(({ name }) => name === server.pool);
    return pool?.server(server.name) === server && linkOf(this.settings, pool.name) === link;
  }

  async #stopListening(): Promise<void> {
    await Promise.all(this.settings.listeners.map((listener) => listener.close()));
  }

  #end(): void {
    this.#pools.close();
    this.servers.close();
  }

  get #isEmpty(): boolean {
    return this.#clients.size === 0 && this.#tunnels.size === 0;
  }

  #empty(): Promise<void> {
    if (this.#isEmpty) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve);
    });
  }

  #lookWhetherEmpty(): void {
    if (this.#isEmpty) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }
}

function dialServer({ endpoint, link, origin }: Destination, handler: ChannelHandler): Channel {
  return dial(endpoint, handler, preambleOf(link, origin));
}
