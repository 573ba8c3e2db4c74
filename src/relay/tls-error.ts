/** Why TLS did not come about, for an operator and without the peer's own words. */

import { describeEndpoint } from '../endpoint.ts';
import { GantryError } from '../errors.ts';
import type { Endpoint } from './channel.ts';
import { connectError } from './connection-error.ts';

/** What Node says of a certificate that it refuses → what is wrong with it. */
const CERTIFICATE_FAULTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  CERT_REVOKED: 'it is revoked',
  CERT_SIGNATURE_FAILURE: 'its signature is wrong',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed, by no authority we know',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name',
  INVALID_PURPOSE: 'it is not meant for this purpose',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is unknown',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is unknown',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is unknown',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is unknown',
  // Node has no name for keys and signatures below OpenSSL's security level.
  UNSPECIFIED: 'its key or signature is too weak, or it is faulty',
};

/** OpenSSL's reasons, as Node's codes have them → what the other side does. The first that fits counts. */
const HANDSHAKE_FAULTS: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/HTTP_REQUEST/, 'speaks HTTP without TLS'],
  [/ALERT_CERTIFICATE_REQUIRED/, 'asks for a certificate'],
  [/ALERT_CERTIFICATE_EXPIRED/, 'says that the certificate has expired'],
  [
    /ALERT_(?:BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA)/,
    'refuses the certificate',
  ],
  [/UNRECOGNIZED_NAME/, 'does not know the server name'],
  [/PEER_DID_NOT_RETURN_A_CERTIFICATE/, 'shows no certificate'],
  [/NO_APPLICATION_PROTOCOL/, 'wants another application protocol (ALPN)'],
  [/UNSUPPORTED_PROTOCOL|ALERT_PROTOCOL_VERSION|VERSION_TOO_LOW/, 'wants another TLS version'],
  [/NO_SHARED_CIPHER|ALERT_HANDSHAKE_FAILURE/, 'has no cipher in common, or wants a certificate'],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH|UNKNOWN_PROTOCOL|UNEXPECTED_MESSAGE|BAD_RECORD_TYPE/,
    'does not speak TLS',
  ],
];

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? '';
}

/** What is wrong with the peer's certificate, for `It is refused: …`; undefined when the error is not about that. */
export function certificateFault(error: unknown): string | undefined {
  return CERTIFICATE_FAULTS[codeOf(error)];
}

/** What the peer did that ended the handshake, for `The peer …`. */
export function handshakeFault(error: unknown): string {
  const code = codeOf(error);
  const known = HANDSHAKE_FAULTS.find(([pattern]) => pattern.test(code));
  if (known) return known[1];
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'closed the connection in the handshake';
  return `broke the handshake off: ${code || 'unknown error'}`;
}

/** Why there is no TLS connection to a server. */
export function tlsError(error: unknown, remote: Endpoint): GantryError {
  const where = describeEndpoint(remote);
  const fault = certificateFault(error);
  if (fault !== undefined) {
    return new GantryError('GTY_TLS_CERTIFICATE', `the certificate of ${where} is refused: ${fault}`, {
      cause: error,
    });
  }
  const code = codeOf(error);
  if (code === 'ETIMEDOUT' || code === 'EHOSTUNREACH') return connectError(error, remote);
  return new GantryError('GTY_TLS_HANDSHAKE', `${where} ${handshakeFault(error)}`, { cause: error });
}
