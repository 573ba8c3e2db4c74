import { expect, test } from 'vitest';
import { openConnection, refusingAddress } from '../../peers/test-connection.ts';
import { until } from '../../peers/waiting.ts';
import { echo, greet, isIdle, server, startTcp } from './setup.ts';
import { silentPort } from './silent-port.ts';

/** What the server says that a client at `from` gets at `port`. */
async function ask(port: number, from: string): Promise<string> {
  const connection = await openConnection({ host: '127.0.0.1', port }, from);
  const { bytes } = await connection.readToEnd();
  connection.end();
  return bytes.toString();
}

test('several ports, one persistence table: every client finds its server on every port, always', async () => {
  const servers = await Promise.all(['a', 'b', 'c'].map((name) => server(greet(name))));
  const vip = await startTcp({
    pools: { main: { balance: 'random-two', servers: servers.map(({ address }) => address) } },
    by: ['source-ip'],
    listeners: 3,
  });
  const clients = Array.from({ length: 40 }, (_, index) => `127.0.1.${index + 1}`);
  const ports = vip.listeners.map(({ endpoint }) => endpoint.port);
  // All clients at once, each on all ports at once, three times.
  const answers = await Promise.all(
    clients.map((client) => Promise.all([...ports, ...ports, ...ports].map((port) => ask(port, client)))),
  );
  const each = answers.map((names) => [...new Set(names)]);
  expect(each.filter((names) => names.length !== 1)).toEqual([]);
  expect(new Set(each.flat()).size).toBe(3);
  expect(new Set((await vip.events.count(360)).map(({ port }) => port))).toEqual(new Set(ports));
});

test('a client moves when its server cannot be had, and stays where it is then', async () => {
  const [a, b] = [await server(greet('a')), await server(greet('b'))];
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [a.address, b.address] } },
    by: ['source-ip'],
  });
  const { port } = vip.address;
  expect(await ask(port, '127.0.0.2')).toBe('a');
  await vip.events.count(1);
  await a.listener.stop();
  expect(await ask(port, '127.0.0.2')).toBe('b');
  await a.listener.start();
  vip.server('main-1').dialAnswered(0);
  expect(await ask(port, '127.0.0.2')).toBe('b');
  expect(await ask(port, '127.0.0.3')).toBe('a');
});

test('an open connection keeps its entry alive beyond its ttl, and not for ever', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  // An entry at rest is gone after a millisecond.
  const vip = await startTcp({
    pools: { main: { servers: [a.address, b.address] } },
    by: ['source-ip'],
    ttl: 1,
  });
  const first = await vip.open();
  await first.write(Buffer.from('x'));
  await first.read(1);
  await new Promise((next) => setTimeout(next, 5));
  const others = [await vip.open(), await vip.open(), await vip.open()];
  await a.connections.count(4);
  expect(b.connections.length).toBe(0);
  for (const connection of [first, ...others]) connection.end();
  await vip.events.count(4);
  await until(() => vip.table.serverOf('main/source-ip=127.0.0.1') === undefined, 'the entry to expire');
});

test('parallel first connections of one client to servers of which one refuses land together', async () => {
  const b = await server(greet('b'));
  const c = await server(greet('c'));
  const vip = await startTcp({
    pools: { main: { balance: 'round-robin', servers: [await refusingAddress(), b.address, c.address] } },
    by: ['source-ip'],
  });
  const names = await Promise.all(Array.from({ length: 30 }, () => ask(vip.address.port, '127.0.0.2')));
  expect(new Set(names).size).toBe(1);
  await until(() => isIdle(vip), 'no connection to be left');
});

test('a connection that found no server leaves no entry', async () => {
  const vip = await startTcp({
    pools: { main: { servers: [await refusingAddress(), await refusingAddress()] } },
    by: ['source-ip'],
  });
  const client = await vip.open();
  await client.readToEnd();
  client.end();
  await vip.events.count(1);
  expect(vip.table.serverOf('main/source-ip=127.0.0.1')).toBeUndefined();
});

test('a client that vanishes while its server is dialled leaves no entry', async () => {
  const vip = await startTcp({ pools: { main: { servers: [await silentPort()] } }, by: ['source-ip'] });
  const client = await vip.open();
  await until(() => vip.table.serverOf('main/source-ip=127.0.0.1') === 'main-1', 'the reservation');
  client.reset();
  await vip.events.count(1);
  expect(vip.table.serverOf('main/source-ip=127.0.0.1')).toBeUndefined();
});
