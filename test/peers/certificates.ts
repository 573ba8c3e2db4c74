/**
 * Certificates for tests, made by the `openssl` command when a test asks for them: nothing that is secret, or that
 * expires, is kept in the project. Keys are ECDSA P-256 unless asked otherwise.
 *
 *     const authority = await createAuthority();
 *     const { cert, key } = await authority.issue({ names: ['a.test', '*.b.test', '127.0.0.1'] });
 *     const client = await authority.issue({ client: true, subject: '/O=Hospital/CN=ct1' });
 *     const old = await authority.issue({ names: ['a.test'], days: -1 });
 *     const stranger = await createAuthority('Another authority');
 *
 * An authority is made once in a test file, however often it is asked for.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const DAY_MS = 24 * 60 * 60 * 1000;

/** PEM, both. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateRequest {
  /** DNS names and addresses that the certificate is for; the first is its CN as well. */
  readonly names?: readonly string[];
  /** The whole subject as openssl writes it, `/O=Hospital/CN=ct1`, instead of the first name. */
  readonly subject?: string;
  /** For a client: the extended key usage says so. */
  readonly client?: boolean;
  /** Valid for so many days from now (default 2); below zero it expired so many days ago. */
  readonly days?: number;
  readonly keyType?: 'ec' | 'rsa';
  /** Of an RSA key, 2048 unless said. */
  readonly bits?: number;
}

export interface Authority {
  /** The authority's own certificate, PEM. */
  readonly ca: string;
  readonly issue: (request: CertificateRequest) => Promise<Certificate>;
}

const authorities = new Map<string, Promise<Authority>>();

/** The authority of that name. */
export function createAuthority(name = 'Gantry test authority'): Promise<Authority> {
  const known = authorities.get(name) ?? makeAuthority(name);
  authorities.set(name, known);
  return known;
}

async function makeAuthority(name: string): Promise<Authority> {
  const root = await inFolder(async (folder) => {
    const key = join(folder, 'key.pem');
    const cert = join(folder, 'cert.pem');
    const extensions = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
    await run('openssl', [
      ...['req', '-x509', '-days', '2', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert],
      ...keyOptions('ec'),
      ...extensions.flatMap((extension) => ['-addext', extension]),
    ]);
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  });
  return { ca: root.cert, issue: (request) => issue(root, request) };
}

function issue(root: Certificate, request: CertificateRequest): Promise<Certificate> {
  const { names = [], client = false, days = 2, keyType = 'ec', bits } = request;
  const subject = request.subject ?? `/CN=${names[0] ?? 'nameless'}`;
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    `extendedKeyUsage=${client ? 'clientAuth' : 'serverAuth'}`,
    ...(names.length > 0 ? [`subjectAltName=${names.map(alternativeName).join(',')}`] : []),
  ];
  return inFolder(async (folder) => {
    const at = (file: string) => join(folder, file);
    await Promise.all([
      writeFile(at('ca.pem'), root.cert),
      writeFile(at('ca-key.pem'), root.key),
      writeFile(at('index.txt'), ''),
      writeFile(at('openssl.cnf'), configuration(folder)),
    ]);
    await run('openssl', [
      ...['req', '-new', '-subj', subject, '-keyout', at('key.pem'), '-out', at('request.pem')],
      ...keyOptions(keyType, bits),
      ...extensions.flatMap((extension) => ['-addext', extension]),
    ]);
    // `openssl ca`, because it can be told when a certificate ends: also in the past.
    const now = Date.now();
    const [from, to] =
      days < 0 ? [now + (days - 2) * DAY_MS, now + days * DAY_MS] : [now - DAY_MS, now + days * DAY_MS];
    await run('openssl', [
      ...[
        'ca',
        '-batch',
        '-notext',
        '-config',
        at('openssl.cnf'),
        '-in',
        at('request.pem'),
        '-out',
        at('cert.pem'),
      ],
      ...['-startdate', asn1Time(from), '-enddate', asn1Time(to)],
    ]);
    const [cert, key] = await Promise.all([
      readFile(at('cert.pem'), 'utf8'),
      readFile(at('key.pem'), 'utf8'),
    ]);
    return { cert, key };
  });
}

function keyOptions(keyType: 'ec' | 'rsa', bits = 2048): string[] {
  return keyType === 'ec'
    ? ['-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    : ['-nodes', '-newkey', `rsa:${bits}`];
}

function configuration(folder: string): string {
  return `[ca]
default_ca = authority
[authority]
database = ${folder}/index.txt
new_certs_dir = ${folder}
certificate = ${folder}/ca.pem
private_key = ${folder}/ca-key.pem
rand_serial = yes
unique_subject = no
default_md = sha256
copy_extensions = copy
policy = anything
[anything]
organizationName = optional
organizationalUnitName = optional
commonName = optional
`;
}

function alternativeName(name: string): string {
  return `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`;
}

/** `20261231235959Z`. */
function asn1Time(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-certificates-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
