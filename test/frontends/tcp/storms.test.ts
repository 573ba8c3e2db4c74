import { expect, test } from 'vitest';
import { refusingAddress, type TestConnection } from '../../peers/test-connection.ts';
import { until } from '../../peers/waiting.ts';
import { echo, isIdle, server, startTcp } from './setup.ts';

test('a thousand connections at once, each with its own bytes', async () => {
  const [a, b] = [await server(echo), await server(echo)];
  const vip = await startTcp({ pools: { main: { servers: [a.address, b.address] } } });
  const clients = await Promise.all(Array.from({ length: 1000 }, () => vip.open()));
  await until(() => [...vip.frontEnd.connections()].length === 1000, 'all connections');
  const answers = await Promise.all(
    clients.map((client, index) => {
      client.socket.end(`client ${index}`);
      return client.readToEnd();
    }),
  );
  expect(answers.map(({ bytes }) => bytes.toString())).toEqual(clients.map((_, index) => `client ${index}`));
  expect([a.connections.length, b.connections.length]).toEqual([500, 500]);
  await until(() => isIdle(vip), 'no connection to be left');
  expect(vip.frontEnd.totals).toEqual({ connections: 1000, refused: 0, failed: 0 });
});

/** What a client or a server may do to a connection. */
const MISDEEDS: readonly ((connection: TestConnection) => unknown)[] = [
  (connection) => connection.reset(),
  (connection) => connection.end(),
  (connection) => connection.write(Buffer.alloc(100_000)).then(() => connection.reset()),
  (connection) => connection.write(Buffer.from('x')).then(() => connection.end()),
  (connection) => connection.read(1).then(() => connection.reset()),
  (connection) => connection.readSome().then(() => connection.end()),
  (connection) => connection.socket.destroy(),
];

test('a storm of resets, closes and refusals by everybody leaves nothing behind', async () => {
  let turn = 0;
  const misbehave = (connection: TestConnection) => {
    // Different steps, so that every pair of misdeeds meets.
    turn += 1;
    const done = MISDEEDS[Math.floor(turn / 3) % MISDEEDS.length]!(connection);
    void Promise.resolve(done).catch(() => {});
    // Whatever it was, in the end both sides are closed.
    void connection.ending.then(() => connection.end());
  };
  const a = await server(misbehave);
  const b = await server(misbehave);
  const vip = await startTcp({
    pools: {
      main: {
        servers: [
          { ...a.address, maxConnections: 20 },
          { ...b.address, maxConnections: 20 },
          await refusingAddress(),
        ],
      },
    },
    by: ['source-ip'],
    timeouts: { queue: 200, idle: 1000 },
  });
  for (let round = 0; round < 10; round++) {
    const clients = await Promise.all(
      Array.from({ length: 60 }, (_, index) => vip.open(`127.0.2.${(index % 9) + 1}`)),
    );
    clients.forEach((client, index) => {
      const done = MISDEEDS[(round + index) % MISDEEDS.length]!(client);
      void Promise.resolve(done).catch(() => {});
      void client.ending.then(() => client.end());
    });
  }
  await vip.events.count(600);
  expect(isIdle(vip)).toBe(true);
  expect(vip.frontEnd.totals.connections).toBe(600);
  expect(vip.events.length).toBe(600);
  await until(() => a.listener.open + b.listener.open === 0, 'the servers to be rid of everybody');
});
