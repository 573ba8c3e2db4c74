/** One TCP connection in a test's hands: reads are awaited; how it ends is the test's own choice. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './processes.ts';
import { within } from './waiting.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** How the other side ended: FIN, or RST (any socket error). */
export type Ending = 'end' | 'reset';

export class ConnectionEnded extends Error {
  readonly ending: Ending;

  constructor(ending: Ending, what: string) {
    super(`the connection ended (${ending}) while ${what} was awaited`);
    this.name = 'ConnectionEnded';
    this.ending = ending;
  }
}

export class TestConnection {
  readonly socket: Socket;
  /** How long a read waits, in milliseconds: a client of a test loses patience, a server never does. */
  patience: number | undefined;
  /** How the other side ended; pending while it has not. */
  readonly ending: Promise<Ending>;
  bytesReceived = 0;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #ending: Ending | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    const { promise, resolve } = Promise.withResolvers<Ending>();
    this.ending = promise;
    const over = (ending: Ending) => {
      this.#ending ??= ending;
      resolve(this.#ending);
      this.#wake?.();
    };
    socket.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      this.#buffered += chunk.length;
      this.#chunks.push(chunk);
      this.#wake?.();
    });
    socket.on('end', () => over('end'));
    socket.on('error', () => over('reset'));
    socket.on('close', (hadError) => over(hadError ? 'reset' : 'end'));
  }

  /** Bytes that arrived and were not read yet. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Exactly `count` bytes; rejects with `ConnectionEnded` when the other side ends before. */
  async read(count: number, what = `${count} bytes`): Promise<Buffer> {
    while (this.#buffered < count) await this.#more(what);
    const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    this.#keep(all.subarray(count));
    return all.subarray(0, count);
  }

  /** Whatever arrived, at least a byte; undefined when the other side ended. */
  async readSome(what = 'bytes'): Promise<Buffer | undefined> {
    try {
      while (this.#buffered === 0) await this.#more(what);
    } catch (error) {
      if (error instanceof ConnectionEnded) return undefined;
      throw error;
    }
    const chunk = this.#chunks.shift()!;
    this.#buffered -= chunk.length;
    return chunk;
  }

  /** Everything until the other side ends, and how it ended. */
  async readToEnd(): Promise<{ bytes: Buffer; ending: Ending }> {
    const ending = await within(this.ending, 'the end of the connection');
    const bytes = Buffer.concat(this.#chunks);
    this.#keep(Buffer.alloc(0));
    return { bytes, ending };
  }

  /** Puts bytes back that were read too many: they are read next. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.unshift(bytes);
    this.#buffered += bytes.length;
  }

  /** Writes; resolves when the kernel has it, or the connection is gone. */
  write(bytes: Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.socket.write(bytes, () => resolve());
    return promise;
  }

  /** Writes one byte at a time, each in a segment of its own, `everyMs` apart (0: as fast as it goes). */
  async dribble(bytes: Buffer, everyMs = 0): Promise<void> {
    for (const byte of bytes) {
      await this.write(Buffer.of(byte));
      await new Promise<void>((next) => {
        if (everyMs > 0) setTimeout(next, everyMs);
        else setImmediate(next);
      });
      if (this.#ending) return;
    }
  }

  /** Stops reading, so that the other side meets back-pressure. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** FIN. */
  end(): void {
    this.socket.end();
  }

  /** RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async #more(what: string): Promise<void> {
    if (this.#ending) throw new ConnectionEnded(this.#ending, what);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    try {
      await within(promise, what, this.patience);
    } finally {
      this.#wake = undefined;
    }
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#buffered = rest.length;
  }
}

/** Connects; rejects when refused. `localAddress` for tests that tell clients apart by address (127.0.0.2, …). */
export async function openConnection(to: Address, localAddress?: string): Promise<TestConnection> {
  const socket = connect({ ...to, localAddress, allowHalfOpen: true });
  const connection = new TestConnection(socket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('connect', resolve);
  // A reset that comes with the connect is an ending like any other.
  socket.once('error', (error: NodeJS.ErrnoException) =>
    error.code === 'ECONNRESET' ? resolve() : reject(error),
  );
  await within(promise, `a connection to ${to.host}:${to.port}`);
  return connection;
}

/** A listening peer that can go away and come back on the same port. */
export class TestListener {
  readonly #accept: (connection: TestConnection) => void;
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(accept: (connection: TestConnection) => void) {
    this.#accept = accept;
  }

  get address(): Address {
    return { host: '127.0.0.1', port: this.#port };
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#open.size;
  }

  /** Listens: on any free port the first time, on the same one afterwards. */
  async start(): Promise<void> {
    this.#port ||= await freePort();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#open.add(socket);
      socket.on('close', () => this.#open.delete(socket));
      const connection = new TestConnection(socket);
      connection.patience = Number.POSITIVE_INFINITY;
      this.#accept(connection);
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen(this.#port, '127.0.0.1', resolve);
    await within(promise, 'a listening port');
    this.#server = server;
  }

  /** Refuses new connections and leaves the open ones alone. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    // `close` calls back only when the last connection is gone, but it stops listening at once.
    server.close();
    await new Promise((next) => setImmediate(next));
  }

  /** As a killed process: no listening, every open connection reset. */
  async stop(): Promise<void> {
    await this.refuse();
    for (const socket of this.#open) socket.resetAndDestroy();
  }
}

/** An address that refuses connections. */
export async function refusingAddress(): Promise<Address> {
  return { host: '127.0.0.1', port: await freePort() };
}
