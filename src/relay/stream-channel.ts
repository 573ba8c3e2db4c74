/**
 * A channel over a stream of Node's own making: TLS, or a connection that a library hands over. Reading copies. Writing
 * takes the stream's queue into account, which says nothing about the kernel: bytes count as taken when the stream
 * surely does not look at them any more.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { GantryError } from '../errors.ts';
import type { Channel, ChannelHandler, Endpoint, TlsClient } from './channel.ts';
import { brokenError } from './connection-error.ts';
import { holdMemory, releaseMemory } from './read-buffers.ts';
import { endpointOf, NO_ENDPOINT, NOBODY } from './tcp-channel.ts';
import { tlsError } from './tls-error.ts';

/** So many bytes wait in a TLS stream's queue before whoever writes is held back. */
const QUEUE = 64 * 1024;

/** A write that the stream has not finished. */
interface Unfinished {
  readonly bytes: Uint8Array;
  readonly done: (() => void) | undefined;
}

export interface StreamOrigin {
  readonly remote?: Endpoint | undefined;
  readonly local?: Endpoint | undefined;
  readonly tls?: TlsClient | undefined;
}

export class StreamChannel implements Channel {
  handler: ChannelHandler;
  bytesRead = 0;
  bytesWritten = 0;
  readonly tls: TlsClient | undefined;

  #remote: Endpoint | undefined;
  #local: Endpoint | undefined;
  #stream: Duplex | undefined;
  /** While there is no stream yet: gives up getting one. */
  #cancel: (() => void) | undefined;
  /** Does the stream encrypt what it is given at once? */
  #encrypts = false;
  #paused = false;
  #ended = false;
  #reset = false;
  #closed = false;
  #error: unknown;
  /** Writes that are not finished, in order; of those that the stream has finished with, undefined. */
  readonly #unfinished: (Unfinished | undefined)[] = [];
  readonly #written = (error?: Error | null) => {
    if (!error) this.#finishWrite();
  };

  constructor(handler: ChannelHandler = NOBODY, { remote, local, tls }: StreamOrigin = {}) {
    this.handler = handler;
    this.#remote = remote;
    this.#local = local;
    this.tls = tls;
  }

  /** The connection is being made; `cancel` gives that up. `connect` or `fail` follows. */
  awaiting(cancel: () => void): this {
    this.#cancel = cancel;
    return this;
  }

  /** The connection that was awaited is there. */
  connect(stream: Duplex): void {
    this.attach(stream);
    if (this.#paused) stream.pause();
    for (const { bytes } of this.#unfinished as Unfinished[]) stream.write(bytes, this.#written);
    if (this.#ended) stream.end();
    this.handler.connected?.();
  }

  /** The connection that was awaited cannot be had. */
  fail(error: GantryError): void {
    this.#error = error;
    this.#close();
  }

  /** Takes over an open stream. Reading begins in the next turn. */
  attach(stream: Duplex): this {
    this.#stream = stream;
    this.#encrypts = stream instanceof TLSSocket;
    if (stream instanceof Socket) {
      this.#remote ??= endpointOf(stream.remoteAddress, stream.remotePort);
      this.#local ??= endpointOf(stream.localAddress, stream.localPort);
    }
    stream.on('data', (chunk: Buffer) => this.#read(chunk));
    stream.on('end', () => {
      if (!this.#reset) this.handler.ended();
    });
    stream.on('error', (error) => {
      this.#error = error;
      // What TLS says after its handshake does not close the connection by itself.
      stream.destroy();
    });
    stream.on('close', () => this.#close());
    stream.resume();
    return this;
  }

  get remote(): Endpoint {
    return this.#remote ?? NO_ENDPOINT;
  }

  get local(): Endpoint {
    return this.#local ?? NO_ENDPOINT;
  }

  get pending(): number {
    if (!this.open) return 0;
    if (this.#stream) return this.#stream.writableLength;
    return this.#unfinished.reduce((sum, write) => sum + (write?.bytes.length ?? 0), 0);
  }

  get open(): boolean {
    return !this.#reset && !this.#closed;
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    // What is written to a connection that is gone or was ended goes nowhere.
    if (this.#ended || !this.open || bytes.length === 0) return true;
    this.bytesWritten += bytes.length;
    const stream = this.#stream;
    if (stream && this.#encrypts) {
      const queued = stream.writableLength;
      if (queued === 0) {
        stream.write(bytes);
        return true;
      }
      if (queued + bytes.length <= QUEUE) {
        stream.write(Buffer.from(bytes));
        return true;
      }
    }
    if (stream) {
      stream.write(bytes, this.#written);
      if (stream.writableLength === 0) {
        this.#unfinished.push(undefined);
        return true;
      }
    }
    holdMemory(bytes);
    this.#unfinished.push({ bytes, done });
    return false;
  }

  pause(): void {
    this.#paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    if (this.open) this.#stream?.resume();
  }

  end(): void {
    if (this.#ended || !this.open) return;
    this.#ended = true;
    this.#stream?.end();
  }

  reset(): void {
    if (!this.open) return;
    this.#reset = true;
    if (this.#stream) resetStream(this.#stream);
    else {
      this.#cancel?.();
      process.nextTick(() => this.#close());
    }
  }

  #read(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    if (!this.#reset) this.handler.read(chunk);
  }

  #finishWrite(): void {
    const write = this.#unfinished.shift();
    if (!write) return;
    releaseMemory(write.bytes);
    if (!this.#reset) write.done?.();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const write of this.#unfinished) if (write) releaseMemory(write.bytes);
    this.#unfinished.length = 0;
    const { handler } = this;
    this.handler = NOBODY;
    handler.closed(this.#reset ? undefined : this.#failure());
  }

  #failure(): GantryError | undefined {
    const error = this.#error;
    if (error === undefined || error instanceof GantryError) return error;
    // In TLS 1.3 a server refuses our certificate only after the handshake.
    const isTls = this.#cancel !== undefined && /^ERR_SSL/.test((error as NodeJS.ErrnoException).code ?? '');
    return isTls ? tlsError(error, this.remote) : brokenError(error, this.remote);
  }
}

/** A connection that a library handed over, as a channel; what `origin` says counts instead of what the socket says. */
export function adoptSocket(socket: Duplex, origin?: StreamOrigin): Channel {
  return new StreamChannel(NOBODY, origin).attach(socket);
}

/** TLS connection → the connection under it. */
const carriers = new WeakMap<Duplex, Socket>();

/** Notes what carries a TLS connection, so that it can be reset. */
export function setCarrier(stream: TLSSocket, carrier: Socket): void {
  carriers.set(stream, carrier);
}

/** RST where that can be done, else closes at once. */
function resetStream(stream: Duplex): void {
  const carrier = stream instanceof TLSSocket ? carriers.get(stream) : stream;
  // The system refuses to reset a connection while its FIN is on the way, which a peer may delay for ever.
  const isEnding = stream.writableEnded && !stream.writableFinished;
  if (carrier instanceof Socket && !isEnding) carrier.resetAndDestroy();
  else stream.destroy();
}
