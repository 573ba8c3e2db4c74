/** Plain sockets and channels for the relay's tests. */
import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { GantryError } from '../../src/errors.ts';
import type { Channel, ChannelHandler, Endpoint } from '../../src/relay/channel.ts';
import { dial } from '../../src/relay/dial.ts';
import { listen } from '../../src/relay/listen.ts';
import type { ReadMode } from '../../src/relay/read-mode.ts';

export const MODES: readonly ReadMode[] = ['direct', 'copying'];
export const LOOPBACK: Endpoint = { host: '127.0.0.1', port: 0 };

/** What a channel told its handler, as promises. */
export class Witness implements ChannelHandler {
  readonly chunks: Buffer[] = [];
  readonly log: string[] = [];
  readonly #connected = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<GantryError | undefined>();
  #wake: (() => void) | undefined;
  /** Called with each chunk. */
  seen: (bytes: Buffer) => void = () => {};

  get whenConnected(): Promise<void> {
    return this.#connected.promise;
  }
  get whenEnded(): Promise<void> {
    return this.#ended.promise;
  }
  get whenClosed(): Promise<GantryError | undefined> {
    return this.#closed.promise;
  }
  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }
  get length(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** Resolves when so many bytes have come. */
  async received(length: number): Promise<string> {
    while (this.length < length) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.text;
  }

  connected(): void {
    this.log.push('connected');
    this.#connected.resolve();
  }
  read(bytes: Buffer): void {
    this.chunks.push(Buffer.from(bytes));
    this.log.push('read');
    this.seen(bytes);
    this.#wake?.();
  }
  ended(): void {
    this.log.push('ended');
    this.#ended.resolve();
  }
  closed(error: GantryError | undefined): void {
    this.log.push('closed');
    this.#closed.resolve(error);
  }
}

/** A plain server; its sockets as they come. */
export async function plainServer(options: { allowHalfOpen?: boolean; pauseOnConnect?: boolean } = {}) {
  const server: Server = createServer({ allowHalfOpen: true, ...options });
  const sockets: Socket[] = [];
  const waiting: ((socket: Socket) => void)[] = [];
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    const taker = waiting.shift();
    if (taker) taker(socket);
    else sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return {
    endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    next: () =>
      new Promise<Socket>((resolve) => {
        const socket = sockets.shift();
        if (socket) resolve(socket);
        else waiting.push(resolve);
      }),
  };
}

/** A plain client, connected. */
export async function plainClient({ host, port }: Endpoint): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** A listener whose channels come as they are accepted, each with a witness for a handler. */
export async function channelServer(reads: ReadMode, endpoint: Endpoint = LOOPBACK) {
  const accepted: { channel: Channel; witness: Witness }[] = [];
  let wake: (() => void) | undefined;
  const listener = await listen(
    endpoint,
    (channel) => {
      const witness = new Witness();
      channel.handler = witness;
      accepted.push({ channel, witness });
      wake?.();
    },
    { reads },
  );
  onTestFinished(() => listener.close());
  return {
    listener,
    endpoint: listener.endpoint,
    async next() {
      while (accepted.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return accepted.shift()!;
    },
  };
}

/** A dialled channel and its witness. */
export function dialled(endpoint: Endpoint, reads: ReadMode) {
  const witness = new Witness();
  const channel = dial(endpoint, witness, { reads });
  onTestFinished(() => channel.reset());
  return { channel, witness };
}

/** Bytes that differ everywhere, so that a misplaced chunk is noticed. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Hashes everything a socket receives until its end. */
export async function hashToEnd(socket: Socket): Promise<string> {
  const hash: Hash = createHash('sha256');
  socket.on('data', (chunk: Buffer) => hash.update(chunk));
  await once(socket, 'end');
  return hash.digest('hex');
}
