/** The connections to the servers: kept open between requests, shared by all clients unless they name their client. */
import type { Server } from '../../pools/server.ts';
import type { Channel, ChannelHandler, Endpoint } from '../../relay/channel.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import type { ServerLink } from '../../relay/dial.ts';
import type { Origin } from './client.ts';
import { ServerConnection, type ServerConnectionHome } from './server-connection.ts';

/**
 * Servers close what is idle for 5 seconds (Node, Apache) or more. A request that crosses such a close may have to be
 * given up, so that we are first.
 */
const IDLE_MS = 4000;
/** A request that must not be sent twice goes over no connection that has been idle for longer. */
const SURELY_OPEN_MS = 1000;
/** Idle connections kept to one server. */
const MOST_IDLE = 512;

export interface Destination {
  readonly server: Server;
  readonly link: ServerLink;
  readonly endpoint: Endpoint;
  /** For whom: the client that a PROXY protocol header names. */
  readonly origin: Origin;
}

export interface ServerConnectionsOptions {
  dial(destination: Destination, handler: ChannelHandler): Channel;
  readonly deadlines: Deadlines;
  readonly now: () => number;
}

export class ServerConnections {
  readonly #options: ServerConnectionsOptions;
  readonly #stacks = new Map<Server, Stack[]>();
  #isClosed = false;

  constructor(options: ServerConnectionsOptions) {
    this.#options = options;
  }

  /**
   * A connection for one request: an idle one, or, `fresh` in any case, a new one. `mayRepeat`: the request may be sent
   * once more.
   */
  take(
    destination: Destination,
    { fresh, mayRepeat }: { readonly fresh: boolean; readonly mayRepeat: boolean },
    { mostHead, connectTimeout }: { readonly mostHead: number; readonly connectTimeout: number },
  ): ServerConnection {
    const stack = this.#stackOf(destination);
    const idle = fresh ? undefined : stack.take(mayRepeat ? IDLE_MS : SURELY_OPEN_MS);
    if (idle !== undefined) return idle;
    const dial = (handler: ChannelHandler) => this.#options.dial(destination, handler);
    return new ServerConnection(dial, mostHead, connectTimeout, stack);
  }

  /** Closes what is idle for `server`. */
  leave(server: Server): void {
    for (const stack of this.#stacks.get(server) ?? []) stack.closeIdle();
  }

  /** Connections that are wanted no more are closed: of servers that left, of links that changed. */
  keepOnly(isWanted: (server: Server, link: ServerLink) => boolean): void {
    for (const [server, stacks] of this.#stacks) {
      const kept = stacks.filter(({ destination }) => isWanted(server, destination.link));
      for (const stack of stacks) if (!kept.includes(stack)) stack.close();
      if (kept.length > 0) this.#stacks.set(server, kept);
      else this.#stacks.delete(server);
    }
  }

  /** The connections that name this client are of no use to anybody else. */
  clientIsGone(origin: Origin): void {
    for (const [server, stacks] of this.#stacks) {
      for (const stack of stacks) if (stack.isOf(origin)) this.#drop(server, stack);
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const stacks of this.#stacks.values()) for (const stack of stacks) stack.close();
    this.#stacks.clear();
  }

  #drop(server: Server, stack: Stack): void {
    stack.close();
    const left = this.#stacks.get(server)!.filter((other) => other !== stack);
    if (left.length > 0) this.#stacks.set(server, left);
    else this.#stacks.delete(server);
  }

  #stackOf(destination: Destination): Stack {
    let stacks = this.#stacks.get(destination.server);
    if (stacks === undefined) {
      stacks = [];
      this.#stacks.set(destination.server, stacks);
    }
    for (const stack of stacks) if (stack.serves(destination)) return stack;
    const stack = new Stack(destination, this.#options);
    if (this.#isClosed) stack.close();
    else stacks.push(stack);
    return stack;
  }
}

/** The idle connections to one server that are alike: the one used last is on top. */
class Stack implements ServerConnectionHome {
  readonly destination: Destination;
  readonly deadlines: Deadlines;
  readonly #now: () => number;
  readonly #idle: { readonly connection: ServerConnection; readonly since: number }[] = [];
  #isClosed = false;

  constructor(destination: Destination, { deadlines, now }: ServerConnectionsOptions) {
    this.destination = destination;
    this.deadlines = deadlines;
    this.#now = now;
  }

  serves({ link, endpoint, origin }: Destination): boolean {
    const own = this.destination;
    return (
      own.link === link &&
      own.endpoint.port === endpoint.port &&
      (!namesClient(link) || own.origin === origin)
    );
  }

  isOf(origin: Origin): boolean {
    return namesClient(this.destination.link) && this.destination.origin === origin;
  }

  /** One that has been idle for at most so long. */
  take(atMost: number): ServerConnection | undefined {
    const last = this.#idle.at(-1);
    if (last === undefined || this.#now() - last.since > atMost) return undefined;
    this.#idle.pop();
    return last.connection;
  }

  isIdle(connection: ServerConnection, serverKeeps = Infinity): void {
    // The server counts from the moment when it sent, we from when it arrived.
    const ms = Math.min(IDLE_MS, serverKeeps - 1000);
    if (this.#isClosed || ms <= 0 || this.#idle.length >= MOST_IDLE) {
      connection.close();
      return;
    }
    this.#idle.push({ connection, since: this.#now() });
    connection.waitIdle(ms);
  }

  isOver(connection: ServerConnection): void {
    const index = this.#idle.findIndex((idle) => idle.connection === connection);
    if (index !== -1) this.#idle.splice(index, 1);
  }

  closeIdle(): void {
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }

  /** Closes what is idle, and from now on whatever becomes idle. */
  close(): void {
    this.#isClosed = true;
    this.closeIdle();
  }
}

function namesClient({ proxyProtocol }: ServerLink): boolean {
  return proxyProtocol !== undefined;
}
