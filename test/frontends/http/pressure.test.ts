/** Who is slow holds back only the other side of its own connection, and who asks much waits its turn. */
import { expect, test } from 'vitest';
import { onEvent } from '../../../src/observe/events.ts';
import { until } from '../../peers/waiting.ts';
import { ask, get, readChunk, readHead, readResponse, send } from './messages.ts';
import {
  isIdle,
  later,
  main,
  named,
  nextTurn,
  ok,
  server,
  standsStill,
  startHttp,
  webServer,
} from './setup.ts';

test('back-pressure: a client that does not read holds the server back, and gets everything when it does', async () => {
  const size = 64 * 1024 * 1024;
  let sent = 0;
  const one = await server(async (connection) => {
    await readHead(connection);
    await send(connection, `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    const part = Buffer.alloc(1024 * 1024, 'x');
    for (; sent < size; sent += part.length) await connection.write(part);
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get());
  await readHead(client);
  client.pause();
  await standsStill(() => sent);
  expect(sent).toBeLessThan(size);
  client.resume();
  await until(() => client.bytesReceived >= size, 'the whole body');
  await until(() => isIdle(vip), 'no request under way');
});

test('back-pressure: a server that does not read holds the client back, and gets everything when it does', async () => {
  const size = 64 * 1024 * 1024;
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const one = await server(async (connection) => {
    await readHead(connection);
    connection.pause();
    await begun;
    connection.resume();
    await until(() => connection.bytesReceived >= size, 'the whole body');
    await send(connection, ok('thanks'));
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
  let isDone = false;
  void client.write(Buffer.alloc(size, 'y')).then(() => {
    isDone = true;
  });
  const [connection] = await one.connections.count(1);
  await standsStill(() => connection!.bytesReceived);
  expect(isDone).toBe(false);
  begin();
  expect((await readResponse(client)).body).toBe('thanks');
});

test('what one client does not take is not mixed with what others get', async () => {
  const size = 8000;
  const pieces: Buffer[] = [];
  const one = await webServer(({ start }, connection) => {
    if (!start.includes('/stuck')) return ok('o'.repeat(size));
    connection.socket.write('HTTP/1.1 200 OK\r\n\r\n');
    return undefined;
  });
  const vip = await startHttp({ pools: main(one) });
  const stuck = await vip.open();
  await send(stuck, get('/stuck'));
  await readHead(stuck);
  stuck.pause();
  const [connection] = one.connections.items;
  const arrived = () => [...vip.frontEnd.connections()][0]!.bytes.toClient;
  // Small pieces, each on its own, until the system's buffers are full.
  for (let sent = 0; arrived() === sent; sent += size) {
    pieces.push(Buffer.alloc(size, pieces.length));
    await connection!.write(pieces.at(-1)!);
    for (let turns = 0; turns < 5000 && arrived() === sent; turns++) await nextTurn();
  }
  const other = await vip.open();
  for (let count = 0; count < 10; count++) expect((await ask(other)).body).toBe('o'.repeat(size));
  stuck.resume();
  connection!.end();
  let body = '';
  for (let part = 0; body.length < pieces.length * size; part++) {
    body += (await readChunk(stuck)).toString('latin1');
    expect(part).toBeLessThan(pieces.length + 1);
  }
  expect(body === Buffer.concat(pieces).toString('latin1')).toBe(true);
});

test('a thousand requests at once are not dealt with in one turn: others have theirs between', async () => {
  const vip = await startHttp({
    pools: main(await named('one')),
    rules: [{ when: { path: '/own' }, reject: '403', action: { reject: 403 } }],
  });
  const client = await vip.open();
  let turn = 0;
  const perTurn = new Map<number, number>();
  later(onEvent('request', () => perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1)));
  await send(client, get('/own').repeat(1000));
  await until(() => {
    turn++;
    return vip.frontEnd.totals.requests === 1000;
  }, 'a thousand answers');
  expect(Math.max(...perTurn.values())).toBeLessThan(200);
});
