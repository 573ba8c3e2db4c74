import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { until } from '../../peers/waiting.ts';
import { echo, isIdle, server, startTcp } from './setup.ts';

test('bytes pass both ways, whoever speaks first', async () => {
  const one = await server((connection) => connection.socket.write('220 ready\r\n'));
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  expect((await client.read(11)).toString()).toBe('220 ready\r\n');
  await client.write(Buffer.from('EHLO\r\n'));
  const [connection] = await one.connections.count(1);
  expect((await connection!.read(6)).toString()).toBe('EHLO\r\n');
});

test('a large stream each way at once arrives whole, through back-pressure', async () => {
  const one = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  const bytes = randomBytes(32 * 1024 * 1024);
  client.socket.end(bytes);
  const answer = await client.readToEnd();
  expect(answer.ending).toBe('end');
  expect(answer.bytes.equals(bytes)).toBe(true);
  const event = await vip.events.find(() => true);
  expect(event).toMatchObject({
    end: 'closed',
    bytes: { toServer: bytes.length, toClient: bytes.length },
    attempts: 1,
    server: 'main-1',
  });
});

test('half-close: the client sends FIN, and still gets its answer', async () => {
  const one = await server();
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  client.socket.end('question');
  const [connection] = await one.connections.count(1);
  expect(await connection!.readToEnd()).toMatchObject({ bytes: Buffer.from('question'), ending: 'end' });
  expect([...vip.frontEnd.connections()]).toHaveLength(1);
  connection!.socket.end('answer');
  expect(await client.readToEnd()).toMatchObject({ bytes: Buffer.from('answer'), ending: 'end' });
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'closed', detail: undefined });
});

test('half-close: the server sends FIN, and still gets what the client has to say', async () => {
  const one = await server();
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  const [connection] = await one.connections.count(1);
  connection!.socket.end('that is all');
  expect(await client.readToEnd()).toMatchObject({ bytes: Buffer.from('that is all'), ending: 'end' });
  client.socket.end('not for me');
  expect(await connection!.readToEnd()).toMatchObject({ bytes: Buffer.from('not for me'), ending: 'end' });
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'closed' });
});

test('what the client sent, and its FIN, before a server was connected goes out first', async () => {
  const one = await server(echo);
  // The first server takes no more connections, so that the second is dialled after the client has said everything.
  const vip = await startTcp({
    pools: { main: { balance: 'first', servers: [{ host: '127.0.0.1', port: 1 }, one.address] } },
  });
  const client = await vip.open();
  client.socket.end('everything');
  expect((await client.readToEnd()).bytes.toString()).toBe('everything');
});

test('a server that sends half an answer and dies: the client sees the half, and a reset', async () => {
  const one = await server(async (connection) => {
    await connection.read(4);
    await connection.write(Buffer.from('half an ans'));
  });
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  await client.write(Buffer.from('ask!'));
  expect((await client.read(11)).toString()).toBe('half an ans');
  await one.listener.stop();
  expect((await client.readToEnd()).ending).toBe('reset');
  const event = await vip.events.find(() => true);
  expect(event).toMatchObject({ end: 'reset', bytes: { toServer: 4, toClient: 11 } });
  expect(event.detail).toMatch(/^127\.0\.0\.1:\d+ reset the connection$/);
  expect(vip.frontEnd.totals).toEqual({ connections: 1, refused: 0, failed: 1 });
  expect(isIdle(vip)).toBe(true);
});

test('a client that vanishes: the server sees a reset, and its slot is free', async () => {
  const one = await server();
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  await client.write(Buffer.from('some'));
  const [connection] = await one.connections.count(1);
  await connection!.read(4);
  expect(vip.server('main-1').active).toBe(1);
  client.reset();
  expect((await connection!.readToEnd()).ending).toBe('reset');
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'reset' });
  await until(() => isIdle(vip), 'no connection to be left');
});

test('a client that connects and closes is a connection like any other', async () => {
  const one = await server((connection) => connection.ending.then(() => connection.end()));
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  client.end();
  expect((await client.readToEnd()).ending).toBe('end');
  expect(await vip.events.find(() => true)).toMatchObject({ end: 'closed', server: 'main-1' });
});

test('silence both ways for longer than the idle time ends it; a byte either way begins anew', async () => {
  const one = await server(echo);
  const vip = await startTcp({ pools: { main: { servers: [one.address] } }, timeouts: { idle: 500 } });
  const busy = await vip.open();
  const silent = await vip.open();
  // Less often than it is looked at, more often than needed; and for several times the idle time.
  for (let count = 0; count < 12; count++) {
    await busy.write(Buffer.from('x'));
    await busy.read(1);
    await new Promise((next) => setTimeout(next, 100));
  }
  expect(await silent.ending).toBe('reset');
  expect(await vip.events.find(() => true)).toMatchObject({
    end: 'cut',
    detail: 'nothing was sent either way for too long',
  });
  await busy.write(Buffer.from('still here'));
  expect((await busy.read(10)).toString()).toBe('still here');
  expect(one.listener.open).toBe(1);
});

test('a view shows where a connection is and what it has moved', async () => {
  const one = await server();
  const vip = await startTcp({ pools: { main: { servers: [one.address] } } });
  const client = await vip.open();
  await client.write(Buffer.from('12345'));
  const [connection] = await one.connections.count(1);
  await connection!.read(5);
  await connection!.write(Buffer.from('123'));
  await client.read(3);
  const [view] = [...vip.frontEnd.connections()];
  expect(view).toMatchObject({
    client: `127.0.0.1:${client.socket.localPort}`,
    facts: { port: String(vip.address.port) },
    pool: 'main',
    server: 'main-1',
    reason: 'the only one to ask',
    bytes: { toServer: 5, toClient: 3 },
    messages: 0,
  });
});
