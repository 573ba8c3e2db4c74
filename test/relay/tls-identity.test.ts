import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { channelAcceptor } from '../../src/relay/accept.ts';
import type { Endpoint } from '../../src/relay/channel.ts';
import { type CertificateRequest, createAuthority } from '../peers/certificates.ts';
import { runProgram, skipWithout, startProgram } from '../peers/processes.ts';
import { openConnection } from '../peers/test-connection.ts';
import { Journal, within } from '../peers/waiting.ts';
import { Witness } from './sockets.ts';
import { entrance, entranceServer, identityFor, notices } from './tls.ts';

skipWithout('openssl');

/** Of all clients, in the order in which they came. */
const sessions = new Journal<{ readonly of: TLSSocket; readonly session: Buffer }>('sessions');

/** A client that is connected, or the code of the error that it met. */
async function attempt(endpoint: Endpoint, options: ConnectionOptions = {}): Promise<TLSSocket | string> {
  const { ca } = await createAuthority();
  const client = connect({ ...endpoint, ca, servername: 'a.test', ...options });
  client.on('session', (session: Buffer) => sessions.add({ of: client, session }));
  onTestFinished(() => void client.destroy());
  const { promise, resolve } = Promise.withResolvers<TLSSocket | string>();
  client.once('secureConnect', () => resolve(client));
  client.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return within(promise, 'a handshake');
}

async function client(endpoint: Endpoint, options?: ConnectionOptions): Promise<TLSSocket> {
  const connected = await attempt(endpoint, options);
  if (typeof connected === 'string') expect.unreachable(connected);
  return connected;
}

/** The code of the error that ends a client, in TLS 1.3 after its handshake. */
async function endOf(endpoint: Endpoint, options: ConnectionOptions): Promise<string> {
  const connected = await attempt(endpoint, options);
  if (typeof connected === 'string') return connected;
  const { promise, resolve } = Promise.withResolvers<string>();
  connected.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  connected.on('close', () => resolve('closed'));
  connected.resume().write('let me in');
  return within(promise, 'the end of a client');
}

const nameShown = (socket: TLSSocket) => socket.getPeerX509Certificate()?.subjectAltName;

async function serverWith(
  requests: readonly CertificateRequest[],
  options?: Parameters<typeof identityFor>[1],
) {
  return entranceServer(entrance({ tls: await identityFor(requests, options) }));
}

describe('which certificate is shown', () => {
  it.each([
    ['first.test', 'DNS:first.test'],
    ['a.test', 'DNS:a.test, DNS:*.wild.test'],
    ['A.TEST', 'DNS:a.test, DNS:*.wild.test'],
    ['x.wild.test', 'DNS:a.test, DNS:*.wild.test'],
    ['exact.wild.test', 'DNS:exact.wild.test'],
    ['y.x.wild.test', 'DNS:first.test'],
    ['wild.test', 'DNS:first.test'],
    ['unknown', 'DNS:first.test'],
    ['', 'DNS:first.test'],
  ])('to who asks for "%s": %s', async (servername, shown) => {
    const { endpoint } = await serverWith([
      { names: ['first.test'] },
      { names: ['a.test', '*.wild.test'] },
      { names: ['exact.wild.test'] },
      // Has a name that one before has.
      { names: ['a.test'], keyType: 'rsa' },
    ]);
    expect(nameShown(await client(endpoint, { servername, rejectUnauthorized: false }))).toBe(shown);
  });
});

describe('what is agreed on', () => {
  it.each([
    [{ minVersion: 'TLSv1.2' as const }, { maxVersion: 'TLSv1.2' as const }, 'TLSv1.2'],
    [{ minVersion: 'TLSv1.2' as const }, {}, 'TLSv1.3'],
    [{ minVersion: 'TLSv1.3' as const }, {}, 'TLSv1.3'],
  ])('%o with a client of %o: %s', async (ours, theirs, version) => {
    const { endpoint } = await serverWith([{ names: ['a.test'] }], ours);
    expect((await client(endpoint, theirs)).getProtocol()).toBe(version);
  });

  it.each([
    [
      'a client of TLS 1.1',
      { minVersion: 'TLSv1.2' },
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
    ],
    ['a client of TLS 1.2, where 1.3 is the least', { minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }],
    [
      'a client with old ciphers only',
      { minVersion: 'TLSv1.2' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
    ],
  ] as const)('not with %s, who is named', async (_, ours, theirs) => {
    const said = notices();
    const { endpoint } = await serverWith([{ names: ['a.test'] }], ours);
    expect(await attempt(endpoint, theirs)).toMatch(/ALERT_(PROTOCOL_VERSION|HANDSHAKE_FAILURE)/);
    const { fields } = await said.find(({ message }) => message === 'a connection was turned away');
    expect(fields.reason).toMatch(/^it (wants another TLS version|has no cipher in common)/);
  });

  describe.each(['bcp195', 'modified'] as const)('profile %s', (profile) => {
    const suites = (suite: string, keyType: 'ec' | 'rsa') => ({ suite, keyType });

    it.each([
      suites('TLS_AES_128_GCM_SHA256', 'ec'),
      suites('TLS_AES_256_GCM_SHA384', 'rsa'),
      suites('TLS_CHACHA20_POLY1305_SHA256', 'ec'),
      suites('ECDHE-ECDSA-AES128-GCM-SHA256', 'ec'),
      suites('ECDHE-ECDSA-AES256-GCM-SHA384', 'ec'),
      suites('ECDHE-ECDSA-CHACHA20-POLY1305', 'ec'),
      suites('ECDHE-RSA-AES128-GCM-SHA256', 'rsa'),
      suites('ECDHE-RSA-AES256-GCM-SHA384', 'rsa'),
      suites('ECDHE-RSA-CHACHA20-POLY1305', 'rsa'),
    ])('$suite', async ({ suite, keyType }) => {
      const { endpoint } = await serverWith([{ names: ['a.test'], keyType }], { profile });
      const maxVersion = suite.startsWith('TLS_') ? 'TLSv1.3' : 'TLSv1.2';
      expect((await client(endpoint, { ciphers: suite, maxVersion })).getCipher().name).toBe(suite);
    });

    it.each([
      suites('AES128-GCM-SHA256', 'rsa'),
      suites('AES128-SHA', 'rsa'),
      suites('DHE-RSA-AES128-GCM-SHA256', 'rsa'),
      suites('ECDHE-RSA-AES256-SHA384', 'rsa'),
      suites('ECDHE-ECDSA-AES128-SHA256', 'ec'),
      suites('ECDHE-ECDSA-AES128-CCM8', 'ec'),
      suites('ECDHE-ECDSA-ARIA128-GCM-SHA256', 'ec'),
      suites('NULL-SHA256', 'rsa'),
    ])('not $suite', async ({ suite, keyType }) => {
      const { endpoint } = await serverWith([{ names: ['a.test'], keyType }], { profile });
      expect(await attempt(endpoint, { ciphers: `${suite}:@SECLEVEL=0`, maxVersion: 'TLSv1.2' })).toMatch(
        /ALERT_HANDSHAKE_FAILURE/,
      );
    });
  });

  it.each([
    ['with AES in CCM', { ciphers: 'TLS_AES_128_CCM_SHA256' }],
    ['with AES in CCM in TLS 1.2', { ciphers: 'ECDHE-ECDSA-AES128-CCM', maxVersion: 'TLSv1.2' as const }],
  ])('the modified profile permits what BCP 195 does not ask for: a client %s', async (_, theirs) => {
    const at = async (profile: 'bcp195' | 'modified') =>
      (await serverWith([{ names: ['a.test'] }], { profile })).endpoint;
    expect((await client(await at('modified'), theirs)).getCipher().name).toBe(theirs.ciphers);
    expect(await attempt(await at('bcp195'), theirs)).toMatch(/ALERT_HANDSHAKE_FAILURE/);
  });

  it.each([
    ['with a curve of 224 bits', { ecdhCurve: 'P-224', maxVersion: 'TLSv1.2' as const }],
    ['with signatures of SHA-1', { sigalgs: 'ECDSA+SHA1', maxVersion: 'TLSv1.2' as const }],
    ['with signatures of SHA-224', { sigalgs: 'ECDSA+SHA224', maxVersion: 'TLSv1.2' as const }],
    ['with finite fields', { ecdhCurve: 'ffdhe2048' }],
    ['with a hybrid', { ecdhCurve: 'X25519MLKEM768' }],
  ])('the modified profile does not permit a client %s', async (_, theirs) => {
    const { endpoint } = await serverWith([{ names: ['a.test'] }], { profile: 'modified' });
    const refused = await attempt(endpoint, { ...theirs, ciphers: 'DEFAULT:@SECLEVEL=0' });
    expect(refused).toMatch(/ALERT_HANDSHAKE_FAILURE|ALERT_INTERNAL_ERROR/);
  });

  it('the modified profile refuses a client whose certificate has a short key', async () => {
    const said = notices();
    const { ca, issue } = await createAuthority();
    const short = await issue({ client: true, subject: '/CN=short', keyType: 'rsa', bits: 1024 });
    const { endpoint } = await serverWith([{ names: ['a.test'] }], { profile: 'modified', clientCa: ca });
    // Closed without an alert; a reset when what the client says meets that.
    const end = await endOf(endpoint, { ...short, ciphers: 'DEFAULT:@SECLEVEL=0' });
    expect(end).toMatch(/^(closed|ECONNRESET|EPIPE)$/);
    const { fields } = await said.find(({ message }) => message === 'a connection was turned away');
    expect(fields.reason).toBe(
      'its certificate is refused: its key or signature is too weak, or it is faulty',
    );
  });

  it('our order of ciphers counts', async () => {
    const { endpoint } = await serverWith([{ names: ['a.test'] }]);
    const ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256';
    const connected = await client(endpoint, { maxVersion: 'TLSv1.2', ciphers });
    expect(connected.getCipher().name).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
  });

  it.each([
    [['h2', 'http/1.1'], ['http/1.1', 'h2'], 'h2'],
    [['h2', 'http/1.1'], undefined, false],
    [undefined, ['h2'], false],
  ])('of %o with a client of %o: %s', async (alpn, ALPNProtocols, agreed) => {
    const { endpoint } = await serverWith([{ names: ['a.test'] }], { alpn });
    expect((await client(endpoint, { ALPNProtocols })).alpnProtocol).toBe(agreed);
  });

  it('no client renegotiates', async () => {
    const { endpoint } = await serverWith([{ names: ['a.test'] }]);
    const connected = await client(endpoint, { maxVersion: 'TLSv1.2' });
    const failed = once(connected, 'error');
    connected.renegotiate({}, () => {});
    expect((await within(failed, 'the refusal'))[0]).toMatchObject({ code: 'ERR_SSL_NO_RENEGOTIATION' });
  });

  it('sessions are resumed, with and without client certificates', async () => {
    const { ca, issue } = await createAuthority();
    const certificate = await issue({ client: true, subject: '/CN=ct1' });
    for (const [options, ours] of [
      [{}, {}],
      [{ clientCa: ca }, certificate],
    ] as const) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const server = await serverWith([{ names: ['first.test'] }, { names: ['a.test'] }], options);
        const first = await client(server.endpoint, { ...ours, maxVersion });
        const { session } = await sessions.find(({ of }) => of === first);
        const second = await client(server.endpoint, { ...ours, maxVersion, session });
        expect(second.isSessionReused()).toBe(true);
        const subjects = (await server.accepted.count(2)).map(({ channel }) => channel.tls?.subject);
        expect(subjects).toEqual(
          options.clientCa === undefined ? [undefined, undefined] : ['CN=ct1', 'CN=ct1'],
        );
      }
    }
  });
});

describe('clients with certificates', () => {
  const turnedAway = async (options: ConnectionOptions, versions: ConnectionOptions = {}) => {
    const said = notices();
    const { ca } = await createAuthority();
    const server = await serverWith([{ names: ['first.test'] }, { names: ['a.test'] }], { clientCa: ca });
    const end = await endOf(server.endpoint, { ...options, ...versions });
    const { fields } = await said.find(({ message }) => message === 'a connection was turned away');
    expect(server.accepted.length).toBe(0);
    return { end, reason: fields.reason };
  };

  describe.each(['TLSv1.2', 'TLSv1.3'] as const)('%s', (maxVersion) => {
    it('wrong certificate on the client: none', async () => {
      const { end, reason } = await turnedAway({}, { maxVersion });
      expect(end).toMatch(/ALERT_(HANDSHAKE_FAILURE|CERTIFICATE_REQUIRED)/);
      expect(reason).toBe('it shows no certificate');
    });

    it.each([
      [
        'of another authority',
        { client: true, subject: '/CN=ct1' },
        'Another authority',
        'its authority is unknown',
      ],
      ['expired', { client: true, subject: '/CN=ct1', days: -1 }, undefined, 'it has expired'],
      ['of a server', { names: ['ct1.test'] }, undefined, 'it is not meant for this purpose'],
    ] as const)('wrong certificate on the client: %s', async (_, request, authority, fault) => {
      const { issue } = await createAuthority(authority);
      const { reason } = await turnedAway(await issue(request), { maxVersion });
      expect(reason).toBe(`its certificate is refused: ${fault}`);
    });

    it('a good one, whichever name is asked for', async () => {
      const { ca, issue } = await createAuthority();
      const server = await serverWith([{ names: ['first.test'] }, { names: ['a.test'] }], { clientCa: ca });
      const certificate = await issue({ client: true, subject: '/CN=ct1' });
      for (const servername of ['first.test', 'a.test']) {
        await client(server.endpoint, { ...certificate, servername, maxVersion });
        const { channel } = await server.next();
        expect(channel.tls).toEqual({ sni: servername, subject: 'CN=ct1' });
      }
    });
  });

  it('is not asked for where no authority is given', async () => {
    const server = await serverWith([{ names: ['a.test'] }]);
    const { issue } = await createAuthority('Another authority');
    await client(server.endpoint, await issue({ client: true, subject: '/CN=ct1' }));
    expect((await server.next()).channel.tls).toEqual({ sni: 'a.test', subject: undefined });
  });
});

it('certificate change while connections are open: old ones live on, new ones see the new certificate', async () => {
  const proxyProtocol = { from: (address: string) => address === '127.0.0.2' };
  const first = await identityFor([{ names: ['a.test'] }]);
  const server = await entranceServer(entrance({ tls: first, proxyProtocol }));
  const open = await client(server.endpoint);
  const far = await server.next();
  // This one is at the entrance when the certificate changes.
  const entering = await openConnection(server.endpoint, '127.0.0.2');
  await entering.write(Buffer.from('PROXY UNK'));

  const { ca, issue } = await createAuthority();
  const second = await identityFor([{ names: ['a.test', 'new.test'] }], { clientCa: ca });
  server.change(entrance({ tls: second, proxyProtocol }));
  const fresh = await client(server.endpoint, await issue({ client: true, subject: '/CN=ct1' }));
  await entering.write(Buffer.from('NOWN\r\n'));
  const entered = connect({ socket: entering.socket, ca, servername: 'a.test' });
  await within(once(entered, 'secureConnect'), 'the handshake of the one that was entering');

  expect([open, entered, fresh].map(nameShown)).toEqual([
    'DNS:a.test',
    'DNS:a.test',
    'DNS:a.test, DNS:new.test',
  ]);
  expect(await endOf(server.endpoint, {})).toMatch(/CERTIFICATE_REQUIRED/);
  open.write('still here');
  expect(await far.witness.received(10)).toBe('still here');
  fresh.write('new');
  const { witness } = await server.accepted.find(({ channel }) => channel.remote.port === fresh.localPort);
  expect(await witness.received(3)).toBe('new');
  entered.destroy();
});

it('1000 connects, every tenth of a client that refuses our certificate: the others are all served', async () => {
  const way = entrance({ tls: await identityFor([{ names: ['a.test'] }]) });
  const server = await entranceServer(way);
  const heard: string[] = [];
  server.listener.acceptor = channelAcceptor(way, (channel) => {
    const witness = new Witness();
    channel.handler = witness;
    void witness.whenEnded.then(() => {
      heard.push(witness.text);
      channel.end();
    });
  });
  sessions.clear();
  for (let round = 0; round < 20; round += 1) {
    const clients = Array.from({ length: 50 }, async (_, n) => {
      if (n % 10 === 9) {
        expect(await attempt(server.endpoint, { ca: [] })).toMatch(/UNABLE|SELF_SIGNED/);
        return;
      }
      const one = await client(server.endpoint, { session: sessions.items.at(-1)?.session });
      one.resume().end(`${round} ${n}`);
      await within(once(one, 'close'), 'the end of a client');
    });
    await Promise.all(clients);
  }
  expect(new Set(heard.filter((words) => words !== '')).size).toBe(900);
}, 60_000);

describe('openssl s_client', () => {
  it.each([['-tls1_2'], ['-tls1_3']])('connects, checks the chain, and talks (%s)', async (version) => {
    const { ca, issue } = await createAuthority();
    const { cert, key } = await issue({ client: true, subject: '/O=Hospital/CN=ct1' });
    const server = await serverWith([{ names: ['a.test'] }], { clientCa: ca, alpn: ['dicom'] });
    const folder = await mkdtemp(join(tmpdir(), 'gantry-s-client-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await Promise.all(
      Object.entries({ ca, cert, key }).map(([name, pem]) => writeFile(`${folder}/${name}.pem`, pem)),
    );
    const openssl = startProgram(
      'openssl',
      [
        ...['s_client', '-connect', `127.0.0.1:${server.endpoint.port}`, '-servername', 'a.test', version],
        ...['-CAfile', `${folder}/ca.pem`, '-cert', `${folder}/cert.pem`, '-key', `${folder}/key.pem`],
        ...['-verify_return_error', '-verify_hostname', 'a.test', '-alpn', 'dicom', '-ign_eof'],
      ],
      { input: 'question\n' },
    );
    const { channel, witness } = await server.next();
    expect(await witness.received(9)).toBe('question\n');
    channel.write(Buffer.from('answer\n'));
    channel.end();
    const { code, output } = await within(openssl.exited, 'openssl to end');
    expect(output).toContain('answer\n');
    expect(output).toContain('ALPN protocol: dicom');
    expect(output).toMatch(/Verify return code: 0 \(ok\)|Verification: OK/);
    expect(code).toBe(0);
    expect(channel.tls).toEqual({ sni: 'a.test', subject: 'CN=ct1,O=Hospital' });
  });

  it('cannot renegotiate', async () => {
    const server = await serverWith([{ names: ['a.test'] }]);
    const args = ['s_client', '-connect', `127.0.0.1:${server.endpoint.port}`, '-tls1_2'];
    const { output } = await runProgram('openssl', args, { input: 'R\n' });
    expect(output).toMatch(/no renegotiation/);
  });
});
