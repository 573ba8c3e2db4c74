/** Certificates and keys as an operator gives them: what is wrong with them is said in a sentence, with the remedy. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { notice } from '../observe/events.ts';

/** PEM: the certificate, with its chain behind it, and its key. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/**
 * Checks a certificate and its key, `which` for the sentence; returns the names it is for, in lower case, that may begin
 * with `*.`. One that has expired by `now` (milliseconds since 1970) is a notice only. Throws an Error with a sentence.
 */
export function readCertificate({ cert, key }: Certificate, which: string, now: number): string[] {
  const x509 = parseCertificate(cert, which);
  if (!x509.checkPrivateKey(parseKey(key, which))) {
    throw new Error(
      `the key does not belong to ${which}: give the key that the certificate was requested with`,
    );
  }
  const names = namesOf(x509);
  const expires = Date.parse(x509.validTo);
  if (now > expires) {
    notice('warn', 'a certificate has expired: its peers will refuse it', {
      names: names.join(' '),
      expired: new Date(expires).toISOString(),
    });
  }
  return names;
}

/** Checks the PEM of authorities; throws an Error with a sentence. */
export function checkAuthorities(pem: string, which: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [pem];
  for (const block of blocks) parseCertificate(block, which);
}

/** Throws an Error with a sentence when OpenSSL does not take what was checked here: keys too short, old signatures. */
export function createContext(options: SecureContextOptions, which: string): SecureContext {
  try {
    return createSecureContext(options);
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new Error(`${which} cannot be used (${code}): issue one with a longer key and a newer signature`, {
      cause: error,
    });
  }
}

/** The subject, RFC 4514: the innermost name first, `CN=ct1,O=Hospital`. */
export function subjectOf(x509: X509Certificate): string {
  const names = x509.subject.split('\n').map((name) => name.replaceAll(' + ', '+'));
  return names.reverse().join(',');
}

function parseCertificate(pem: string, which: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new Error(
      `${which} is not in PEM form: give the file that begins with -----BEGIN CERTIFICATE-----`,
      { cause: error },
    );
  }
}

function parseKey(pem: string, which: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    // `BEGIN ENCRYPTED PRIVATE KEY` (RFC 7468 11), or OpenSSL's older `Proc-Type: 4,ENCRYPTED`.
    throw new Error(
      /\bENCRYPTED\b/.test(pem)
        ? `the key of ${which} is locked with a passphrase: store it without one, readable by Gantry's user only`
        : `the key of ${which} is not in PEM form: give the file that begins with -----BEGIN PRIVATE KEY-----`,
      { cause: error },
    );
  }
}

/** RFC 6125 6.4.4: the common name counts only when no alternative name is a DNS name. */
function namesOf(x509: X509Certificate): string[] {
  const alternatives = [...(x509.subjectAltName ?? '').matchAll(/(?:^|, )DNS:([\w.*-]+)/g)];
  const names = alternatives.map((match) => match[1]!.toLowerCase());
  if (names.length > 0) return names;
  const common = /^CN=(.+)$/m.exec(x509.subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
