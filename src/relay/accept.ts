/**
 * The entrance of a VIP: what happens to a connection before its protocol sees it. A PROXY protocol header names the
 * client, then TLS is spoken, then the connection is handed on. What does not get that far is closed and named.
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import {
  createProxyHeaderReader,
  type ProxyHeaderRead,
  type ProxyHeaderReader,
} from '../../protocols/proxy-protocol/read.ts';
import { subjectOf } from './certificates.ts';
import type { Channel, ChannelHandler, Endpoint, TlsClient } from './channel.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import { type Guest, guestsOf } from './dismiss.ts';
import type { Acceptor } from './listen.ts';
import { noticeRefused } from './refused.ts';
import { adoptSocket } from './stream-channel.ts';
import { endpointOf, NO_ENDPOINT, type TcpChannel } from './tcp-channel.ts';
import { certificateFault, handshakeFault } from './tls-error.ts';
import type { TlsIdentity } from './tls-identity.ts';

export { adoptSocket } from './stream-channel.ts';

export interface Entrance {
  /** Connections speak TLS. */
  readonly tls?: TlsIdentity | undefined;
  /** How a client of the protocol begins that should speak TLS and does not: it is turned away by that name. */
  readonly plain?: { readonly protocol: string; readonly firstByte: number } | undefined;
  /** Connections from the addresses that `from` accepts begin with a PROXY protocol header; others have none. */
  readonly proxyProtocol?: { readonly from: (address: string) => boolean } | undefined;
  /** Milliseconds for the header and the handshake together. */
  readonly handshakeTimeout: number;
  readonly deadlines: Deadlines;
  /** For notices. */
  readonly vip: string;
}

/** What the entrance found out about a connection. */
export interface Origin {
  /** The client: the one that a PROXY header names, if there was one. */
  readonly remote: Endpoint;
  /** Where it connected to. */
  readonly local: Endpoint;
  readonly tls?: TlsClient | undefined;
  /** The application protocol agreed on. */
  readonly alpn?: string | undefined;
}

/**
 * The acceptor of a listener whose protocol reads channels. Connections that are still at the entrance when the
 * listener is closed, or gets another acceptor, go on to `accept` when they are through.
 */
export function channelAcceptor(entrance: Entrance, accept: (channel: Channel) => void): Acceptor {
  if (entrance.tls) {
    return socketAcceptor(entrance, (socket, origin) => accept(adoptSocket(socket, origin)));
  }
  const { proxyProtocol } = entrance;
  if (!proxyProtocol) return accept;
  return (channel) => {
    if (proxyProtocol.from(channel.remote.host))
      channel.handler = new HeaderOfChannel(entrance, channel, accept);
    else accept(channel);
  };
}

/** The same for protocols that a library reads: `accept` gets a socket that is paused, in TLS a TLSSocket. */
export function socketAcceptor(
  entrance: Entrance,
  accept: (socket: Socket, origin: Origin) => void,
): Acceptor {
  const { tls, proxyProtocol } = entrance;
  return {
    socket(socket) {
      const remote = endpointOf(socket.remoteAddress, socket.remotePort) ?? NO_ENDPOINT;
      const origin = { remote, local: endpointOf(socket.localAddress, socket.localPort) ?? NO_ENDPOINT };
      const hasHeader = proxyProtocol?.from(remote.host) ?? false;
      if (hasHeader || tls) new Arrival(entrance, socket, origin, accept).start(hasHeader);
      else accept(socket, origin);
    },
  };
}

/** A plain channel whose PROXY header is being read. */
class HeaderOfChannel implements ChannelHandler, Guest {
  readonly #entrance: Entrance;
  readonly #channel: TcpChannel;
  readonly #accept: (channel: Channel) => void;
  readonly #deadline: Deadline;
  readonly #reader: ProxyHeaderReader = createProxyHeaderReader();

  constructor(entrance: Entrance, channel: TcpChannel, accept: (channel: Channel) => void) {
    this.#entrance = entrance;
    this.#channel = channel;
    this.#accept = accept;
    this.#deadline = entrance.deadlines.after(entrance.handshakeTimeout, () => this.#refuse(NO_HEADER));
    guestsOf(entrance.deadlines).add(this);
  }

  read(bytes: Buffer): void {
    let found: ProxyHeaderRead | undefined;
    try {
      found = this.#reader.push(bytes);
    } catch (error) {
      this.#refuse((error as Error).message);
      return;
    }
    if (!found) return;
    this.#over();
    const channel = this.#channel;
    channel.introduce(found.header.source, found.header.destination, found.rest, () => this.#accept(channel));
  }

  ended(): void {
    this.#channel.end();
  }

  closed(): void {
    this.#over();
  }

  reset(): void {
    this.#channel.reset();
  }

  #refuse(what: string): void {
    noticeRefused(this.#entrance, this.#channel.remote.host, what);
    this.#channel.reset();
  }

  #over(): void {
    this.#deadline.cancel();
    guestsOf(this.#entrance.deadlines).delete(this);
  }
}

const NO_HEADER = 'it did not send a whole PROXY protocol header in time';
const NO_HANDSHAKE = 'it did not finish the TLS handshake in time';

/** A socket on its way through the entrance. */
class Arrival implements Guest {
  readonly #entrance: Entrance;
  readonly #socket: Socket;
  readonly #accept: (socket: Socket, origin: Origin) => void;
  readonly #deadline: Deadline;
  readonly #close = () => this.#over();
  #origin: Origin;
  #isOver = false;
  #awaited = NO_HEADER;

  constructor(
    entrance: Entrance,
    socket: Socket,
    origin: Origin,
    accept: (socket: Socket, origin: Origin) => void,
  ) {
    this.#entrance = entrance;
    this.#socket = socket;
    this.#origin = origin;
    this.#accept = accept;
    this.#deadline = entrance.deadlines.after(entrance.handshakeTimeout, () => this.#refuse(this.#awaited));
    guestsOf(entrance.deadlines).add(this);
    socket.on('error', ignore).on('close', this.#close);
  }

  start(hasHeader: boolean): void {
    if (hasHeader) this.#readHeader();
    else this.#beginTls();
  }

  reset(): void {
    this.#leave();
  }

  #readHeader(): void {
    const socket = this.#socket;
    const reader = createProxyHeaderReader();
    const read = (bytes: Buffer) => {
      let found: ProxyHeaderRead | undefined;
      try {
        found = reader.push(bytes);
      } catch (error) {
        this.#refuse((error as Error).message);
        return;
      }
      if (!found) return;
      socket.off('data', read).off('end', end).pause();
      if (found.rest.length > 0) socket.unshift(found.rest);
      const { source, destination } = found.header;
      const { remote, local } = this.#origin;
      this.#origin = { remote: source ?? remote, local: destination ?? local };
      if (this.#entrance.tls) this.#beginTls();
      else this.#hand(socket);
    };
    const end = () => socket.destroy();
    socket.on('data', read).on('end', end).resume();
  }

  #beginTls(): void {
    this.#awaited = NO_HANDSHAKE;
    const { plain } = this.#entrance;
    if (!plain) {
      this.#secure();
      return;
    }
    // OpenSSL would only say that it is no TLS, and might wait for more of it.
    const socket = this.#socket;
    const look = (bytes: Buffer) => {
      socket.off('data', look).off('end', end).pause();
      if (bytes[0] === plain.firstByte) {
        this.#refuse(`it speaks ${plain.protocol} without TLS`);
        return;
      }
      socket.unshift(bytes);
      this.#secure();
    };
    const end = () => socket.destroy();
    socket.on('data', look).on('end', end).resume();
  }

  #secure(): void {
    // A certificate that is refused is heard of after the close.
    this.#socket.off('close', this.#close);
    this.#entrance.tls!.secure(this.#socket, (error, secured) => {
      if (secured) this.#hand(secured, secured);
      // Who closes without a word only looked whether the port is open.
      else if (this.#socket.bytesRead === 0) this.#leave();
      else this.#refuse(handshakeRefusal(error));
    });
  }

  #hand(socket: Socket, secured?: TLSSocket): void {
    if (this.#isOver) return;
    this.#over();
    const origin = this.#origin;
    this.#accept(socket, secured ? { ...origin, ...handshakeOf(secured) } : origin);
  }

  #refuse(what: string): void {
    if (this.#isOver) return;
    noticeRefused(this.#entrance, this.#origin.remote.host, what);
    this.#leave();
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#over();
    this.#socket.on('error', ignore).destroy();
  }

  #over(): void {
    this.#isOver = true;
    this.#deadline.cancel();
    guestsOf(this.#entrance.deadlines).delete(this);
    this.#socket.off('error', ignore).off('close', this.#close);
  }
}

function ignore(): void {}

function handshakeRefusal(error: Error | undefined): string {
  const fault = certificateFault(error);
  return fault === undefined ? `it ${handshakeFault(error)}` : `its certificate is refused: ${fault}`;
}

function handshakeOf(secured: TLSSocket): Pick<Origin, 'tls' | 'alpn'> {
  const certificate = secured.authorized ? secured.getPeerX509Certificate() : undefined;
  const { servername, alpnProtocol } = secured as {
    servername?: string | false | null;
    alpnProtocol: unknown;
  };
  return {
    tls: {
      sni: servername && /^[\w.-]+$/.test(servername) ? servername.toLowerCase() : undefined,
      subject: certificate && subjectOf(certificate),
    },
    alpn: typeof alpnProtocol === 'string' ? alpnProtocol : undefined,
  };
}
