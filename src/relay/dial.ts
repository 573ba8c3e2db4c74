/** Outgoing connections. */
import type { Socket } from 'node:net';
import { writeProxyHeader } from '../../protocols/proxy-protocol/write.ts';
import { GantryError } from '../errors.ts';
import type { Channel, ChannelHandler, Endpoint } from './channel.ts';
import { connectSocket, type DialAttempt, whenConnected } from './connect.ts';
import { DEFAULT_READS, type ReadMode } from './read-mode.ts';
import { type From, fromOf, type Source } from './source.ts';
import { StreamChannel } from './stream-channel.ts';
import { SOCKET_OPTIONS, TcpChannel } from './tcp-channel.ts';
import { connectTls, type TlsClientOptions } from './tls-client.ts';
import { tlsError } from './tls-error.ts';

export type { DialAttempt } from './connect.ts';
export type { TlsClientOptions } from './tls-client.ts';

/** How connections to the servers of a pool are made, beside their address. */
export interface ServerLink {
  /** Spoken to in TLS. */
  readonly tls?: TlsClientOptions | undefined;
  /** Each connection begins with a PROXY protocol header of this version, which names the client. */
  readonly proxyProtocol?: 1 | 2 | undefined;
  /** Milliseconds; instead of those of the VIP. */
  readonly connectTimeout?: number | undefined;
  readonly responseTimeout?: number | undefined;
  /** Where the connections come from; undefined: as the system chooses. */
  readonly source?: Source | undefined;
}

/** Where a connection comes from, and what comes before its own bytes. */
export interface Preamble {
  readonly from?: From | undefined;
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

/**
 * What the servers of a pool want first. For nobody in particular, a PROXY header says just that, and the connection is
 * never from a client's address.
 */
export function preambleOf(link: ServerLink | undefined, client?: DialledFor): Preamble {
  if (!link?.tls && !link?.source && link?.proxyProtocol === undefined) return NO_PREAMBLE;
  const { tls, proxyProtocol, source } = link;
  const from = fromOf(source, client?.remote.host);
  if (proxyProtocol === undefined) return { from, tls };
  const ends = client && { source: client.remote, destination: client.local };
  return { from, tls, proxyHeader: writeProxyHeader(proxyProtocol, ends) };
}

export interface DialOptions extends Preamble {
  /** How the channel reads; direct unless asked otherwise. TLS is always copied. */
  readonly reads?: ReadMode;
}

/**
 * Dials, and returns at once: `handler.connected()` follows, with TLS after its handshake, or `handler.closed()` with a
 * GTY_CONNECT_…, GTY_SOURCE or GTY_TLS_… error. There is no time-out here but the system's own: whoever dials keeps a
 * deadline and calls `reset()`, upon which `closed` follows without an error. What is written before the connection is
 * there goes out with it.
 */
export function dial(
  target: Endpoint,
  handler: ChannelHandler,
  { reads = DEFAULT_READS, ...preamble }: DialOptions = {},
): Channel {
  const { tls, from, proxyHeader } = preamble;
  if (tls) {
    const channel = new StreamChannel(handler, { remote: target });
    const attempt = dialSocket(target, preamble, toldTo(channel));
    return channel.awaiting(() => attempt.cancel());
  }
  const channel = new TcpChannel(reads === 'direct', handler);
  const options = { ...SOCKET_OPTIONS, onread: channel.onread };
  if (typeof from === 'object') {
    const attempt = whenConnected(target, from, options, toldTo(channel));
    channel.awaiting(target, () => attempt.cancel());
  } else {
    channel.attach(connectSocket(target, { address: from }, options), target);
  }
  if (proxyHeader) {
    channel.write(proxyHeader);
    channel.bytesWritten = 0;
  }
  return channel;
}

function toldTo(channel: TcpChannel | StreamChannel) {
  return (error: GantryError | undefined, socket?: Socket) => {
    if (socket) channel.connect(socket);
    else channel.fail(error!);
  };
}

/**
 * Dials for a library that reads sockets itself. `done` is called once, later: with a GTY_CONNECT_…, GTY_SOURCE or
 * GTY_TLS_… error, or with a connected socket (in TLS a TLSSocket) of which nothing was read, and whose data, errors and
 * end are the library's to listen to.
 */
export function dialSocket(
  target: Endpoint,
  { from, tls, proxyHeader }: Preamble,
  done: (error: GantryError | undefined, socket?: Socket) => void,
): DialAttempt {
  let isOver = false;
  const finish = (error: GantryError | undefined, socket?: Socket) => {
    if (isOver) return;
    isOver = true;
    done(error, socket);
  };
  const secure = (socket: Socket, options: TlsClientOptions) => {
    try {
      connectTls(socket, target, options, (error, secured) => {
        finish(error && tlsError(error, target), secured);
      });
    } catch (error) {
      // Of what `checkTlsClient` would have said before.
      socket.destroy();
      finish(new GantryError('GTY_TLS_HANDSHAKE', (error as Error).message, { cause: error }));
    }
  };
  const attempt = whenConnected(target, from, { allowHalfOpen: true }, (error, socket) => {
    if (!socket) {
      finish(error);
      return;
    }
    if (proxyHeader) socket.write(proxyHeader);
    if (tls) secure(socket, tls);
    else finish(undefined, socket);
  });
  return {
    cancel() {
      if (isOver) return;
      isOver = true;
      attempt.cancel();
    },
  };
}
