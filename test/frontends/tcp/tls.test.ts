import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { ServerLink } from '../../../src/relay/dial.ts';
import { createTlsIdentity } from '../../../src/relay/tls-identity.ts';
import { createAuthority } from '../../peers/certificates.ts';
import { until, within } from '../../peers/waiting.ts';
import { echo, greet, isIdle, type Sketch, server, startTcp } from './setup.ts';
import { resetCarrier, tlsClient, tlsServer } from './tls-peers.ts';

/** A VIP that ends TLS for `vip.test` and `other.test`; with `clientCa`, clients need a certificate. */
async function terminating(clientCa?: string): Promise<Sketch['entrance']> {
  const authority = await createAuthority();
  const certificates = [await authority.issue({ names: ['vip.test', 'other.test'] })];
  return { tls: createTlsIdentity({ certificates, clientCa, minVersion: 'TLSv1.2' }) };
}

function linked(link: ServerLink): Sketch['more'] {
  return { links: new Map([['main', link]]) };
}

test('TLS terminated: the server gets what was said in plain, half-close both ways included', async () => {
  const { ca } = await createAuthority();
  const one = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [one.address] } }, entrance: await terminating() });
  const { client } = await tlsClient(vip.address, { servername: 'vip.test', ca });
  const bytes = randomBytes(4 * 1024 * 1024);
  client.socket.end(bytes);
  const answer = await client.readToEnd();
  expect(answer.ending).toBe('end');
  expect(answer.bytes.equals(bytes)).toBe(true);
  expect(await vip.events.find(() => true)).toMatchObject({
    end: 'closed',
    bytes: { toServer: bytes.length, toClient: bytes.length },
  });
});

test('TLS terminated: rules by server name and by the subject of the certificate of the client', async () => {
  const authority = await createAuthority();
  const [a, b, c] = [await server(greet('a')), await server(greet('b')), await server(greet('c'))];
  const vip = await startTcp({
    pools: {
      a: { servers: [a.address] },
      b: { servers: [b.address] },
      main: { servers: [c.address] },
    },
    rules: (pools) => [
      { when: { facts: [{ name: 'sni', patterns: ['other.test'] }] }, pool: pools.a },
      { when: { facts: [{ name: 'tlsSubject', patterns: ['CN=ct1,*'] }] }, pool: pools.b },
    ],
    entrance: await terminating(authority.ca),
  });
  const ask = async (servername: string, subject: string) => {
    const certificate = await authority.issue({ client: true, subject });
    const { client } = await tlsClient(vip.address, { servername, ca: authority.ca, ...certificate });
    const { bytes } = await client.readToEnd();
    client.end();
    return bytes.toString();
  };
  expect(await ask('other.test', '/O=Hospital/CN=ct1')).toBe('a');
  expect(await ask('vip.test', '/O=Hospital/CN=ct1')).toBe('b');
  expect(await ask('vip.test', '/O=Hospital/CN=ct2')).toBe('c');
});

test('TLS terminated: who does not speak it never becomes a connection', async () => {
  const one = await server(echo);
  const vip = await startTcp({
    pools: { main: { servers: [one.address] } },
    entrance: { ...(await terminating()), handshakeTimeout: 100 },
  });
  const silent = await vip.open();
  const plain = await vip.open();
  await plain.write(Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  await silent.readToEnd();
  await plain.readToEnd();
  expect([vip.frontEnd.totals.connections, one.connections.length]).toEqual([0, 0]);
});

test('TLS originated: the certificate of the server is verified, and half-close passes', async () => {
  const authority = await createAuthority();
  const one = await tlsServer(await authority.issue({ names: ['pacs.test'] }), echo);
  const vip = await startTcp({
    pools: { main: { servers: [one] } },
    more: linked({ tls: { verify: true, ca: authority.ca, servername: 'pacs.test' } }),
  });
  const client = await vip.open();
  const bytes = randomBytes(4 * 1024 * 1024);
  client.socket.end(bytes);
  expect((await client.readToEnd()).bytes.equals(bytes)).toBe(true);
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'closed', attempts: 1 });
});

test('a server with a wrong certificate gets nothing: the next one takes it', async () => {
  const [authority, stranger] = [await createAuthority(), await createAuthority('Another authority')];
  const wrong = await tlsServer(await stranger.issue({ names: ['pacs.test'] }), greet('wrong'));
  const right = await tlsServer(await authority.issue({ names: ['pacs.test'] }), greet('right'));
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [wrong, right] } },
    more: linked({ tls: { verify: true, ca: authority.ca, servername: 'pacs.test' } }),
  });
  const client = await vip.open();
  expect((await client.readToEnd()).bytes.toString()).toBe('right');
  client.end();
  expect(await vip.events.find(() => true)).toMatchObject({ server: 'main-2', attempts: 2 });
  expect(vip.server('main-1').totals.failures).toBe(1);
});

test('a server that takes connections and does not speak TLS, or nothing at all: the next one after the connect time', async () => {
  const authority = await createAuthority();
  const silent = await server();
  const plain = await server((connection) => connection.socket.write('220 this is no TLS\r\n'));
  const right = await tlsServer(await authority.issue({ names: ['pacs.test'] }), greet('right'));
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [silent.address, plain.address, right] } },
    timeouts: { connect: 200 },
    more: linked({ tls: { verify: false } }),
  });
  const client = await vip.open();
  expect((await client.readToEnd()).bytes.toString()).toBe('right');
  client.end();
  expect(await vip.events.find(() => true)).toMatchObject({ server: 'main-3', attempts: 3 });
  await until(() => isIdle(vip), 'no connection to be left');
  for (const { connections } of [silent, plain]) await within(connections.items[0]!.ending, 'its end');
});

test('TLS on both sides: a server that dies is a reset for the client, a client that vanishes one for the server', async () => {
  const authority = await createAuthority();
  const vanishedAtServer = Promise.withResolvers<void>();
  const one = await tlsServer(await authority.issue({ names: ['pacs.test'] }), async (connection) => {
    await connection.write(Buffer.from('hello'));
    if ((await connection.readSome())?.toString() === 'die') resetCarrier(connection);
    else vanishedAtServer.resolve();
  });
  const vip = await startTcp({
    pools: { main: { servers: [one] } },
    entrance: await terminating(),
    more: linked({ tls: { verify: false } }),
  });
  const open = async () => {
    const opened = await tlsClient(vip.address, { servername: 'vip.test', ca: authority.ca });
    await opened.client.read(5);
    return opened;
  };
  const vanishes = await open();
  vanishes.carrier.resetAndDestroy();
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'reset' });
  await vanishedAtServer.promise;
  const loses = await open();
  await loses.client.write(Buffer.from('die'));
  expect((await loses.client.readToEnd()).ending).toBe('reset');
  await vip.events.count(2);
  expect(vip.events.items[1]).toMatchObject({ end: 'reset' });
  await until(() => isIdle(vip), 'no connection to be left');
});
