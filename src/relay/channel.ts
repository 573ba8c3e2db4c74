/**
 * A channel: one TCP connection as the front-ends see it. Reads come through a callback from a buffer that is used
 * again, writes hand bytes to the kernel at once. `dial` and `listen` make them.
 */
import type { GantryError } from '../errors.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What a TLS handshake said about the client. */
export interface TlsClient {
  /** The server name it asked for, in lower case. */
  readonly sni: string | undefined;
  /** The subject of its certificate, when that was asked for and is good: `CN=ct1,O=Hospital`, RFC 4514. */
  readonly subject: string | undefined;
}

export interface ChannelHandler {
  /** A dialled channel is connected. */
  connected?(): void;
  /**
   * Bytes arrived. They are the channel's own buffer: valid until this returns, or, when this called `pause()`,
   * until `resume()`. Whoever keeps them longer copies them - but for a `write` of any channel: a buffer is not read
   * into while an unfinished write still reads from it.
   */
  read(bytes: Buffer): void;
  /** The peer sent FIN: no more reads. Writing still works until `end()` or `reset()`. */
  ended(): void;
  /** Gone both ways: called exactly once, and last. `error` says why when it was not an orderly close. */
  closed(error: GantryError | undefined): void;
}

export interface Channel {
  /** Who gets the events. Set again to hand the connection over (front-end → splice). */
  handler: ChannelHandler;
  readonly remote: Endpoint;
  readonly local: Endpoint;
  /** Of a channel that was accepted in TLS. */
  readonly tls?: TlsClient | undefined;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  /** Bytes given to `write` that the kernel has not taken yet. */
  readonly pending: number;
  /** Neither closed nor reset. */
  readonly open: boolean;
  /**
   * Writes. Returns true when the kernel took everything: `bytes` may be used again at once and `done` is not called.
   * Otherwise the channel holds `bytes` until it calls `done` (never called when the channel closes first).
   * Allowed before a dialled channel is connected.
   */
  write(bytes: Uint8Array, done?: () => void): boolean;
  /** Stops reading (at once: no read callback follows). */
  pause(): void;
  resume(): void;
  /** Sends FIN after what was written. */
  end(): void;
  /** Drops what was not sent and resets the connection (RST). `closed` follows. */
  reset(): void;
}
