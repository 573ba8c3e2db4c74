/** What a VIP shows to its clients in TLS: its certificates, and what it asks for. */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';
import { type Certificate, checkAuthorities, createContext, readCertificate } from './certificates.ts';
import { setCarrier } from './stream-channel.ts';
import { algorithmsOf, type TlsProfile } from './tls-profile.ts';

export interface TlsIdentityOptions {
  /** The first is shown to whoever asks for no name, or for one that none has. */
  readonly certificates: readonly Certificate[];
  /** PEM of the authorities of clients; given, a client without a certificate of theirs is refused. */
  readonly clientCa?: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Undefined: `bcp195`. */
  readonly profile?: TlsProfile | undefined;
  /** Application protocols offered, the best first: `h2`, `http/1.1`. */
  readonly alpn?: readonly string[] | undefined;
  /** Now, in milliseconds since 1970. */
  readonly now?: () => number;
}

export interface TlsIdentity {
  /**
   * Speaks TLS as the server on a connected socket, of which nothing was read, or what was read was put back. `done` is
   * called once: with the TLS socket, paused, or with the error of the handshake in Node's words. Destroying `socket`
   * gives up.
   */
  secure(socket: Socket, done: (error: Error | undefined, secured?: TLSSocket) => void): void;
}

/** The handshake is limited by who accepts; Node's own limit must not come before. */
const FOR_EVER = 2 ** 31 - 1;

/** Throws an Error whose message is a sentence for the operator when a certificate or key cannot be used. */
export function createTlsIdentity(options: TlsIdentityOptions): TlsIdentity {
  const { clientCa, minVersion, profile = 'bcp195', alpn, now = Date.now } = options;
  if (clientCa !== undefined) checkAuthorities(clientCa, 'clientCa');
  const isOnly = options.certificates.length === 1;
  const common = {
    ...algorithmsOf(profile),
    ca: clientCa,
    minVersion,
    // So that a client without AES in hardware still gets its own choice of TLS 1.3.
    honorCipherOrder: true,
    // A client that renegotiates again and again keeps a processor busy for nothing.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    // OpenSSL resumes the sessions of clients with certificates only where they are named for somebody.
    sessionIdContext: 'gantry',
  };
  /** The name of a certificate → what to show; of two certificates with the same name the first counts. */
  const contexts = new Map<string, SecureContext>();
  for (const [at, certificate] of options.certificates.entries()) {
    const which = isOnly ? 'the certificate' : `certificate ${at + 1}`;
    const names = readCertificate(certificate, which, now());
    const context = createContext({ ...common, ...certificate }, which);
    for (const name of names) if (!contexts.has(name)) contexts.set(name, context);
  }
  const first = options.certificates[0];
  if (!first) throw new Error('TLS needs a certificate and its key: give `cert` and `key`');
  const server = createServer({
    ...common,
    ...first,
    requestCert: clientCa !== undefined,
    rejectUnauthorized: clientCa !== undefined,
    ...(alpn && { ALPNProtocols: [...alpn] }),
    handshakeTimeout: FOR_EVER,
    SNICallback: (name, choose) => choose(null, contextFor(contexts, name.toLowerCase())),
  });
  return { secure: handshakesOf(server) };
}

/** Has a server that listens nowhere do the handshakes of sockets that are given to it. */
function handshakesOf(server: Server): TlsIdentity['secure'] {
  const waiting = new WeakMap<Socket, (error: Error | undefined, secured?: TLSSocket) => void>();
  const finish = (error: Error | undefined, secured: TLSSocket) => {
    // Node says in no other way which connection a TLS socket is made on.
    const { _parent: carrier } = secured as unknown as { readonly _parent: Socket };
    const done = waiting.get(carrier);
    waiting.delete(carrier);
    if (!done || error) {
      secured.destroy();
      done?.(error);
      return;
    }
    setCarrier(secured, carrier);
    secured.pause();
    done(undefined, secured);
  };
  server.on('secureConnection', (secured: TLSSocket) => finish(undefined, secured));
  server.on('tlsClientError', (error: Error, secured: TLSSocket) => {
    // What is wrong with the client's certificate, in Node's code; the error then says only that it hung up.
    const { authorizationError: code } = secured;
    finish(code ? Object.assign(new Error(String(code)), { code }) : error, secured);
  });
  return (socket, done) => {
    waiting.set(socket, done);
    server.emit('connection', socket);
  };
}

/** RFC 6125 6.4.3: `*` stands for one whole label. Undefined: the first certificate. */
function contextFor(contexts: ReadonlyMap<string, SecureContext>, name: string): SecureContext | undefined {
  return contexts.get(name) ?? contexts.get(`*${name.slice(name.indexOf('.'))}`);
}
