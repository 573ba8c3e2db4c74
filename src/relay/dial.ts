/** Outgoing connections. */
import { connect, type Socket } from 'node:net';
import { writeProxyHeader } from '../../protocols/proxy-protocol/write.ts';
import { GantryError } from '../errors.ts';
import type { Channel, ChannelHandler, Endpoint } from './channel.ts';
import { connectError } from './connection-error.ts';
import { DEFAULT_READS, type ReadMode } from './read-mode.ts';
import { StreamChannel } from './stream-channel.ts';
import { KEEP_ALIVE_MS, SOCKET_OPTIONS, TcpChannel } from './tcp-channel.ts';
import { connectTls, type TlsClientOptions } from './tls-client.ts';
import { tlsError } from './tls-error.ts';

export type { TlsClientOptions } from './tls-client.ts';

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

/** What comes before a connection's own bytes. */
export interface Preamble {
  /** Sent first, before TLS; does not count as written. */
  readonly proxyHeader?: Uint8Array | undefined;
  readonly tls?: TlsClientOptions | undefined;
}

/** The client that a connection is made for: who it is, and the address it came to. */
export interface DialledFor {
  readonly remote: Endpoint;
  readonly local: Endpoint;
}

const NO_PREAMBLE: Preamble = {};

/** What the servers of a pool want first. For nobody in particular, a PROXY header says just that. */
export function preambleOf(link: ServerLink | undefined, client?: DialledFor): Preamble {
  if (link?.tls === undefined && link?.proxyProtocol === undefined) return NO_PREAMBLE;
  const { tls, proxyProtocol } = link;
  if (proxyProtocol === undefined) return { tls };
  const ends = client && { source: client.remote, destination: client.local };
  return { tls, proxyHeader: writeProxyHeader(proxyProtocol, ends) };
}

export interface DialOptions extends Preamble {
  /** How the channel reads; direct unless asked otherwise. TLS is always copied. */
  readonly reads?: ReadMode;
}

/**
 * Dials, and returns at once: `handler.connected()` follows, with TLS after its handshake, or `handler.closed()` with a
 * GTY_CONNECT_… or GTY_TLS_… error. There is no time-out here but the system's own: whoever dials keeps a deadline and
 * calls `reset()`, upon which `closed` follows without an error. What is written before the connection is there goes
 * out with it.
 */
export function dial(
  target: DialTarget,
  handler: ChannelHandler,
  { reads = DEFAULT_READS, tls, proxyHeader }: DialOptions = {},
): Channel {
  const { host, port } = target;
  if (tls) {
    const channel = new StreamChannel(handler, { remote: { host, port } });
    const attempt = dialSocket(target, { tls, proxyHeader }, (error, socket) => {
      if (socket) channel.connect(socket);
      else channel.fail(error!);
    });
    return channel.awaiting(() => attempt.cancel());
  }
  const channel = new TcpChannel(reads === 'direct', handler);
  const socket = connect({ ...socketOptions(target), ...SOCKET_OPTIONS, onread: channel.onread });
  channel.attach(socket, { host, port });
  if (proxyHeader) {
    channel.write(proxyHeader);
    channel.bytesWritten = 0;
  }
  return channel;
}

function socketOptions({ host, port, localAddress }: DialTarget) {
  const keepAlive = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
  return { host, port, localAddress, noDelay: true, ...keepAlive };
}

export interface DialAttempt {
  /** Gives up, when it is still under way; `done` is not called then. */
  cancel(): void;
}

/**
 * Dials for a library that reads sockets itself. `done` is called once, later: with a GTY_CONNECT_… or GTY_TLS_… error,
 * or with a connected socket (in TLS a TLSSocket) of which nothing was read, and whose data, errors and end are the
 * library's to listen to.
 */
export function dialSocket(
  target: DialTarget,
  { tls, proxyHeader }: Preamble,
  done: (error: GantryError | undefined, socket?: Socket) => void,
): DialAttempt {
  const { host, port } = target;
  const socket = connect({ ...socketOptions(target), allowHalfOpen: true });
  let isOver = false;
  const finish = (error: GantryError | undefined, connected?: Socket) => {
    if (isOver) return;
    isOver = true;
    done(error, connected);
  };
  const refuse = (error: Error) => finish(connectError(error, target));
  const secure = (options: TlsClientOptions) => {
    try {
      connectTls(socket, { host, port }, options, (error, secured) => {
        finish(error && tlsError(error, { host, port }), secured);
      });
    } catch (error) {
      // Of what `checkTlsClient` would have said before.
      socket.destroy();
      finish(new GantryError('GTY_TLS_HANDSHAKE', (error as Error).message, { cause: error }));
    }
  };
  socket.once('error', refuse);
  socket.once('connect', () => {
    if (proxyHeader) socket.write(proxyHeader);
    if (tls) secure(tls);
    socket.off('error', refuse);
    if (!tls) finish(undefined, socket);
  });
  return {
    cancel() {
      if (isOver) return;
      isOver = true;
      socket.destroy();
    },
  };
}
