import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkAuthorities, readCertificate, subjectOf } from '../../src/relay/certificates.ts';
import { checkTlsClient } from '../../src/relay/tls-client.ts';
import { createTlsIdentity } from '../../src/relay/tls-identity.ts';
import { createAuthority } from '../peers/certificates.ts';
import { skipWithout } from '../peers/processes.ts';
import { identityFor, notices } from './tls.ts';

skipWithout('openssl');

const WHICH = 'certificate 2';

describe('what an operator hears of a certificate', () => {
  it('that is text of another kind', async () => {
    const { cert, key } = await (await createAuthority()).issue({ names: ['a.test'] });
    expect(() => readCertificate({ cert: 'server.pem', key }, WHICH, 0)).toThrow(
      'certificate 2 is not in PEM form: give the file that begins with -----BEGIN CERTIFICATE-----',
    );
    expect(() => readCertificate({ cert: key, key }, WHICH, 0)).toThrow('certificate 2 is not in PEM form');
    expect(() => readCertificate({ cert: cert.replace('MII', 'XII'), key }, WHICH, 0)).toThrow(
      'not in PEM form',
    );
    expect(() => readCertificate({ cert, key: cert }, WHICH, 0)).toThrow(
      'the key of certificate 2 is not in PEM form: give the file that begins with -----BEGIN PRIVATE KEY-----',
    );
  });

  it('whose key is of another, or locked', async () => {
    const { issue } = await createAuthority();
    const [a, b] = await Promise.all([issue({ names: ['a.test'] }), issue({ names: ['b.test'] })]);
    expect(() => readCertificate({ cert: a.cert, key: b.key }, WHICH, 0)).toThrow(
      'the key does not belong to certificate 2: give the key that the certificate was requested with',
    );
    const options = ['pkcs8', '-topk8', '-passout', 'pass:invented'];
    const locked = execFileSync('openssl', options, { input: a.key, encoding: 'utf8' });
    expect(() => readCertificate({ cert: a.cert, key: locked }, WHICH, 0)).toThrow(
      "the key of certificate 2 is locked with a passphrase: store it without one, readable by Gantry's user only",
    );
  });

  it('that has expired: a notice', async () => {
    const said = notices();
    const { issue } = await createAuthority();
    const old = await issue({ names: ['a.test', 'b.test'], days: -3 });
    expect(readCertificate(old, WHICH, Date.now())).toEqual(['a.test', 'b.test']);
    expect(said.items).toMatchObject([
      {
        level: 'warn',
        message: 'a certificate has expired: its peers will refuse it',
        fields: { names: 'a.test b.test', expired: expect.stringMatching(/^\d{4}-/) },
      },
    ]);
    readCertificate(await issue({ names: ['a.test'] }), WHICH, Date.now());
    expect(said.length).toBe(1);
  });

  it('that no TLS of today takes', async () => {
    const { issue, ca } = await createAuthority();
    const weak = await issue({ names: ['a.test'], keyType: 'rsa', bits: 1024 });
    const make = () => createTlsIdentity({ certificates: [weak], minVersion: 'TLSv1.2' });
    expect(make).toThrow(
      /^the certificate cannot be used \(ERR_SSL_EE_KEY_TOO_SMALL\): issue one with a longer key/,
    );
    expect(() => checkTlsClient({ verify: true, ...weak })).toThrow(
      /^the certificate towards servers cannot be used/,
    );
    expect(() => createTlsIdentity({ certificates: [], minVersion: 'TLSv1.2' })).toThrow(
      'TLS needs a certificate',
    );
    await expect(
      identityFor([{ names: ['a.test'] }], { clientCa: `${ca}${ca.replace('MII', 'XII')}` }),
    ).rejects.toThrow('clientCa is not in PEM form');
  });
});

describe('what is said of a certificate towards servers', () => {
  it('as of any other', async () => {
    const { issue, ca } = await createAuthority();
    const { cert, key } = await issue({ client: true, subject: '/CN=gantry' });
    checkTlsClient({ verify: true, ca, cert, key, minVersion: 'TLSv1.3' });
    checkTlsClient({ verify: false });
    expect(() => checkTlsClient({ verify: true, ca: 'ca.pem' })).toThrow('ca is not in PEM form');
    expect(() => checkTlsClient({ verify: true, cert })).toThrow('needs its key');
    expect(() => checkTlsClient({ verify: true, cert, key: ca })).toThrow(
      'the key of the certificate towards servers is not in PEM form',
    );
  });
});

describe('names', () => {
  it.each([
    ['DNS names count', { names: ['A.test', '*.b.test', '192.0.2.1'] }, ['a.test', '*.b.test']],
    [
      'without them the common name',
      { names: ['192.0.2.1'], subject: '/O=Hospital/CN=PACS.test' },
      ['pacs.test'],
    ],
    ['and not beside them', { names: ['a.test'], subject: '/CN=pacs.test' }, ['a.test']],
    ['or none', { subject: '/O=Hospital' }, []],
  ])('%s', async (_, request, names) => {
    expect(readCertificate(await (await createAuthority()).issue(request), WHICH, 0)).toEqual(names);
  });

  it.each([
    ['/CN=ct1', 'CN=ct1'],
    ['/O=Hospital/OU=CT/CN=ct1', 'CN=ct1,OU=CT,O=Hospital'],
    ['/O=Hospital, North/CN=ct\\+1', 'CN=ct\\+1,O=Hospital\\, North'],
    ['/O=Hospital\nCN=forged/CN=ct1', 'CN=ct1,O=Hospital\\0ACN=forged'],
  ])('the subject %j is %s, as RFC 4514 says', async (subject, expected) => {
    const { cert } = await (await createAuthority()).issue({ client: true, subject });
    expect(subjectOf(new X509Certificate(cert))).toBe(expected);
  });
});

it('authorities may be many', async () => {
  const { ca } = await createAuthority();
  const { ca: other } = await createAuthority('Another authority');
  checkAuthorities(`comment\n${ca}\n${other}`, 'ca');
  expect(() => checkAuthorities('', 'ca')).toThrow('ca is not in PEM form');
});
