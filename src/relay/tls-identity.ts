/** What a VIP shows to its clients in TLS: its certificates, and what it asks for. */
import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type TLSSocket } from 'node:tls';
import { notice } from '../observe/events.ts';
import { setCarrier } from './stream-channel.ts';

export interface TlsIdentityOptions {
  /** PEM, each certificate with its chain behind it. The first is shown to whoever asks for no name that one has. */
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
  /** PEM of the authorities of clients; given, a client without a certificate of theirs is refused. */
  readonly clientCa?: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
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

/**
 * RFC 9325 4.2: of TLS 1.2 only what has forward secrecy and authenticated encryption, and in our order, so that a
 * client without AES in hardware still gets its own choice of TLS 1.3.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** The handshake is limited by who accepts; Node's own limit must not come before. */
const FOR_EVER = 2 ** 31 - 1;

interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** In lower case; may begin with `*.`. */
  readonly names: readonly string[];
}

/** Throws an Error whose message is a sentence for the operator when a certificate or key cannot be used. */
export function createTlsIdentity(options: TlsIdentityOptions): TlsIdentity {
  const { clientCa, minVersion, alpn, now = Date.now } = options;
  const certificates = options.certificates.map(({ cert, key }, at) => {
    const which = options.certificates.length === 1 ? 'the certificate' : `certificate ${at + 1}`;
    return readCertificate(cert, key, which, now());
  });
  if (certificates.length === 0)
    throw new Error('TLS needs a certificate and its key: give `cert` and `key`');
  if (clientCa !== undefined) checkAuthorities(clientCa);
  const common = {
    ca: clientCa,
    ciphers: CIPHERS,
    minVersion,
    honorCipherOrder: true,
    // A client that renegotiates again and again keeps a processor busy for nothing.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
    // Sessions of clients with certificates can only be resumed where they are named for somebody.
    sessionIdContext: 'gantry',
  };
  const contexts = contextsByName(
    certificates.map(({ names, cert, key }) => ({
      names,
      context: createSecureContext({ ...common, cert, key }),
    })),
  );
  const { cert, key } = certificates[0]!;
  const server = createServer({
    ...common,
    cert,
    key,
    requestCert: clientCa !== undefined,
    rejectUnauthorized: clientCa !== undefined,
    ...(alpn && { ALPNProtocols: [...alpn] }),
    handshakeTimeout: FOR_EVER,
    SNICallback: (name, choose) => choose(null, contextFor(contexts, name.toLowerCase())),
  });

  const handshakes = new Map<Socket, (error: Error | undefined, secured?: TLSSocket) => void>();
  /** Node does not say otherwise which connection a TLS socket is made on. */
  const carrierOf = (secured: TLSSocket) => (secured as unknown as { readonly _parent: Socket })._parent;
  const finish = (error: Error | undefined, secured: TLSSocket) => {
    const carrier = carrierOf(secured);
    const done = handshakes.get(carrier);
    handshakes.delete(carrier);
    if (!error) {
      setCarrier(secured, carrier);
      secured.pause();
    }
    done?.(error, error ? undefined : secured);
  };
  server.on('secureConnection', (secured: TLSSocket) => finish(undefined, secured));
  server.on('tlsClientError', (error: Error, secured: TLSSocket) => finish(error, secured));
  return {
    secure(socket, done) {
      handshakes.set(socket, done);
      server.emit('connection', socket);
    },
  };
}

function readCertificate(cert: string, key: string, which: string, now: number): Certificate {
  const x509 = parseCertificate(cert, `${which} of the VIP`);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    const isLocked = /passphrase|password|bad decrypt|interrupted/i.test((error as Error).message);
    throw new Error(
      isLocked
        ? `the key of ${which} is locked with a passphrase: store it without one, readable by Gantry's user only`
        : `the key of ${which} is no private key in PEM form: give the file that begins with -----BEGIN PRIVATE KEY-----`,
      { cause: error },
    );
  }
  if (!x509.checkPrivateKey(privateKey)) {
    throw new Error(
      `the key does not belong to ${which}: give the key that the certificate was requested with`,
    );
  }
  const names = namesOf(x509);
  if (now > x509.validToDate.getTime()) {
    notice('warn', 'a certificate has expired: clients will refuse it', {
      names: names.join(' '),
      expired: x509.validToDate.toISOString(),
    });
  }
  return { cert, key, names };
}

function parseCertificate(pem: string, what: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new Error(
      `${what} is no certificate in PEM form: give the file that begins with -----BEGIN CERTIFICATE-----`,
      {
        cause: error,
      },
    );
  }
}

function checkAuthorities(pem: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [pem];
  for (const block of blocks) parseCertificate(block, 'the clientCa');
}

/** RFC 6125 6.4.4: the common name counts only when no alternative name is a DNS name. */
function namesOf(x509: X509Certificate): string[] {
  const alternatives = [...(x509.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([\w.*-]+)/g)].map(
    (match) => match[1]!,
  );
  if (alternatives.length > 0) return alternatives.map((name) => name.toLowerCase());
  const common = /^CN=(.+)$/m.exec(x509.subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}

/** Of two certificates with the same name the first counts. */
function contextsByName(
  certificates: readonly { readonly names: readonly string[]; readonly context: SecureContext }[],
): ReadonlyMap<string, SecureContext> {
  const contexts = new Map<string, SecureContext>();
  for (const { names, context } of certificates) {
    for (const name of names) if (!contexts.has(name)) contexts.set(name, context);
  }
  return contexts;
}

/** RFC 6125 6.4.3: `*` stands for one whole label. Undefined: the first certificate. */
function contextFor(contexts: ReadonlyMap<string, SecureContext>, name: string): SecureContext | undefined {
  return contexts.get(name) ?? contexts.get(`*${name.slice(name.indexOf('.'))}`);
}

/** The subject of a client's certificate, RFC 4514: the innermost first, `CN=ct1,O=Hospital`. */
export function subjectOf(x509: X509Certificate | undefined): string | undefined {
  return x509?.subject
    .split('\n')
    .reverse()
    .map((name) => name.replaceAll(' + ', '+'))
    .join(',');
}
