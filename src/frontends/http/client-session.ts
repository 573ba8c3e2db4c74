/** A client's HTTP/2 connection (RFC 9113): its requests are streams, answered side by side. */
import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Server } from '../../pools/server.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import type { ConnectionView } from '../front-end.ts';
import type { Origin } from './client.ts';
import { type ClientHost, type ClientLink, idleView } from './client-connection.ts';
import { ClientStream } from './client-stream.ts';

/** Requests that a client may have under way at once. */
const MOST_STREAMS = 128;
/** How long a client may take to close its side after the last answer. */
const LINGER_MS = 5000;

export class ClientSession implements ClientLink {
  readonly origin: Origin;
  readonly #id: string;
  readonly #host: ClientHost;
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #streams = new Set<ClientStream>();
  readonly #started: number;
  readonly #deadline: Deadline;
  #isLeaving = false;

  /** `id`: unique while the process lives. */
  constructor(socket: Socket, origin: Origin, host: ClientHost, id: string) {
    const { deadlines, limits, timeouts, now } = host.settings;
    this.origin = origin;
    this.#id = id;
    this.#host = host;
    this.#started = now();
    this.#deadline = deadlines.after(timeouts.request, () => this.#timeIsUp());
    const session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: MOST_STREAMS, maxHeaderListSize: limits.headers, enablePush: false },
    });
    this.#session = session;
    this.#socket = socket;
    session.on('stream', (stream, _headers, _flags, rawHeaders) => this.#begin(stream, rawHeaders));
    // What is wrong with a connection shows when it closes.
    session.on('error', ignore);
    session.on('close', () => this.#closed());
    // A session waits for its streams, and they for a client that is gone.
    socket.on('end', () => this.#ended());
  }

  *views(): Iterable<ConnectionView> {
    for (const stream of this.#streams) yield* stream.views();
    if (this.#streams.size === 0) yield idleView(this.#id, this.origin, this.#started);
  }

  /** No more requests; those under way are answered. */
  drain(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#session.close();
    if (this.#streams.size === 0) this.#deadline.restart(LINGER_MS);
  }

  /** Ends at once. */
  close(why: string): void {
    for (const stream of this.#streams) stream.lose(why);
    this.#destroy();
  }

  leaveServer(server: Server, why: string): void {
    for (const stream of [...this.#streams]) stream.leaveServer(server, why);
  }

  #begin(stream: ServerHttp2Stream, rawHeaders: readonly string[]): void {
    this.#deadline.cancel();
    const client = new ClientStream(stream, this.origin, this.#host, `${this.#id}-${stream.id}`, () => {
      this.#streams.delete(client);
      if (this.#streams.size === 0) this.#rest();
    });
    this.#streams.add(client);
    client.begin(rawHeaders);
  }

  #rest(): void {
    this.#deadline.restart(this.#isLeaving ? LINGER_MS : this.#host.settings.timeouts.idle);
  }

  #timeIsUp(): void {
    if (this.#isLeaving) this.#destroy();
    else this.drain();
  }

  /** The client sends no more; what it asked for it may still want. */
  #ended(): void {
    this.drain();
    this.#deadline.restart(LINGER_MS);
  }

  #destroy(): void {
    this.#session.destroy();
    // Which a session that is destroyed already leaves alone, while it waits for the client to close.
    this.#socket.destroy();
  }

  #closed(): void {
    this.#deadline.cancel();
    for (const stream of this.#streams) stream.lose('the client closed the connection');
    this.#host.clientIsOver(this);
  }
}

function ignore(): void {}
