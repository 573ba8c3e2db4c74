/**
 * A channel over a `net.Socket`, in one of two ways of reading:
 *
 * - direct: the kernel's bytes go straight into a buffer of ours (`onread`), which is used again and again;
 * - copying: the socket's own `data` events, for what cannot do that (TLS; a Node whose internals changed).
 *
 * Writes need no callback each: the socket's high-water mark is 0, so that `write` says true exactly when the kernel
 * took everything, and `drain` comes exactly when it has taken the rest.
 */
import { isIP, type OnReadOpts, type Socket } from 'node:net';
import { GantryError } from '../errors.ts';
import type { Channel, ChannelHandler, Endpoint } from './channel.ts';
import { brokenError, connectError } from './connection-error.ts';
import {
  giveBuffer,
  holdMemory,
  isInUse,
  releaseMemory,
  SMALL_BUFFER,
  takeLargeBuffer,
  takeSmallBuffer,
  whenFree,
} from './read-buffers.ts';
import { spendTurn } from './turn.ts';

/** Options every channel's socket is made with. */
export const SOCKET_OPTIONS = { allowHalfOpen: true, writableHighWaterMark: 0 } as const;

/** An idle connection's peer is asked for a sign of life after this long. */
export const KEEP_ALIVE_MS = 60_000;

/** So many reads in a row that a small buffer would have held give the large one back. */
const SMALL_READS = 16;

export const NO_ENDPOINT: Endpoint = { host: '', port: 0 };

/** Handler of a channel that nobody has taken yet. */
export const NOBODY: ChannelHandler = { read() {}, ended() {}, closed() {} };

export class TcpChannel implements Channel {
  handler: ChannelHandler;
  bytesRead = 0;
  bytesWritten = 0;
  /** For the socket's `onread` option; undefined when this channel copies. */
  readonly onread: OnReadOpts | undefined;

  /** None while it is awaited. */
  #socket: Socket | undefined;
  /** Gives up what is awaited. */
  #cancel: (() => void) | undefined;
  #remote: Endpoint | undefined;
  #local: Endpoint | undefined;
  #connected = false;
  /** `end` was called. */
  #ended = false;
  /** The peer's FIN came. */
  #peerEnded = false;
  #reset = false;
  #closed = false;
  #error: unknown;

  #buffer: Buffer | undefined;
  /** What the last read gave the handler: made anew only when the length changes. */
  #view: Buffer | undefined;
  #smallReads = 0;
  #reading = false;
  #paused = false;
  /** Paused inside the read callback: somebody still uses the buffer. */
  #held = false;

  /** Read already, and to be read again. */
  #unread: Buffer | undefined;

  /** Written before the connection was there. */
  #early: Uint8Array[] | undefined;
  #earlyBytes = 0;
  /** Writes that the kernel has not finished, in order, and what to call for each when it has. */
  readonly #unfinished: Uint8Array[] = [];
  readonly #done: ((() => void) | undefined)[] = [];
  readonly #readOn = () => {
    if (!this.#paused && !this.#reading && this.open) this.#socket!.read(0);
  };

  /** `attach` follows. */
  constructor(direct: boolean, handler: ChannelHandler = NOBODY) {
    this.handler = handler;
    if (direct) {
      this.onread = { buffer: () => this.#nextBuffer()!, callback: (length) => this.#readDirect(length) };
    }
  }

  /** Takes over a socket made with `SOCKET_OPTIONS` and this channel's `onread`; `dialled` says where it connects to. */
  attach(socket: Socket, dialled?: Endpoint): this {
    this.#listen(socket);
    if (dialled === undefined) {
      this.#connected = true;
      // Asked for at once: a peer that has gone no longer has an address.
      this.#remote = endpointOf(socket.remoteAddress, socket.remotePort) ?? NO_ENDPOINT;
    } else {
      this.#remote = dialled;
      socket.on('connect', () => this.#connect());
    }
    return this;
  }

  /** A connection to `dialled` is being made; `cancel` gives that up. `connect` or `fail` follows. */
  awaiting(dialled: Endpoint, cancel: () => void): void {
    this.#remote = dialled;
    this.#cancel = cancel;
  }

  /** The connection that was awaited is there: a socket as for `attach`, in the turn in which it connected. */
  connect(socket: Socket): void {
    this.#listen(socket);
    this.#connect();
  }

  /** The connection that was awaited cannot be had. */
  fail(error: GantryError): void {
    this.#error = error;
    this.#close();
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.on('end', () => this.#end());
    socket.on('drain', () => this.#finishWrites(this.#unfinished.length));
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => this.#close());
    if (this.onread === undefined) socket.on('data', (chunk: Buffer) => this.#read(chunk));
  }

  get remote(): Endpoint {
    return this.#remote!;
  }

  get local(): Endpoint {
    this.#local ??= endpointOf(this.#socket?.localAddress, this.#socket?.localPort);
    return this.#local ?? NO_ENDPOINT;
  }

  get pending(): number {
    return this.#reset || this.#closed ? 0 : this.#earlyBytes + (this.#socket?.writableLength ?? 0);
  }

  get open(): boolean {
    return !this.#reset && !this.#closed;
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    // What is written to a connection that is gone or was ended goes nowhere.
    if (this.#ended || this.#reset || this.#closed || bytes.length === 0) return true;
    this.bytesWritten += bytes.length;
    if (this.#connected) {
      if (this.#socket!.write(bytes)) return true;
    } else {
      this.#early ??= [];
      this.#early.push(bytes);
      this.#earlyBytes += bytes.length;
    }
    holdMemory(bytes);
    this.#unfinished.push(bytes);
    this.#done.push(done);
    return false;
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    if (this.onread === undefined) this.#socket?.pause();
    // The read callback's answer stops the reading.
    else if (this.#reading) this.#held = true;
    else if (this.#connected) this.#socket!.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#held = false;
    if (this.#reset || this.#closed) return;
    if (this.#unread === undefined) this.#flow();
    else process.nextTick(() => this.#readAgain());
  }

  #flow(): void {
    if (this.onread === undefined) this.#socket?.resume();
    else if (this.#connected && !this.#reading) {
      if (this.#buffer === undefined) this.#readOn();
      else whenFree(this.#buffer, this.#readOn);
    }
  }

  /**
   * Called within the read callback, by whoever read a preamble that names the ends of the connection (undefined: they
   * stay as they are). `accept` names the next handler, which gets what followed, `rest`, as the first bytes read.
   */
  introduce(
    remote: Endpoint | undefined,
    local: Endpoint | undefined,
    rest: Buffer,
    accept: () => void,
  ): void {
    if (remote) this.#remote = remote;
    if (local) this.#local = local;
    this.bytesRead = 0;
    accept();
    if (rest.length === 0 || !this.open) return;
    if (this.#paused) this.#unread = rest;
    else {
      this.#read(rest);
      this.#reading = true;
    }
  }

  end(): void {
    if (this.#ended || this.#reset || this.#closed) return;
    this.#ended = true;
    this.#finish();
  }

  reset(): void {
    if (this.#reset || this.#closed) return;
    this.#reset = true;
    const socket = this.#socket;
    if (!socket) {
      this.#cancel?.();
      process.nextTick(() => this.#close());
    } else if (!this.#connected) socket.destroy();
    // The system refuses to reset a connection in the moment in which its FIN goes out.
    else if (socket.writableEnded && !socket.writableFinished) {
      socket.pause();
      socket.once('finish', () => socket.resetAndDestroy());
    } else socket.resetAndDestroy();
  }

  #connect(): void {
    const socket = this.#socket;
    if (this.#reset || !socket) return;
    this.#connected = true;
    // A name has become an address.
    if (isIP(this.remote.host) === 0) {
      this.#remote = endpointOf(socket.remoteAddress, socket.remotePort) ?? this.#remote;
    }
    if (this.#paused) socket.pause();
    const count = this.#unfinished.length;
    const taken = this.#sendEarly();
    this.handler.connected?.();
    if (taken) this.#finishWrites(count);
  }

  /** True when the kernel took everything that was written before the connection was there. */
  #sendEarly(): boolean {
    let taken = true;
    if (this.#early !== undefined) for (const bytes of this.#early) taken = this.#socket!.write(bytes);
    this.#early = undefined;
    this.#earlyBytes = 0;
    return taken;
  }

  /** The kernel has finished the first `count` of the unfinished writes. */
  #finishWrites(count: number): void {
    for (let left = count; left > 0 && !this.#reset; left -= 1) {
      releaseMemory(this.#unfinished.shift()!);
      this.#done.shift()?.();
    }
    if (this.#ended && !this.#reset) this.#finish();
  }

  /** Sends FIN once everything is written: a socket that is ending no longer tells when it has drained. */
  #finish(): void {
    const socket = this.#socket;
    if (!this.#connected || !socket || socket.writableLength > 0) return;
    // With the peer's FIN here already, closing says the same and spares a shutdown.
    if (this.#peerEnded) socket.destroy();
    else socket.end();
  }

  #readDirect(length: number): boolean {
    const buffer = this.#buffer!;
    let view = this.#view;
    if (view === undefined || view.length !== length) {
      view = length === buffer.length ? buffer : buffer.subarray(0, length);
      this.#view = view;
    }
    if (length >= SMALL_BUFFER) this.#smallReads = 0;
    else this.#smallReads += 1;
    this.#read(view);
    if (this.#paused) return false;
    if (isInUse(buffer)) {
      whenFree(buffer, this.#readOn);
      return false;
    }
    // A read that filled the buffer is followed by another at once, unless we say no.
    if (length < buffer.length || spendTurn(length)) return true;
    setImmediate(this.#readOn);
    return false;
  }

  #read(bytes: Buffer): void {
    this.bytesRead += bytes.length;
    if (this.#reset) return;
    this.#reading = true;
    this.handler.read(bytes);
    this.#reading = false;
  }

  /** The buffer for the next read; undefined leaves things as they are. Asked when reading starts and after each read. */
  #nextBuffer(): Buffer | undefined {
    const buffer = this.#buffer;
    if (buffer === undefined) return this.#closed ? undefined : this.#use(takeSmallBuffer());
    // A name with several addresses: each attempt is a handle of its own and needs to be told.
    if (!this.#connected) return buffer;
    if (buffer.length === SMALL_BUFFER) {
      if (this.#view !== buffer) return undefined; // the read did not fill it
      const large = takeLargeBuffer();
      if (large === undefined) return undefined;
      giveBuffer(buffer, this.#held);
      return this.#use(large);
    }
    if (this.#smallReads < SMALL_READS) return undefined;
    giveBuffer(buffer, this.#held);
    return this.#use(takeSmallBuffer());
  }

  #use(buffer: Buffer): Buffer {
    this.#buffer = buffer;
    this.#view = undefined;
    this.#smallReads = 0;
    return buffer;
  }

  #readAgain(): void {
    const bytes = this.#unread;
    if (bytes === undefined || this.#paused || !this.open) return;
    this.#unread = undefined;
    this.#read(bytes);
    if (!this.#paused) this.#flow();
  }

  #end(): void {
    this.#peerEnded = true;
    if (!this.#reset) this.handler.ended();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const bytes of this.#unfinished) releaseMemory(bytes);
    this.#unfinished.length = 0;
    this.#done.length = 0;
    this.#early = undefined;
    this.#unread = undefined;
    if (this.#buffer !== undefined) giveBuffer(this.#buffer, this.#held);
    this.#buffer = undefined;
    this.#view = undefined;
    const { handler } = this;
    // The system lets go of a handle late; nothing that the handle leads to shall live as long.
    this.handler = NOBODY;
    handler.closed(this.#reset ? undefined : this.#failure());
  }

  #failure(): GantryError | undefined {
    if (this.#error === undefined || this.#error instanceof GantryError) return this.#error;
    return this.#connected ? brokenError(this.#error, this.remote) : connectError(this.#error, this.remote);
  }
}

/** IPv4 addresses that come in IPv6 clothes (`::ffff:10.0.0.1`) are shown as what they are. */
export function endpointOf(address: string | undefined, port: number | undefined): Endpoint | undefined {
  if (address === undefined || port === undefined) return undefined;
  return { host: address.startsWith('::ffff:') ? address.slice(7) : address, port };
}
