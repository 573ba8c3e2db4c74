/** Outgoing connections. */
import { connect } from 'node:net';
import type { Channel, ChannelHandler } from './channel.ts';
import { DEFAULT_READS, type ReadMode } from './read-mode.ts';
import { KEEP_ALIVE_MS, SOCKET_OPTIONS, TcpChannel } from './tcp-channel.ts';

export interface DialTarget {
  /** An address or a name. */
  readonly host: string;
  readonly port: number;
  /** The source address of the connection. */
  readonly localAddress?: string | undefined;
}

/** How connections to the servers of a pool are made, beside their address. */
export interface ServerLink {
  /** Spoken to in TLS. */
  readonly tls?: TlsClientOptions | undefined;
  /** Each connection begins with a PROXY protocol header of this version, which names the client. */
  readonly proxyProtocol?: 1 | 2 | undefined;
  /** Milliseconds; instead of those of the VIP. */
  readonly connectTimeout?: number | undefined;
  readonly responseTimeout?: number | undefined;
}

export interface TlsClientOptions {
  /** Is the certificate of the server checked, and its name? */
  readonly verify: boolean;
  /** PEM of the authorities; undefined: those of Node. */
  readonly ca?: string | undefined;
  /** The name that the certificate must have, and that is asked for (SNI); undefined: the host that is dialled. */
  readonly servername?: string | undefined;
  /** PEM of our own certificate and its key, for servers that ask for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
}

export interface DialOptions {
  /** How the channel reads; direct unless asked otherwise. */
  readonly reads?: ReadMode;
}

/**
 * Dials, and returns at once: `handler.connected()` follows, or `handler.closed()` with a GTY_CONNECT_… error. There is
 * no time-out here but the system's own: whoever dials keeps a deadline and calls `reset()`, upon which `closed`
 * follows without an error. What is written before the connection is there goes out with it.
 */
export function dial(
  target: DialTarget,
  handler: ChannelHandler,
  { reads = DEFAULT_READS }: DialOptions = {},
): Channel {
  const channel = new TcpChannel(reads === 'direct', handler);
  const { host, port, localAddress } = target;
  const socket = connect({
    ...SOCKET_OPTIONS,
    host,
    port,
    localAddress,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
    onread: channel.onread,
  });
  return channel.attach(socket, { host, port });
}
