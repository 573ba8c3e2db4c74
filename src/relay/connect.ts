/** Sockets that connect, from an address of this machine or from that of a client. */
import { lookup } from 'node:dns';
import { isIP, type OnReadOpts, connect as openSocket, type Socket } from 'node:net';
import type { GantryError } from '../errors.ts';
import type { Endpoint } from './channel.ts';
import { connectError } from './connection-error.ts';
import type { Claim, From } from './source.ts';
import { KEEP_ALIVE_MS } from './tcp-channel.ts';

/** Local ports tried for one connection, when others have them. */
const MOST_PORTS = 8;

export interface DialAttempt {
  /** Gives up, when it is still under way; `done` is not called then. */
  cancel(): void;
}

/** `done` is called at most once, later. */
type Done = (error: GantryError | undefined, socket?: Socket) => void;

interface SocketOptions {
  readonly allowHalfOpen: true;
  readonly writableHighWaterMark?: number;
  readonly onread?: OnReadOpts | undefined;
}

/** Begins to connect; what comes of it is told by the socket. */
export function connectSocket(
  { host, port }: Endpoint,
  from: { readonly address?: string | undefined; readonly port?: number | undefined },
  options: SocketOptions,
): Socket {
  return openSocket({
    host,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    localAddress: from.address,
    localPort: from.port,
    // A name may have addresses that cannot be reached from this one.
    family: isIP(from.address ?? ''),
    ...options,
  });
}

/** Connects; `done` hears of it in the turn in which it happens, so that nothing was read yet. */
export function whenConnected(
  target: Endpoint,
  from: From | undefined,
  options: SocketOptions,
  done: Done,
): DialAttempt {
  const address = typeof from === 'string' ? from : undefined;
  if (typeof from === 'object') return new ClientConnect(target, from, options, done);
  const socket = connectSocket(target, { address }, options);
  const refuse = (error: Error) => done(connectError(error, target), undefined);
  socket.once('error', refuse).once('connect', () => {
    socket.off('error', refuse);
    done(undefined, socket);
  });
  return {
    cancel() {
      socket.off('error', refuse).on('error', () => {});
      socket.destroy();
    },
  };
}

/** A connection that bears a client's address: a name is resolved, a port claimed, then it is like any other. */
class ClientConnect implements DialAttempt {
  readonly #target: Endpoint;
  readonly #from: Exclude<From, string>;
  readonly #options: SocketOptions;
  readonly #done: Done;
  #socket: Socket | undefined;
  #isOver = false;
  #ports = 0;

  constructor(target: Endpoint, from: Exclude<From, string>, options: SocketOptions, done: Done) {
    this.#target = target;
    this.#from = from;
    this.#options = options;
    this.#done = done;
    if (isIP(target.host) === 0) this.#resolve();
    else this.#claim(target.host);
  }

  cancel(): void {
    this.#isOver = true;
    this.#socket?.destroy();
  }

  #resolve(): void {
    const { host } = this.#target;
    lookup(host, { family: isIP(this.#from.client) }, (error, address) => {
      if (error) this.#finish(connectError(error, this.#target));
      else this.#claim(address);
    });
  }

  #claim(host: string): void {
    if (this.#isOver) return;
    const server = { host, port: this.#target.port };
    const { source, client } = this.#from;
    source.claim(client, server).then(
      (claim) => this.#connect(server, claim),
      (error: GantryError) => this.#finish(error),
    );
  }

  #connect(server: Endpoint, claim: Claim): void {
    if (this.#isOver) {
      claim.release();
      return;
    }
    this.#ports++;
    const socket = connectSocket(server, { port: claim.localPort }, this.#options);
    this.#socket = socket;
    const fail = (error: Error) => {
      if (isTaken(error) && this.#ports < MOST_PORTS) this.#claim(server.host);
      else this.#finish(connectError(error, this.#target));
    };
    socket
      .once('close', () => claim.release())
      .once('error', fail)
      .once('connect', () => {
        socket.off('error', fail);
        this.#finish(undefined, socket);
      });
  }

  #finish(error: GantryError | undefined, socket?: Socket): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#done(error, socket);
  }
}

/** Does another program have the port, for all its connections or for one to the same server? */
function isTaken(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' || code === 'EADDRNOTAVAIL';
}
