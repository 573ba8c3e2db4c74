import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatFault } from '../../src/config/fault.ts';
import { type Loaded, readConfiguration } from '../../src/config/load.ts';
import { isProxy } from '../../src/config/schema.ts';
import { type Certificate, createAuthority } from '../peers/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-config-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));

let ca: string;
let own: Certificate;
let other: Certificate;

beforeAll(async () => {
  const authority = await createAuthority();
  ca = authority.ca;
  [own, other] = await Promise.all([
    authority.issue({ names: ['a.test'] }),
    authority.issue({ names: ['b.test'], keyType: 'rsa' }),
  ]);
  const old = await authority.issue({ names: ['old.test'], days: -3 });
  const encrypted = execFileSync('openssl', ['ec', '-aes128', '-passout', 'pass:invented'], {
    input: own.key,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const weak = execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:512', '-nodes', '-subj', '/CN=weak', '-days', '2', '-keyout', '-'],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const files = {
    'own.pem': own.cert,
    'own.key': own.key,
    'chain.pem': own.cert + ca,
    'upside-down.pem': ca + own.cert,
    'both.pem': own.key + own.cert,
    'other.pem': other.cert,
    'other.key': other.key,
    'ca.pem': ca,
    'old.pem': old.cert,
    'old.key': old.key,
    'encrypted.key': encrypted,
    'weak.pem': weak,
    'cut.pem': `${own.cert.slice(0, 200)}\n-----END CERTIFICATE-----\n`,
    'cut.key': `${own.key.slice(0, 80)}\n-----END PRIVATE KEY-----\n`,
    'der.crt': execFileSync('openssl', ['x509', '-outform', 'DER'], { input: own.cert }),
    empty: '\n',
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
});

function read(text: string, now?: Date): Loaded {
  return readConfiguration(text, { file: join(folder, 'f.yaml'), environment: {}, ...(now && { now }) });
}

/** Faults without the folder. */
function faultsIn(text: string): string[] {
  return (read(text).faults ?? []).map((fault) => formatFault({ ...fault, file: 'f.yaml' }));
}

const vip = (tls: string) =>
  `pools: { a: { servers: [10.0.0.1] } }\nvips:\n  V:\n    protocol: tcp\n    listen: 127.0.0.1:0\n    pool: a\n    tls: ${tls}\n`;
const pool = (tls: string) =>
  `vips: { V: { protocol: tcp, listen: 127.0.0.1:0, pool: a } }\npools:\n  a:\n    servers: [10.0.0.1]\n    tls: ${tls}\n`;

/** The place in `text` that ▸ marks, and the text without it; without a mark: that of the key `tls`. */
function marked(text: string): { text: string; place: string } {
  const clean = text.replace('▸', '');
  const before = text.slice(0, text.includes('▸') ? text.indexOf('▸') : text.indexOf('tls:')).split('\n');
  return { text: clean, place: `${before.length}:${before.at(-1)!.length + 1}` };
}

describe('TLS that ends here', () => {
  it('certificates and keys are the content of their files, relative to the configuration', () => {
    const { configuration } = read(
      vip(
        '{ cert: file:chain.pem, key: file:own.key, certificates: { cert: file:other.pem, key: file:other.key }, clientCa: file:ca.pem, minVersion: 1.3, handshake: 5s }',
      ),
    );
    expect(configuration?.vips[0]).toMatchObject({
      tls: {
        certificates: [
          { cert: (own.cert + ca).trim(), key: own.key.trim() },
          { cert: other.cert.trim(), key: other.key.trim() },
        ],
        clientCa: ca.trim(),
        minVersion: 'TLSv1.3',
      },
      handshakeTimeout: 5000,
    });
  });

  it('a changed file is a changed configuration when it is loaded again; loading changes nothing', () => {
    const text = vip('{ cert: file:swap.pem, key: file:swap.key }');
    const load = (certificate: Certificate) => {
      writeFileSync(join(folder, 'swap.pem'), certificate.cert);
      writeFileSync(join(folder, 'swap.key'), certificate.key);
      return read(text).configuration;
    };
    const first = load(own);
    expect(load(own)).toEqual(first);
    expect(load(other)?.vips.filter(isProxy)[0]?.tls?.certificates[0]?.cert).toBe(other.cert.trim());
    expect(first?.vips.filter(isProxy)[0]?.tls?.certificates[0]?.cert).toBe(own.cert.trim());
  });

  it('PEM may stand in the file itself, and key and certificate in one', () => {
    const indented = (pem: string) => `|\n        ${pem.trim().replaceAll('\n', '\n        ')}`;
    const text = `pools: { a: { servers: [10.0.0.1] } }
vips:
  V:
    protocol: http
    listen: 127.0.0.1:0
    pool: a
    tls:
      cert: ${indented(own.cert)}
      key: ${indented(own.key)}
      certificates: [{ cert: file:both.pem, key: file:both.pem }]
`;
    const { configuration, faults } = read(text);
    expect(faults).toBeUndefined();
    expect(configuration?.vips.filter(isProxy)[0]?.tls?.certificates).toHaveLength(2);
  });

  it('an alias brings its certificate to several VIPs', () => {
    const text = `pools: { a: { servers: [10.0.0.1] } }
vips:
  V: { protocol: http, listen: 127.0.0.1:0, pool: a, tls: &tls { cert: file:own.pem, key: file:own.key } }
  W: { protocol: dicom, listen: 127.0.0.1:0, pool: a, tls: *tls }
`;
    const [v, w] = read(text).configuration?.vips.filter(isProxy) ?? [];
    expect(v?.tls?.certificates).toHaveLength(1);
    expect(w?.tls).toEqual(v?.tls);
  });

  it.each([
    [
      'no certificate at all',
      '{ minVersion: "1.2" }',
      'vips.V.tls: has no certificate: "cert" and "key" are needed',
    ],
    [
      'a certificate without a key',
      '{ cert: file:own.pem }',
      'vips.V.tls.key: is missing: `cert` is of no use without it',
    ],
    [
      'a key without a certificate',
      '{ key: file:own.key }',
      'vips.V.tls.cert: is missing: `key` is of no use without it',
    ],
    [
      'a file that is not there',
      '{ cert: ▸file:own.crt, key: file:own.key }',
      'vips.V.tls.cert: the file cannot be read: there is no such file',
    ],
    [
      'a file that is not PEM',
      '{ cert: ▸file:der.crt, key: file:own.key }',
      'vips.V.tls.cert: the file cannot be read: it is not UTF-8 text',
    ],
    ['an empty file', '{ cert: ▸file:empty, key: file:own.key }', 'vips.V.tls.cert: the file is empty'],
    [
      'a path in the place of a certificate',
      '{ cert: ▸own.pem, key: file:own.key }',
      'vips.V.tls.cert: has no certificate in PEM: `file:PATH` takes it from a file',
    ],
    [
      'a key in the place of a certificate',
      '{ cert: ▸file:own.key, key: file:own.key }',
      'vips.V.tls.cert: has no certificate in PEM: "-----BEGIN CERTIFICATE-----" is how one begins',
    ],
    [
      'a certificate in the place of a key',
      '{ cert: file:own.pem, key: ▸file:own.pem }',
      'vips.V.tls.key: has no private key in PEM: "-----BEGIN PRIVATE KEY-----" is how one begins',
    ],
    [
      'a certificate cut short',
      '{ cert: ▸file:cut.pem, key: file:own.key }',
      'vips.V.tls.cert: has a certificate that cannot be read: it is cut short or spoilt',
    ],
    [
      'a key cut short',
      '{ cert: file:own.pem, key: ▸file:cut.key }',
      'vips.V.tls.key: has a private key that cannot be read: it is cut short or spoilt',
    ],
    [
      'an encrypted key',
      '{ cert: file:own.pem, key: ▸file:encrypted.key }',
      'vips.V.tls.key: is encrypted: a key without a passphrase would be right',
    ],
    [
      'the key of another certificate',
      '{ cert: file:own.pem, key: ▸file:other.key }',
      'vips.V.tls.key: is not the key of the certificate in `cert`',
    ],
    [
      'a chain that begins at the wrong end',
      '{ cert: ▸file:upside-down.pem, key: file:own.key }',
      'vips.V.tls.cert: has the certificate of `key` further down: it must be the first',
    ],
    [
      'a key that is too short to be used',
      '{ cert: ▸file:weak.pem, key: file:weak.pem }',
      'vips.V.tls.cert: cannot be used: ee key too small',
    ],
    [
      'one of several certificates',
      '{ certificates: [{ cert: file:own.pem, key: file:own.key }, { cert: file:other.pem, key: ▸file:own.key }] }',
      'vips.V.tls.certificates[2].key: is not the key of the certificate in `cert`',
    ],
    [
      'authorities of clients that are none',
      '{ cert: file:own.pem, key: file:own.key, clientCa: ▸file:own.key }',
      'vips.V.tls.clientCa: has no certificate in PEM: "-----BEGIN CERTIFICATE-----" is how one begins',
    ],
    [
      'a profile that is none',
      '{ cert: file:own.pem, key: file:own.key, profile: ▸b12 }',
      'vips.V.tls.profile: "b12" is unknown: bcp195 or modified would be right',
    ],
    [
      'AE titles where there are none',
      '{ cert: file:own.pem, key: file:own.key, clientCa: file:ca.pem, ▸aeTitles: { CN=ct1: CT1 } }',
      'vips.V.tls.aeTitles: is for DICOM: `tlsSubject` in `routes` would be right for tcp',
    ],
  ])('%s: a fault at its place', (_name, tls, fault) => {
    const { text, place } = marked(vip(tls));
    expect(faultsIn(text)).toEqual([`f.yaml:${place}: ${fault}`]);
  });

  it('no fault shows a key, whatever is wrong with it', () => {
    const secret = own.key.split('\n')[1]!;
    const texts = [
      vip('{ cert: file:own.key, key: file:cut.key }'),
      vip('{ cert: { a: file:own.key }, key: [file:own.key] }'),
      vip('[{ cert: file:own.key }]'),
      pool('{ ca: file:own.key, key: file:own.key }'),
      pool(`{ key: "${secret}", cert: "${secret}" }`),
    ];
    for (const text of texts) {
      const faults = faultsIn(text);
      expect(faults).not.toEqual([]);
      expect(faults.join('\n')).not.toContain(secret.slice(0, 10));
    }
  });

  it('a certificate that has expired, or is not valid yet, is a warning', () => {
    const warnings = (text: string, now?: Date) =>
      read(text, now).warnings.map(({ path, message }) => `${path}: ${message}`);
    expect(warnings(vip('{ cert: file:old.pem, key: file:old.key }'))).toEqual([
      expect.stringMatching(/^vips\.V\.tls\.cert: CN=old\.test has expired on \d{4}-\d\d-\d\d$/),
    ]);
    const early = new Date('2020-01-01');
    expect(warnings(vip('{ cert: file:own.pem, key: file:own.key }'), early)).toEqual([
      expect.stringMatching(/^vips\.V\.tls\.cert: CN=a\.test is not valid before \d{4}-\d\d-\d\d$/),
    ]);
    expect(warnings(vip('{ cert: file:own.pem, key: file:own.key }'))).toEqual([]);
  });

  it('with it come the facts of a handshake, with authorities of clients those of their certificates', () => {
    const rest =
      '    routes: [{ when: { sni: a.test, tlsSubject: "CN=a*" }, pool: a }]\n    persistence: tlsSubject\n';
    const text = (tls: string) => vip(tls) + rest;
    const { configuration } = read(text('{ cert: file:own.pem, key: file:own.key, clientCa: file:ca.pem }'));
    // It is the handshake's own here: nobody looks for it in what the client sends.
    expect(configuration?.vips[0]).toMatchObject({ tcp: { peeksSni: false } });
    expect(faultsIn(text('{ cert: file:own.pem, key: file:own.key }'))).toEqual([
      "f.yaml:8:37: vips.V.routes[1].when.tlsSubject: needs `tls.clientCa`: it is of the client's certificate",
      'f.yaml:9:18: vips.V.persistence: "tlsSubject" needs `tls.clientCa`: it is of the client\'s certificate',
    ]);
  });

  it('faulty TLS makes no fault of the facts that it would have', () => {
    const rest = '    routes: [{ when: { sni: a.test, tlsSubject: a }, pool: a }]\n';
    expect(faultsIn(vip('[]') + rest)).toEqual([
      'f.yaml:7:10: vips.V.tls: is a list: a record would be right',
    ]);
  });
});

describe('TLS that begins here', () => {
  const link = (text: string) => read(text).configuration?.pools[0]?.link;

  it('`true` is a record of defaults, `false` is none', () => {
    expect(link(pool('true'))?.tls).toEqual({ verify: true, minVersion: 'TLSv1.2' });
    expect(link(pool('false'))?.tls).toBeUndefined();
    expect(link(pool('{}'))).toEqual(link(pool('true')));
  });

  it('every key', () => {
    const text = pool(
      '{ verify: false, ca: file:ca.pem, servername: pacs.example, cert: file:own.pem, key: file:own.key, minVersion: "1.3", profile: modified }',
    );
    expect(link(text)?.tls).toEqual({
      verify: false,
      ca: ca.trim(),
      servername: 'pacs.example',
      cert: own.cert.trim(),
      key: own.key.trim(),
      minVersion: 'TLSv1.3',
      profile: 'modified',
    });
  });

  it.each([
    [
      'a certificate without a key',
      '{ cert: file:own.pem }',
      'pools.a.tls.key: is missing: `cert` is of no use without it',
    ],
    [
      'the key of another certificate',
      '{ cert: file:own.pem, key: ▸file:other.key }',
      'pools.a.tls.key: is not the key of the certificate in `cert`',
    ],
    [
      'authorities that are none',
      '{ ca: ▸file:own.key }',
      'pools.a.tls.ca: has no certificate in PEM: "-----BEGIN CERTIFICATE-----" is how one begins',
    ],
  ])('%s: a fault at its place', (_name, tls, fault) => {
    const { text, place } = marked(pool(tls));
    expect(faultsIn(text)).toEqual([`f.yaml:${place}: ${fault}`]);
  });

  it('a check speaks it as the pool does, where it does not say otherwise', () => {
    const health = (text: string) => read(text).configuration?.pools[0]?.health;
    const own =
      '{ verify: false, servername: pacs.example, minVersion: "1.3", profile: bcp195 }\n    health:';
    expect(health(pool(`${own} { check: tls }`))).toMatchObject({
      tls: { verify: false, servername: 'pacs.example', minVersion: 'TLSv1.3', profile: 'bcp195' },
    });
    expect(
      health(pool(`${own} { check: https, verify: true, ca: file:ca.pem, servername: web.example }`)),
    ).toMatchObject({
      tls: { verify: true, ca: ca.trim(), servername: 'web.example' },
    });
    expect(health(pool('false\n    health: { check: https }'))).toMatchObject({
      tls: { verify: true, ca: undefined, servername: undefined, minVersion: 'TLSv1.2' },
    });
  });
});
