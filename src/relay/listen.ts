/** Incoming connections. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { describeEndpoint } from '../endpoint.ts';
import { notice } from '../observe/events.ts';
import type { Endpoint } from './channel.ts';
import { listenError } from './connection-error.ts';
import { createDescriptorWatch } from './descriptors.ts';
import {
  acceptDirect,
  DEFAULT_READS,
  directAcceptWorks,
  directChannel,
  pausedSocket,
  type ReadMode,
} from './read-mode.ts';
import { KEEP_ALIVE_MS, SOCKET_OPTIONS, TcpChannel } from './tcp-channel.ts';

/** Connections the system may keep waiting for us: a department's modalities coming back all at once. */
const BACKLOG = 4096;

/** One for all listeners, made with the first. */
let watchDescriptors: ((descriptor: number) => void) | undefined;

export interface ListenOptions {
  /** How accepted channels read; direct, if this Node can, unless asked otherwise. */
  readonly reads?: ReadMode;
}

/** Who gets the connections of a listener: as channels, or, for protocols that another library reads, as sockets. */
export type Acceptor =
  /** Sets the channel's handler before it returns. */
  | ((channel: TcpChannel) => void)
  /** Nothing was read from the socket yet: it is paused, and whoever gets it resumes it. */
  | { readonly socket: (socket: Socket) => void };

export interface Listener {
  /** Where it listens: the port the system chose when 0 was asked for. */
  readonly endpoint: Endpoint;
  /** Who gets the connections from now on. Those that come before somebody is named wait until then. */
  acceptor: Acceptor | undefined;
  /** Gives the port up for a while; `acceptor` stays. Resolves when connections are refused. */
  suspend(): Promise<void>;
  /** Listens on the same port again; rejects with GTY_LISTEN. */
  resume(): Promise<void>;
  /** Takes no more connections; those that were accepted live on. Resolves when the port is free. */
  close(): Promise<void>;
}

/** Listens. Rejects with GTY_LISTEN, whose message names the address and the remedy. */
export async function listen(
  endpoint: Endpoint,
  acceptor?: Acceptor,
  { reads = DEFAULT_READS }: ListenOptions = {},
): Promise<Listener> {
  const direct = reads === 'direct' && (await directAcceptWorks());
  const listener = new SocketListener(endpoint, acceptor, direct);
  await listener.resume();
  return listener;
}

class SocketListener implements Listener {
  readonly #direct: boolean;
  #endpoint: Endpoint;
  #acceptor: Acceptor | undefined;
  #server: Server | undefined;
  /** Accepted while there was no acceptor. */
  readonly #early: (() => void)[] = [];

  constructor(endpoint: Endpoint, acceptor: Acceptor | undefined, direct: boolean) {
    this.#endpoint = endpoint;
    this.#acceptor = acceptor;
    this.#direct = direct;
  }

  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  get acceptor(): Acceptor | undefined {
    return this.#acceptor;
  }

  set acceptor(acceptor: Acceptor | undefined) {
    this.#acceptor = acceptor;
    if (acceptor) for (const accept of this.#early.splice(0)) accept();
  }

  async resume(): Promise<void> {
    if (this.#server) return;
    const server = createServer({
      allowHalfOpen: true,
      highWaterMark: SOCKET_OPTIONS.writableHighWaterMark,
      pauseOnConnect: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    this.#server = server;
    try {
      server.listen({ ...this.#endpoint, backlog: BACKLOG });
      await once(server, 'listening');
    } catch (error) {
      this.#server = undefined;
      throw listenError(error, this.#endpoint);
    }
    const { address, port } = server.address() as AddressInfo;
    this.#endpoint = { host: address, port };
    server.on('error', (error) => {
      notice('error', 'a connection could not be accepted', {
        listen: describeEndpoint(this.#endpoint),
        reason: error.message,
      });
    });
    server.on('connection', (socket) =>
      this.#accept({ socket: () => socket, channel: () => copying(socket) }),
    );
    if (!this.#direct) return;
    watchDescriptors ??= createDescriptorWatch();
    const watch = watchDescriptors;
    acceptDirect(server, KEEP_ALIVE_MS, (handle) => {
      watch(handle.fd);
      this.#accept({ socket: () => pausedSocket(handle), channel: () => directChannel(handle) });
    });
  }

  /** A connection, to be made into what the acceptor wants. */
  #accept(connection: { socket(): Socket; channel(): TcpChannel }): void {
    const hand = () => {
      const acceptor = this.#acceptor!;
      if (typeof acceptor === 'function') acceptor(connection.channel());
      else acceptor.socket(connection.socket());
    };
    if (this.#acceptor) hand();
    else this.#early.push(hand);
  }

  async suspend(): Promise<void> {
    // Its own callback waits for connections as well; the port is free as soon as this returns.
    this.#server?.close();
    this.#server = undefined;
  }

  close(): Promise<void> {
    return this.suspend();
  }
}

function copying(socket: Socket): TcpChannel {
  const channel = new TcpChannel(false).attach(socket);
  socket.resume();
  return channel;
}
