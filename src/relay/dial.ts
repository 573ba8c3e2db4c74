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
