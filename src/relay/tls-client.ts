/** TLS towards servers. */
import { isIP, type Socket } from 'node:net';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { checkAuthorities, createContext, readCertificate } from './certificates.ts';
import type { Endpoint } from './channel.ts';
import { setCarrier } from './stream-channel.ts';
import { algorithmsOf, type TlsProfile } from './tls-profile.ts';

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
  /** Undefined: the algorithms of Node, which are more, for servers that are old. */
  readonly profile?: TlsProfile | undefined;
}

/** What connections with the same options share. */
interface Shared {
  readonly context: SecureContext;
  /** `host:port` → the last session, which saves the next connection most of the handshake. */
  readonly sessions: Map<string, Buffer>;
}

const shared = new WeakMap<TlsClientOptions, Shared>();

/** Sessions kept for each options object: servers of a pool. */
const SESSIONS = 256;

function sharedBy(options: TlsClientOptions): Shared {
  let found = shared.get(options);
  if (!found) {
    const { ca, cert, key, minVersion = 'TLSv1.2', profile } = options;
    const algorithms = profile === undefined ? {} : algorithmsOf(profile);
    found = {
      context: createContext({ ...algorithms, ca, cert, key, minVersion }, 'the certificate towards servers'),
      sessions: new Map(),
    };
    shared.set(options, found);
  }
  return found;
}

/** Throws an Error whose message is a sentence for the operator when a certificate or key cannot be used. */
export function checkTlsClient(options: TlsClientOptions, now = Date.now()): void {
  const { ca, cert, key } = options;
  if (ca !== undefined) checkAuthorities(ca, 'ca');
  if ((cert === undefined) !== (key === undefined)) {
    throw new Error('a certificate towards servers needs its key: give `cert` and `key`, or neither');
  }
  if (cert !== undefined && key !== undefined)
    readCertificate({ cert, key }, 'the certificate towards servers', now);
  sharedBy(options);
}

/**
 * Speaks TLS on a connected socket. `done` is called once: with the error of the handshake or of the verification, in
 * Node's words, or with the TLS socket, nothing of which has been read. Destroying `socket` gives up. Throws when
 * `checkTlsClient` would.
 */
export function connectTls(
  socket: Socket,
  { host, port }: Endpoint,
  options: TlsClientOptions,
  done: (error: Error | undefined, secured?: TLSSocket) => void,
): void {
  const { context, sessions } = sharedBy(options);
  const name = options.servername ?? host;
  const server = `${host}:${port}`;
  const secured = connect({
    socket,
    secureContext: context,
    rejectUnauthorized: options.verify,
    host: name,
    // RFC 6066 3: an address is no server name.
    servername: isIP(name) === 0 ? name : undefined,
    session: sessions.get(server),
  });
  setCarrier(secured, socket);
  secured.on('session', (session) => {
    if (sessions.size >= SESSIONS && !sessions.has(server)) sessions.clear();
    sessions.set(server, session);
  });
  let failure: Error | undefined;
  const finish = (error: Error | undefined) => {
    secured.off('secureConnect', succeed).off('close', fail);
    done(error, error ? undefined : secured);
  };
  const succeed = () => {
    secured.off('error', remember);
    finish(undefined);
  };
  const remember = (error: Error) => {
    failure = error;
    // A session that the server no longer wants, or that is of another server by now.
    sessions.delete(server);
  };
  const fail = () =>
    finish(failure ?? Object.assign(new Error('closed in the handshake'), { code: 'ECONNRESET' }));
  secured.on('error', remember).once('secureConnect', succeed).once('close', fail);
}
