import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { NoticeEvent } from '../../../src/observe/events.ts';
import { onEvent } from '../../../src/observe/events.ts';
import type { TlsClientOptions } from '../../../src/relay/dial.ts';
import { type CertificateRequest, createAuthority } from '../../peers/certificates.ts';
import { accepting, startScp } from '../../peers/dicom-scp.ts';
import { answering, startReceiver } from '../../peers/mllp-peer.ts';
import { freePort, startProgram, waitForPort } from '../../peers/processes.ts';
import { type Address, type TestConnection, TestListener } from '../../peers/test-connection.ts';
import { Journal } from '../../peers/waiting.ts';
import { ManualDeadlines } from './manual-deadlines.ts';
import { checkOf, resultOf } from './run-check.ts';

const DAY_MS = 86_400_000;
const UNVERIFIED: TlsClientOptions = { verify: false };

function asking(tls: TlsClientOptions) {
  return { check: 'tls', tls } as const;
}

async function verified(servername?: string): Promise<TlsClientOptions> {
  const { ca } = await createAuthority();
  return { verify: true, ca, servername };
}

/** `openssl s_server`; returns its port. */
async function serve(request: CertificateRequest, ...options: string[]): Promise<number> {
  const authority = await createAuthority();
  const { cert, key } = await authority.issue(request);
  const folder = mkdtempSync(join(tmpdir(), 'gantry-tls-'));
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  writeFileSync(join(folder, 'ca.pem'), authority.ca);
  const port = await freePort();
  const server = startProgram(
    'openssl',
    [
      's_server',
      '-accept',
      `127.0.0.1:${port}`,
      '-cert',
      'cert.pem',
      '-key',
      'key.pem',
      '-quiet',
      ...options,
    ],
    { cwd: folder },
  );
  onTestFinished(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  await waitForPort(port, server);
  return port;
}

describe('tls check', () => {
  test('a handshake, the certificate verified by its authority and name: up', async () => {
    const port = await serve({ names: ['archive.test'] });
    expect(await resultOf(asking(await verified('archive.test')), { port })).toMatchObject({
      outcome: 'up',
      reason: expect.stringMatching(/^completes a TLS handshake/),
    });
  });

  test('a wrong certificate: another name, an unknown authority, an expired one: down, with the reason', async () => {
    const port = await serve({ names: ['archive.test'] });
    const expired = await serve({ names: ['archive.test'], days: -1 });
    const otherName = await resultOf(asking(await verified('web.test')), { port });
    const { ca } = await createAuthority('Another authority');
    const stranger = await resultOf(asking({ verify: true, ca, servername: 'archive.test' }), { port });
    const old = await resultOf(asking(await verified('archive.test')), { port: expired });
    expect([otherName, stranger, old].map(({ outcome }) => outcome)).toEqual(['down', 'down', 'down']);
    expect(otherName.reason).toMatch(/name|archive\.test/i);
    expect(stranger.reason).toMatch(/certificate/);
    expect(old.reason).toMatch(/expired/);
  });

  test('not verified, any certificate will do', async () => {
    const port = await serve({ names: ['archive.test'], days: -1 });
    const { outcome, reason } = await resultOf(asking(UNVERIFIED), { port });
    expect(outcome).toBe('up');
    expect(reason).toMatch(/^completes a TLS handshake; its certificate expired on \d{4}-\d\d-\d\d$/);
  });

  test('a certificate that is about to expire is told of once a day, and does not count', async () => {
    const port = await serve({ names: ['archive.test'], days: 20 });
    const notices: NoticeEvent[] = [];
    onTestFinished(onEvent('notice', (notice) => notices.push(notice)));
    let now = Date.now();
    const check = checkOf(asking(UNVERIFIED), { port, now: () => now });
    const found = () => new Promise<string>((resolve) => check.start(({ reason }) => resolve(reason)));
    expect(await found()).toBe('completes a TLS handshake');
    expect(notices).toEqual([]);
    now += 7 * DAY_MS;
    expect(await found()).toMatch(/handshake; its certificate expires on \d{4}-\d\d-\d\d$/);
    await found();
    expect(notices).toMatchObject([{ level: 'warn', fields: { server: `127.0.0.1:${port}`, days: 12 } }]);
    now += DAY_MS;
    await found();
    expect(notices.map(({ fields }) => fields.days)).toEqual([12, 11]);
  });

  test('a certificate of its own for a server that asks for one', async () => {
    const authority = await createAuthority();
    const port = await serve({ names: ['archive.test'] }, '-Verify', '1', '-CAfile', 'ca.pem', '-tls1_2');
    const own = await authority.issue({ client: true, subject: '/CN=gantry' });
    expect((await resultOf(asking({ verify: false, ...own }), { port })).outcome).toBe('up');
    expect((await resultOf(asking(UNVERIFIED), { port })).outcome).toBe('down');
  });

  test('a server that does not speak TLS, or says nothing: down', async () => {
    const connections = new Journal<TestConnection>('connections');
    const server = new TestListener((connection) => connections.add(connection));
    await server.start();
    onTestFinished(() => server.stop());
    const deadlines = new ManualDeadlines();
    const silent = resultOf(asking(UNVERIFIED), { ...server.address, timeout: 3000, deadlines });
    await (await connections.count(1))[0]!.read(5);
    deadlines.pass(3000);
    expect(await silent).toMatchObject({
      outcome: 'down',
      reason: 'completes no TLS handshake within 3000 ms',
    });
    const plain = resultOf(asking(UNVERIFIED), server.address);
    await (await connections.count(2))[1]!.write(Buffer.from('220 not TLS\r\n'));
    expect((await plain).outcome).toBe('down');
  });

  test('refused: down; cancelled: nothing is said', async () => {
    const port = await freePort();
    expect(await resultOf(asking(UNVERIFIED), { port })).toMatchObject({
      outcome: 'down',
      reason: `127.0.0.1:${port} refuses connections`,
    });
    let said = 0;
    checkOf(asking(UNVERIFIED), { port: await serve({ names: ['a.test'] }) }).start(() => said++)();
    await resultOf(asking(UNVERIFIED), { port });
    expect(said).toBe(0);
  });

  test('how it is verified makes another check', () => {
    const keys = [UNVERIFIED, { verify: true }, { verify: true, servername: 'a.test' }].map(
      (tls) => checkOf(asking(tls)).key,
    );
    expect(new Set(keys).size).toBe(3);
  });
});

/** TLS before a peer that knows nothing of it; returns the port. */
async function inFrontOf(peer: Address): Promise<number> {
  const { cert, key } = await (await createAuthority()).issue({ names: ['archive.test'] });
  const server = createServer({ cert, key }, (secured) => {
    const plain = connect(peer);
    secured.pipe(plain).pipe(secured);
    for (const socket of [secured, plain]) socket.on('error', () => {});
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('other checks in TLS', () => {
  test('connect: where the pool speaks TLS, so does the check', async () => {
    const port = await serve({ names: ['archive.test'] });
    const link = { tls: await verified('archive.test') };
    expect(await resultOf({ check: 'connect' }, { port, link })).toMatchObject({
      outcome: 'up',
      reason: 'takes connections in TLS',
    });
    const wrong = { tls: await verified('web.test') };
    expect((await resultOf({ check: 'connect' }, { port, link: wrong })).outcome).toBe('down');
  });

  test('dicom-echo', async () => {
    const scp = await startScp(accepting());
    onTestFinished(() => scp.stop());
    const port = await inFrontOf(scp.address);
    const options = { check: 'dicom-echo', calling: 'GANTRY', called: 'ARCHIVE' } as const;
    const link = { tls: await verified('archive.test') };
    expect(await resultOf(options, { port, link })).toMatchObject({
      outcome: 'up',
      reason: 'answers a C-ECHO',
    });
    const wrong = { tls: await verified('web.test') };
    expect((await resultOf(options, { port, link: wrong })).outcome).toBe('down');
  });

  test('hl7', async () => {
    const receiver = await startReceiver(answering());
    onTestFinished(() => receiver.stop());
    const port = await inFrontOf(receiver.address);
    const options = { check: 'hl7', message: undefined, blocks: {} } as const;
    const link = { tls: await verified('archive.test') };
    expect((await resultOf(options, { port, link })).outcome).toBe('up');
    expect((await resultOf(options, { port })).outcome).toBe('down');
  });
});
