import { expect, test } from 'vitest';
import { refusingAddress, type TestConnection } from '../../peers/test-connection.ts';
import { until } from '../../peers/waiting.ts';
import { echo, isIdle, server, startTcp } from './setup.ts';

test('every server is full: who comes waits, in order, and is served when a slot is free', async () => {
  const one = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [{ ...one.address, maxConnections: 2 }] } } });
  const clients: TestConnection[] = [];
  for (let index = 0; index < 6; index++) {
    const client = await vip.open();
    // One after the other, so that there is an order.
    await until(() => [...vip.frontEnd.connections()].length === index + 1, 'the connection');
    client.socket.write(String(index));
    clients.push(client);
  }
  const answered = async (index: number) => (await clients[index]!.read(1)).toString();
  expect([await answered(0), await answered(1)]).toEqual(['0', '1']);
  expect(vip.server('main-1').active).toBe(2);
  expect(one.listener.open).toBe(2);
  clients[1]!.end();
  expect(await answered(2)).toBe('2');
  clients[0]!.end();
  expect(await answered(3)).toBe('3');
  expect(one.listener.open).toBe(2);
  expect([clients[4]!.bytesReceived, clients[5]!.bytesReceived]).toEqual([0, 0]);
  for (const index of [2, 3]) clients[index]!.end();
  expect([await answered(4), await answered(5)]).toEqual(['4', '5']);
});

test('who is urgent by a rule goes first', async () => {
  const one = await server(echo);
  const vip = await startTcp({
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } },
    rules: () => [{ when: { facts: [{ name: 'client', patterns: ['127.0.0.2/32'] }] }, urgent: true }],
  });
  const first = await vip.open();
  await one.connections.count(1);
  const waits = await vip.open();
  await until(() => [...vip.frontEnd.connections()].length === 2, 'who waits');
  const urgent = await vip.open('127.0.0.2');
  await until(() => [...vip.frontEnd.connections()].length === 3, 'who is urgent');
  for (const client of [waits, urgent]) client.socket.write('x');
  first.end();
  await urgent.read(1);
  expect(waits.bytesReceived).toBe(0);
  urgent.end();
  await waits.read(1);
});

test('the wait is limited: closed in order, and said', async () => {
  const one = await server();
  const vip = await startTcp({
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } },
    timeouts: { queue: 100 },
  });
  await vip.open();
  await one.connections.count(1);
  const waits = await vip.open();
  expect((await waits.readToEnd()).ending).toBe('end');
  waits.end();
  expect(await vip.events.find(() => true)).toMatchObject({
    end: 'refused',
    attempts: 0,
    detail: 'every server has as many connections as it may',
  });
});

test('no queue: turned away at once', async () => {
  const one = await server();
  const vip = await startTcp({
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } },
    timeouts: { queue: 0 },
  });
  await vip.open();
  await one.connections.count(1);
  const second = await vip.open();
  expect((await second.readToEnd()).ending).toBe('end');
});

test('who waits may leave, and more room lets others in', async () => {
  const one = await server();
  const vip = await startTcp({
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } },
    timeouts: { queue: 3_600_000 },
  });
  await vip.open();
  await one.connections.count(1);
  const leaves = await vip.open();
  const stays = await vip.open();
  await until(() => [...vip.frontEnd.connections()].length === 3, 'three connections');
  leaves.reset();
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'reset', attempts: 0 });
  stays.socket.write('let me in');
  vip.server('main-1').maxConnections = 2;
  await one.connections.count(2);
  expect((await one.connections.items[1]!.read(9)).toString()).toBe('let me in');
});

test('a server that could not be had is not asked again by who waits for the full one', async () => {
  const full = await server(echo);
  const vip = await startTcp({
    pools: {
      main: {
        balance: 'first',
        servers: [await refusingAddress(), { ...full.address, maxConnections: 1 }],
        health: { isChecked: true, rise: 2, fall: 100, startDown: false },
      },
    },
    timeouts: { queue: 3_600_000 },
  });
  const first = await vip.open();
  await full.connections.count(1);
  const second = await vip.open();
  await until(() => vip.server('main-1').totals.failures === 2, 'the failed dial of the second');
  second.socket.write('now?');
  first.end();
  expect((await second.read(4)).toString()).toBe('now?');
  expect(vip.server('main-1').totals.failures).toBe(2);
});

test('a thousand wait for one slot: everybody gets it once, one after the other', async () => {
  const one = await server(echo);
  const vip = await startTcp({
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } },
    timeouts: { queue: 3_600_000 },
  });
  const clients = await Promise.all(Array.from({ length: 1000 }, () => vip.open()));
  const answers = await Promise.all(
    clients.map((client, index) => {
      client.socket.end(`${index}`);
      return client.readToEnd();
    }),
  );
  expect(answers.map(({ bytes }) => bytes.toString())).toEqual(clients.map((_, index) => `${index}`));
  expect(one.connections.length).toBe(1000);
  await until(() => isIdle(vip), 'no connection to be left');
});
