import { expect, test } from 'vitest';
import type { Rule } from '../../../src/director/director.ts';
import type { Pool } from '../../../src/pools/pool.ts';
import { createAuthority } from '../../peers/certificates.ts';
import { until } from '../../peers/waiting.ts';
import { echo, greet, isIdle, type Sketch, server, startTcp } from './setup.ts';
import { silentPort } from './silent-port.ts';
import { clientHello, tlsClient, tlsServer } from './tls-peers.ts';

const BY_NAME = ({ a, b }: Readonly<Record<string, Pool>>): readonly Rule[] => [
  { when: { facts: [{ name: 'sni', patterns: ['a.test'] }] }, pool: a },
  { when: { facts: [{ name: 'sni', patterns: ['*.b.test'] }] }, pool: b },
];

const PEEKS = { rules: BY_NAME, more: { peeksSni: true } } satisfies Partial<Sketch>;

/** Pools of one server each. */
async function plainPools(script: Parameters<typeof server>[0] = echo) {
  const [a, b, main] = [await server(script), await server(script), await server(script)];
  const pools = {
    a: { servers: [a.address] },
    b: { servers: [b.address] },
    main: { servers: [main.address] },
  };
  return { a, b, main, pools };
}

test('TLS passes through, routed by the name that the client asks for', async () => {
  const authority = await createAuthority();
  const serverOf = async (name: string) => {
    const address = await tlsServer(await authority.issue({ names: [name] }), greet(name));
    return { servers: [address] };
  };
  const vip = await startTcp({
    pools: {
      a: await serverOf('a.test'),
      b: await serverOf('www.b.test'),
      main: await serverOf('other.test'),
    },
    ...PEEKS,
  });
  for (const [asked, rule] of [
    ['a.test', 'routes[1]'],
    ['www.b.test', 'routes[2]'],
    ['other.test', 'default'],
  ] as const) {
    // The client verifies the certificate of the very server: nobody ended TLS in between.
    const { client } = await tlsClient(vip.address, { servername: asked, ca: authority.ca });
    expect((await client.readToEnd()).bytes.toString()).toBe(asked);
    expect([...vip.frontEnd.connections()].map(({ facts }) => facts.sni)).toEqual([asked]);
    client.end();
    expect(await vip.events.find((event) => event.rule === rule)).toMatchObject({ end: 'closed' });
    await until(() => isIdle(vip), 'no connection to be left');
  }
});

test('a ClientHello a byte at a time is routed by its name, and arrives as it was', async () => {
  const { a, pools } = await plainPools();
  const vip = await startTcp({ pools, ...PEEKS });
  const hello = await clientHello('a.test');
  const client = await vip.open();
  await client.dribble(hello);
  expect((await client.read(hello.length)).equals(hello)).toBe(true);
  expect(a.connections.length).toBe(1);
});

test('what comes behind the ClientHello in one piece is kept', async () => {
  const { b, pools } = await plainPools();
  const vip = await startTcp({ pools, ...PEEKS });
  const bytes = Buffer.concat([await clientHello('www.b.test'), Buffer.from('early data')]);
  const client = await vip.open();
  client.socket.end(bytes);
  expect((await client.readToEnd()).bytes.equals(bytes)).toBe(true);
  expect(b.connections.length).toBe(1);
});

test('bytes that are not TLS go to the default pool at once', async () => {
  const { main, pools } = await plainPools();
  const vip = await startTcp({ pools, ...PEEKS, entrance: { handshakeTimeout: 3_600_000 } });
  const client = await vip.open();
  client.socket.end('GET / HTTP/1.0\r\n\r\n');
  expect((await client.readToEnd()).bytes.toString()).toBe('GET / HTTP/1.0\r\n\r\n');
  expect(main.connections.length).toBe(1);
});

test('a client that says nothing is routed without a name when the time is over: the server speaks first', async () => {
  const { main, pools } = await plainPools((connection) => connection.socket.write('220 ready'));
  const vip = await startTcp({ pools, ...PEEKS, entrance: { handshakeTimeout: 100 } });
  const client = await vip.open();
  expect((await client.read(9)).toString()).toBe('220 ready');
  await client.write(Buffer.from('EHLO'));
  expect((await main.connections.items[0]!.read(4)).toString()).toBe('EHLO');
});

test('half a ClientHello and then silence: all of it arrives, and the rest, in order', async () => {
  const { main, pools } = await plainPools();
  const vip = await startTcp({ pools, ...PEEKS, entrance: { handshakeTimeout: 100 } });
  const hello = await clientHello('a.test');
  const client = await vip.open();
  await client.write(hello.subarray(0, 100));
  const [connection] = await main.connections.count(1);
  expect((await connection!.read(100)).equals(hello.subarray(0, 100))).toBe(true);
  client.socket.end(hello.subarray(100));
  expect((await client.readToEnd()).bytes.equals(hello)).toBe(true);
});

test.each([
  ['half', 100],
  ['all', undefined],
])('%s of a ClientHello, the rest while servers are dialled: in order', async (_, length) => {
  const one = await server(echo);
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [await silentPort(), one.address] } },
    timeouts: { connect: 300 },
    entrance: { handshakeTimeout: 50 },
    more: { peeksSni: true },
  });
  const bytes = Buffer.concat([await clientHello('a.test'), Buffer.from('and more')]);
  const client = await vip.open();
  await client.write(bytes.subarray(0, length ?? -8));
  await until(() => vip.server('main-1').active === 1, 'the dial');
  client.socket.end(bytes.subarray(length ?? -8));
  expect((await client.readToEnd()).bytes.equals(bytes)).toBe(true);
});

test('half a ClientHello and FIN: passed on as it came', async () => {
  const { main, pools } = await plainPools();
  const vip = await startTcp({ pools, ...PEEKS, entrance: { handshakeTimeout: 3_600_000 } });
  const hello = await clientHello('a.test');
  const client = await vip.open();
  client.socket.end(hello.subarray(0, 50));
  expect((await client.readToEnd()).bytes.equals(hello.subarray(0, 50))).toBe(true);
  expect(main.connections.length).toBe(1);
});

test('a ClientHello without end is given up at its cap, and passed on', async () => {
  const { main, pools } = await plainPools();
  const vip = await startTcp({ pools, ...PEEKS, entrance: { handshakeTimeout: 3_600_000 } });
  // Handshake records of the largest size, of a message that says it has 16 MiB.
  const record = Buffer.concat([Buffer.from('1603010fff01ffffff', 'hex'), Buffer.alloc(0xfff - 4)]);
  const bytes = Buffer.concat(Array.from({ length: 10 }, () => record));
  const client = await vip.open();
  client.socket.end(bytes);
  expect((await client.readToEnd()).bytes.equals(bytes)).toBe(true);
  expect(main.connections.length).toBe(1);
});

test('a client that vanishes inside its ClientHello leaves nothing behind', async () => {
  const { a, main, pools } = await plainPools();
  const vip = await startTcp({ pools, ...PEEKS, entrance: { handshakeTimeout: 3_600_000 } });
  const client = await vip.open();
  await client.write((await clientHello('a.test')).subarray(0, 50));
  await until(() => [...vip.frontEnd.connections()].some(({ bytes }) => bytes.toServer === 50), 'the bytes');
  client.reset();
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'reset', attempts: 0, server: undefined });
  expect(isIdle(vip)).toBe(true);
  expect(a.connections.length + main.connections.length).toBe(0);
});

test('persistence by name: who asks for the same name comes to the same server', async () => {
  const [one, two] = [await server(greet('one')), await server(greet('two'))];
  const vip = await startTcp({
    pools: { main: { servers: [one.address, two.address] } },
    by: ['sni'],
    more: { peeksSni: true },
  });
  const ask = async (name: string) => {
    const client = await vip.open();
    await client.write(await clientHello(name));
    const { bytes } = await client.readToEnd();
    client.end();
    return bytes.toString();
  };
  const answers = await Promise.all(['x.test', 'y.test', 'x.test', 'y.test', 'x.test', 'y.test'].map(ask));
  expect(new Set([answers[0], answers[2], answers[4]]).size).toBe(1);
  expect(new Set([answers[1], answers[3], answers[5]]).size).toBe(1);
  expect(new Set(answers).size).toBe(2);
});
