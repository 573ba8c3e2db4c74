import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeProxyHeader } from '../../protocols/proxy-protocol/write.ts';
import type { GantryError } from '../../src/errors.ts';
import type { Endpoint } from '../../src/relay/channel.ts';
import { dial, dialSocket, type Preamble } from '../../src/relay/dial.ts';
import type { TlsClientOptions } from '../../src/relay/tls-client.ts';
import { type CertificateRequest, createAuthority } from '../peers/certificates.ts';
import { freePort, skipWithout, startProgram, waitForPort } from '../peers/processes.ts';
import { Journal, within } from '../peers/waiting.ts';
import { plainServer, Witness } from './sockets.ts';

skipWithout('openssl');

/** A TLS server of Node's own that greets, and says back what it hears. */
async function tlsServer(request: CertificateRequest, options: TlsOptions = {}) {
  const { issue } = await createAuthority();
  const accepted = new Journal<TLSSocket>('TLS connections');
  const server = createServer({ ...(await issue(request)), ...options }, (socket) => {
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    accepted.add(socket);
    socket.write('greeting ');
    socket.pipe(socket);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, accepted };
}

async function trusting(options: Partial<TlsClientOptions> = {}): Promise<TlsClientOptions> {
  const { ca } = await createAuthority();
  return { verify: true, ca, servername: 'a.test', ...options };
}

/** A dialled channel: its witness sees `connected`, or its end. */
function dialled(endpoint: Endpoint, tls: TlsClientOptions, others: Preamble = {}) {
  const witness = new Witness();
  const channel = dial(endpoint, witness, { ...others, tls });
  onTestFinished(() => channel.reset());
  return { channel, witness };
}

async function failureOf(endpoint: Endpoint, tls: TlsClientOptions): Promise<GantryError | undefined> {
  const { witness } = dialled(endpoint, tls);
  const error = await within(witness.whenClosed, 'the end of a channel');
  expect(witness.log).toEqual(['closed']);
  return error;
}

const where = ({ port }: Endpoint) => `127.0.0.1:${port}`;

describe('a server whose certificate is good', () => {
  it('is connected after the handshake, not before', async () => {
    const { endpoint } = await tlsServer({ names: ['a.test'] });
    const { channel, witness } = dialled(endpoint, await trusting());
    channel.write(Buffer.from('echo'));
    expect(await witness.received(13)).toBe('greeting echo');
    expect(witness.log[0]).toBe('connected');
    expect([channel.remote, channel.local.host]).toEqual([endpoint, '127.0.0.1']);
    expect([channel.bytesRead, channel.bytesWritten]).toEqual([13, 4]);
    channel.end();
    expect(await witness.whenClosed).toBeUndefined();
  });

  it.each([
    ['the host, when that is a name', { names: ['localhost'] }, 'localhost', undefined, 'localhost'],
    ['the host, when that is an address', { names: ['127.0.0.1'] }, '127.0.0.1', undefined, false],
    ['what is configured', { names: ['a.test'] }, '127.0.0.1', 'a.test', 'a.test'],
    ['an address that is configured', { names: ['192.0.2.7'] }, '127.0.0.1', '192.0.2.7', false],
  ])('asks for %s', async (_, request, host, servername, asked) => {
    const { endpoint, accepted } = await tlsServer(request);
    const { witness } = dialled({ ...endpoint, host }, await trusting({ servername }));
    await within(witness.whenConnected, 'the handshake');
    const [socket] = await accepted.count(1);
    expect((socket as { servername?: string | false }).servername).toBe(asked);
  });

  it('sees our certificate when it asks for one', async () => {
    const { ca, issue } = await createAuthority();
    const { endpoint, accepted } = await tlsServer({ names: ['a.test'] }, { ca, requestCert: true });
    const { witness } = dialled(
      endpoint,
      await trusting(await issue({ client: true, subject: '/CN=gantry' })),
    );
    await within(witness.whenConnected, 'the handshake');
    const [socket] = await accepted.count(1);
    expect(socket!.getPeerX509Certificate()?.subject).toBe('CN=gantry');
  });

  it.each([
    [undefined, 'TLSv1.2', 'AES128-GCM-SHA256', true],
    ['bcp195', 'TLSv1.2', 'AES128-GCM-SHA256', false],
    ['modified', 'TLSv1.2', 'AES128-GCM-SHA256', false],
    ['bcp195', 'TLSv1.2', 'ECDHE-RSA-AES128-GCM-SHA256', true],
    ['modified', 'TLSv1.2', 'ECDHE-RSA-AES128-GCM-SHA256', true],
    ['bcp195', 'TLSv1.3', 'TLS_AES_128_CCM_SHA256', false],
    ['modified', 'TLSv1.3', 'TLS_AES_128_CCM_SHA256', true],
  ] as const)('profile %s, %s with %s: %s', async (profile, maxVersion, ciphers, works) => {
    const { endpoint } = await tlsServer({ names: ['a.test'], keyType: 'rsa' }, { ciphers, maxVersion });
    if (!works) {
      expect(await failureOf(endpoint, await trusting({ profile }))).toMatchObject({
        code: 'GTY_TLS_HANDSHAKE',
      });
      return;
    }
    const { witness } = dialled(endpoint, await trusting({ profile }));
    expect(await witness.received(9)).toBe('greeting ');
  });

  it('is resumed the next time; other options start anew', async () => {
    const reused: boolean[] = [];
    const { endpoint, accepted } = await tlsServer({ names: ['a.test'] });
    const options = await trusting();
    for (const tls of [options, options, { ...options }]) {
      const { channel, witness } = dialled(endpoint, tls);
      await witness.received(9);
      reused.push(accepted.items.at(-1)!.isSessionReused());
      channel.end();
      await witness.whenClosed;
    }
    expect(reused).toEqual([false, true, false]);
  });

  it('sees a PROXY header before TLS', async () => {
    const server = await plainServer();
    const source = { host: '192.0.2.1', port: 1 };
    const proxyHeader = writeProxyHeader(2, { source, destination: server.endpoint });
    dialled(server.endpoint, await trusting(), { proxyHeader });
    const socket = await server.next();
    const [bytes] = (await within(once(socket, 'data'), 'a header')) as [Buffer];
    expect(bytes.subarray(0, proxyHeader.length)).toEqual(proxyHeader);
    const hello =
      bytes.length > proxyHeader.length
        ? bytes.subarray(proxyHeader.length)
        : (await once(socket, 'data'))[0];
    expect((hello as Buffer)[0]).toBe(0x16);
    socket.destroy();
  });
});

describe('wrong certificate on the server', () => {
  it.each([
    ['expired', { names: ['a.test'], days: -1 }, {}, 'it has expired'],
    ['of another name', { names: ['b.test'] }, {}, 'it is for another name'],
    ['of another authority', { names: ['a.test'] }, { ca: 'other' }, 'its authority is unknown'],
    [
      'of an authority that Node does not know',
      { names: ['a.test'] },
      { ca: undefined },
      'its authority is unknown',
    ],
    ['of a client', { client: true, subject: '/CN=a.test' }, {}, 'it is not meant for this purpose'],
  ])('%s', async (_, request, options, fault) => {
    const { endpoint } = await tlsServer(request);
    const tls = await trusting(options);
    const ca = tls.ca === 'other' ? (await createAuthority('Another authority')).ca : tls.ca;
    expect(await failureOf(endpoint, { ...tls, ca })).toMatchObject({
      code: 'GTY_TLS_CERTIFICATE',
      source: 'server',
      retryable: true,
      message: `the certificate of ${where(endpoint)} is refused: ${fault}`,
    });
    const { witness } = dialled(endpoint, { ...tls, ca, verify: false });
    expect(await witness.received(9)).toBe('greeting ');
  });

  it('stays refused when a connection without verification was there before', async () => {
    const { endpoint } = await tlsServer({ names: ['b.test'] });
    const lax = await trusting({ verify: false });
    const { channel, witness } = dialled(endpoint, lax);
    await witness.received(9);
    channel.reset();
    expect(await failureOf(endpoint, await trusting())).toMatchObject({ code: 'GTY_TLS_CERTIFICATE' });
  });
});

describe('a server that does not agree', () => {
  it.each([
    ['speaks HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'does not speak TLS'],
    ['speaks HL7', '\x0bMSH|^~\\&|INVENTED\r\x1c\r', 'does not speak TLS'],
    ['closes', undefined, 'closed the connection in the handshake'],
    ['resets', 'reset', 'closed the connection in the handshake'],
  ])('%s', async (_, answer, what) => {
    const server = await plainServer();
    const failure = failureOf(server.endpoint, await trusting());
    const socket = await server.next();
    await once(socket, 'data');
    if (answer === undefined) socket.end();
    else if (answer === 'reset') socket.resetAndDestroy();
    else socket.write(answer);
    expect(await failure).toMatchObject({
      code: 'GTY_TLS_HANDSHAKE',
      source: 'server',
      retryable: true,
      message: `${where(server.endpoint)} ${what}`,
    });
    socket.destroy();
  });

  it.each([
    ['an older version', { maxVersion: 'TLSv1.2' }, { minVersion: 'TLSv1.3' }, 'wants another TLS version'],
    [
      'other ciphers',
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA' },
      {},
      'has no cipher in common, or wants a certificate',
    ],
  ] as const)('speaks %s', async (_, theirs, ours, what) => {
    const { endpoint } = await tlsServer({ names: ['a.test'] }, theirs);
    expect(await failureOf(endpoint, await trusting(ours))).toMatchObject({
      code: 'GTY_TLS_HANDSHAKE',
      message: `${where(endpoint)} ${what}`,
    });
  });

  it.each([
    ['none', undefined, 'asks for a certificate'],
    ['one of another authority', 'Another authority', 'refuses the certificate'],
  ])(
    'wrong certificate on our side: %s (openssl s_server, TLS 1.3: after the handshake)',
    async (_, other, what) => {
      const { ca, issue } = await createAuthority();
      const { cert, key } = await issue({ names: ['a.test'] });
      const endpoint = await opensslServer({ ca, cert, key }, ['-Verify', '1', '-verify_return_error']);
      const ours =
        other === undefined
          ? {}
          : await (await createAuthority(other)).issue({ client: true, subject: '/CN=us' });
      const { witness } = dialled(endpoint, await trusting(ours));
      expect(await within(witness.whenClosed, 'the refusal')).toMatchObject({
        code: 'GTY_TLS_HANDSHAKE',
        message: `${where(endpoint)} ${what}`,
      });
    },
  );

  it('refuses connections', async () => {
    const endpoint = { host: '127.0.0.1', port: await freePort() };
    expect(await failureOf(endpoint, await trusting())).toMatchObject({ code: 'GTY_CONNECT_REFUSED' });
  });

  it('has options that cannot be used: said, not thrown', async () => {
    const { endpoint } = await tlsServer({ names: ['a.test'] });
    expect(await failureOf(endpoint, await trusting({ cert: 'x', key: 'y' }))).toMatchObject({
      code: 'GTY_TLS_HANDSHAKE',
      message: expect.stringContaining('the certificate towards servers cannot be used'),
    });
  });
});

/** openssl s_server, which prints what it hears. */
async function opensslServer(
  files: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<Endpoint> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-s-server-'));
  await Promise.all(Object.entries(files).map(([name, pem]) => writeFile(join(folder, `${name}.pem`), pem)));
  const port = await freePort();
  const server = startProgram('openssl', [
    ...['s_server', '-accept', `127.0.0.1:${port}`, '-quiet', '-rev'],
    ...[
      '-cert',
      join(folder, 'cert.pem'),
      '-key',
      join(folder, 'key.pem'),
      '-CAfile',
      join(folder, 'ca.pem'),
    ],
    ...args,
  ]);
  onTestFinished(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });
  await waitForPort(port, server);
  return { host: '127.0.0.1', port };
}

it.each(['-tls1_2', '-tls1_3'])(
  'openssl s_server %s: bytes both ways, with certificates on both sides',
  async (version) => {
    const { ca, issue } = await createAuthority();
    const { cert, key } = await issue({ names: ['a.test'] });
    const endpoint = await opensslServer({ ca, cert, key }, [
      '-Verify',
      '1',
      '-verify_return_error',
      version,
    ]);
    const { channel, witness } = dialled(
      endpoint,
      await trusting(await issue({ client: true, subject: '/CN=gantry' })),
    );
    channel.write(Buffer.from('reversed\n'));
    expect(await within(witness.received(9), 'the answer of s_server')).toBe('desrever\n');
    channel.end();
  },
);

describe('dialSocket', () => {
  const dialledSocket = (target: Endpoint, preamble: Preamble) => {
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const attempt = dialSocket(target, preamble, (error, socket) =>
      error ? reject(error) : resolve(socket!),
    );
    return { attempt, promise: within(promise, 'a socket') };
  };

  it('hands over a plain socket, from the address that was asked for, behind its PROXY header', async () => {
    const server = await plainServer();
    const header = writeProxyHeader(1);
    const { promise } = dialledSocket(server.endpoint, { from: '127.0.0.9', proxyHeader: header });
    const socket = await promise;
    socket.write('GET /');
    const far = await server.next();
    let text = '';
    far.on('data', (chunk) => {
      text += String(chunk);
    });
    while (text.length < header.length + 5) await once(far, 'data');
    expect([text, far.remoteAddress]).toEqual([`${String(header)}GET /`, '127.0.0.9']);
    expect(socket.listenerCount('error') + socket.listenerCount('data')).toBe(0);
    socket.destroy();
  });

  it('hands over a TLS socket, of which nothing was read', async () => {
    const { endpoint } = await tlsServer({ names: ['a.test'] });
    const socket = await dialledSocket(endpoint, { tls: await trusting() }).promise;
    expect((socket as TLSSocket).authorized).toBe(true);
    expect(socket.listenerCount('data') + socket.listenerCount('close')).toBeLessThan(3);
    socket.setEncoding('utf8');
    expect((await within(once(socket, 'data'), 'the greeting'))[0]).toBe('greeting ');
    socket.destroy();
  });

  it('says why not', async () => {
    const { endpoint } = await tlsServer({ names: ['b.test'] });
    await expect(dialledSocket(endpoint, { tls: await trusting() }).promise).rejects.toMatchObject({
      code: 'GTY_TLS_CERTIFICATE',
    });
    await expect(
      dialledSocket({ host: '127.0.0.1', port: await freePort() }, {}).promise,
    ).rejects.toMatchObject({ code: 'GTY_CONNECT_REFUSED' });
  });

  it('can be given up: nobody hears of it any more', async () => {
    const never = () => expect.unreachable('it was given up');
    dialSocket((await plainServer()).endpoint, {}, never).cancel();
    const server = await plainServer();
    const inHandshake = dialSocket(server.endpoint, { tls: await trusting() }, never);
    const socket = await server.next();
    await once(socket, 'data');
    inHandshake.cancel();
    await within(once(socket, 'end'), 'the end of the connection');
    inHandshake.cancel();
  });
});
