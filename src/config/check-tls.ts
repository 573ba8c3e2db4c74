/** Certificates and keys: can they be read, do they belong together, have they expired? No secret is in any sentence. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { FilePool, FileVip, Findings, Path } from './findings.ts';

const CERTIFICATE =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/** Keys that say which names a certificate may use. */
const NAMES = {
  aeTitles: { protocol: 'dicom', called: 'DICOM', what: 'AE title' },
  senders: { protocol: 'hl7', called: 'HL7', what: 'sending application' },
} as const;

type NamesKey = keyof typeof NAMES;

/** Protocols that have one. */
const USES: Readonly<Record<string, string>> = { dicom: '`aeTitles`', hl7: '`senders`' };

export class TlsCheck {
  readonly #findings: Findings;
  readonly #now: Date;

  constructor(findings: Findings, now: Date) {
    this.#findings = findings;
    this.#now = now;
  }

  vip({ name, protocol, tls }: FileVip): void {
    if (!tls) return;
    const at = ['vips', name, 'tls'];
    const has = (key: string) => this.#findings.has([...at, key]);
    if (!has('cert') && !has('key') && !has('certificates')) {
      this.#findings.fault(at, 'has no certificate: "cert" and "key" are needed', true);
    }
    this.#pair(tls, at);
    for (const [pair, path] of this.#findings.items([...at, 'certificates'], tls.certificates)) {
      this.#pair(pair, path);
    }
    if (tls.clientCa !== undefined) this.authorities(tls.clientCa, [...at, 'clientCa']);
    if (tls.aeTitles) this.#names('aeTitles', protocol, at);
    if (tls.senders) this.#names('senders', protocol, at);
  }

  pool({ name, tls }: FilePool): void {
    if (!tls) return;
    const at = ['pools', name, 'tls'];
    this.#pair(tls, at);
    if (tls.ca !== undefined) this.authorities(tls.ca, [...at, 'ca']);
  }

  /** PEM of authorities. */
  authorities(pem: string, at: Path): void {
    const certificates = this.#certificates(pem, at);
    if (certificates) this.#lifetimes(certificates, at);
  }

  #names(key: NamesKey, protocol: FileVip['protocol'], at: Path): void {
    const path = [...at, key];
    const of = NAMES[key];
    if (protocol !== undefined && protocol !== of.protocol) {
      const right = USES[protocol] ?? '`tlsSubject` in `routes`';
      this.#findings.fault(path, `is for ${of.called}: ${right} would be right for ${protocol}`, true);
    } else if (!this.#findings.has([...at, 'clientCa'])) {
      this.#findings.fault(path, 'needs `clientCa`: without it no client shows a certificate', true);
    } else if (this.#findings.keys(path).length === 0) {
      this.#findings.fault(path, `names no certificate: no client could use any ${of.what}`);
    }
  }

  #pair({ cert, key }: { cert?: string | undefined; key?: string | undefined }, at: Path): void {
    const [certAt, keyAt] = [
      [...at, 'cert'],
      [...at, 'key'],
    ];
    for (const [missing, other] of [
      ['cert', 'key'],
      ['key', 'cert'],
    ] as const) {
      if (this.#findings.has([...at, other]) && !this.#findings.has([...at, missing])) {
        this.#findings.fault([...at, missing], `is missing: \`${other}\` is of no use without it`);
      }
    }
    const certificates = cert === undefined ? undefined : this.#certificates(cert, certAt);
    const privateKey = key === undefined ? undefined : this.#privateKey(key, keyAt);
    if (certificates) this.#lifetimes(certificates, certAt);
    const [own, ...others] = certificates ?? [];
    if (!own || !privateKey) return;
    if (own.checkPrivateKey(privateKey)) {
      this.#usable({ cert: cert!, key: key! }, certAt);
    } else if (others.some((certificate) => certificate.checkPrivateKey(privateKey))) {
      this.#findings.fault(certAt, 'has the certificate of `key` further down: it must be the first');
    } else {
      this.#findings.fault(keyAt, 'is not the key of the certificate in `cert`');
    }
  }

  /** Every certificate of a PEM text; undefined after a fault. */
  #certificates(pem: string, at: Path): X509Certificate[] | undefined {
    const blocks = pem.match(CERTIFICATE) ?? [];
    if (blocks.length === 0) {
      this.#findings.fault(at, `has no certificate in PEM${hint(pem, 'CERTIFICATE')}`);
      return undefined;
    }
    try {
      return blocks.map((block) => new X509Certificate(block));
    } catch {
      this.#findings.fault(at, 'has a certificate that cannot be read: it is cut short or spoilt');
      return undefined;
    }
  }

  #privateKey(pem: string, at: Path): KeyObject | undefined {
    if (!/-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/.test(pem)) {
      this.#findings.fault(at, `has no private key in PEM${hint(pem, 'PRIVATE KEY')}`);
      return undefined;
    }
    if (/-----BEGIN ENCRYPTED |\bENCRYPTED\b/.test(pem)) {
      this.#findings.fault(at, 'is encrypted: a key without a passphrase would be right');
      return undefined;
    }
    try {
      return createPrivateKey(pem);
    } catch {
      this.#findings.fault(at, 'has a private key that cannot be read: it is cut short or spoilt');
      return undefined;
    }
  }

  /** OpenSSL may still refuse what belongs together, such as a key that is too short. */
  #usable(pair: { cert: string; key: string }, at: Path): void {
    try {
      createSecureContext(pair);
    } catch (error) {
      const { reason = 'unknown reason' } = error as { reason?: string };
      this.#findings.fault(at, `cannot be used: ${reason}`);
    }
  }

  #lifetimes(certificates: readonly X509Certificate[], at: Path): void {
    for (const { subject, validFromDate, validToDate } of certificates) {
      const name = subject?.replaceAll('\n', ',') ?? 'without a subject';
      const day = (date: Date) => date.toISOString().slice(0, 10);
      if (validToDate < this.#now) this.#findings.warn(at, `${name} has expired on ${day(validToDate)}`);
      if (validFromDate > this.#now)
        this.#findings.warn(at, `${name} is not valid before ${day(validFromDate)}`);
    }
  }
}

/** What was meant, when there is not even the beginning of a PEM text. */
function hint(written: string, kind: string): string {
  return written.includes('-----BEGIN')
    ? `: "-----BEGIN ${kind}-----" is how one begins`
    : ': `file:PATH` takes it from a file';
}
