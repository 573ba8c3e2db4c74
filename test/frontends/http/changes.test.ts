/** Drain, halt, failover, reload and shutdown: what is in hand ends well, what comes goes by the new. */
import { expect, test } from 'vitest';
import { createDirector } from '../../../src/director/director.ts';
import { now } from '../../peers/lived-time.ts';
import { openConnection } from '../../peers/test-connection.ts';
import { createGate, type Gate, until } from '../../peers/waiting.ts';
import { ask, get, readHead, readResponse, send } from './messages.ts';
import { isIdle, main, makePool, named, ok, server, startHttp, type TestVip, webServer } from './setup.ts';

/** Answers `/slow` when the gate is open, everything else at once. */
async function slowServer(): Promise<{ door: Gate; one: Awaited<ReturnType<typeof webServer>> }> {
  const door = createGate();
  const one = await webServer(async ({ start }) => {
    if (start.includes('/slow')) await door.opened;
    return ok('one');
  });
  return { door, one };
}

/** Sends `/slow` and waits until a server has it. */
async function beginSlow(vip: TestVip) {
  const client = await vip.open();
  const before = vip.server('main-1').active;
  await send(client, get('/slow'));
  await until(() => vip.server('main-1').active > before, 'a request under way');
  return client;
}

const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

async function echoServer() {
  return server(async (connection) => {
    await readHead(connection);
    await send(connection, SWITCHING);
    connection.socket.pipe(connection.socket);
    connection.resume();
  });
}

async function beginTunnel(vip: TestVip) {
  const client = await vip.open();
  await send(client, get('/', 'Connection: Upgrade', 'Upgrade: echo'));
  await readHead(client);
  return client;
}

test('shutdown drains: nobody new, idle connections close at once, requests in hand are answered', async () => {
  const { door, one } = await slowServer();
  const vip = await startHttp({ pools: main(one) });
  const idle = await vip.open();
  await ask(idle);
  const busy = await beginSlow(vip);
  const drained = vip.frontEnd.drain();
  expect((await idle.readToEnd()).ending).toBe('end');
  await expect(openConnection(vip.address)).rejects.toThrow('ECONNREFUSED');
  door.open();
  const response = await readResponse(busy);
  expect([response.body, response.field('connection')]).toEqual(['one', 'close']);
  await drained;
  await busy.ending;
  await Promise.all(one.connections.items.map(({ ending }) => ending));
  expect(isIdle(vip)).toBe(true);
});

test('shutdown waits for tunnels until it is told to close', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: main(one) });
  const client = await beginTunnel(vip);
  let isDrained = false;
  const drained = vip.frontEnd.drain().then(() => {
    isDrained = true;
  });
  await send(client, 'still here');
  expect((await client.read(10)).toString()).toBe('still here');
  expect(isDrained).toBe(false);
  await vip.frontEnd.close();
  await drained;
  expect(await client.ending).toBe('reset');
  expect((await vip.events.count(1))[0]!.detail).toBe('the balancer is shutting down');
});

test('close ends everything at once', async () => {
  const { one } = await slowServer();
  const vip = await startHttp({ pools: main(one) });
  const clients = [await beginSlow(vip), await vip.open()];
  await ask(clients[1]!);
  await vip.frontEnd.close();
  for (const client of clients) await client.ending;
  expect(isIdle(vip)).toBe(true);
  expect([...vip.frontEnd.connections()]).toEqual([]);
});

test('a drained server: requests in hand are answered, new ones go elsewhere, kept-alive clients notice nothing', async () => {
  const { door, one } = await slowServer();
  const vip = await startHttp({ pools: main(one, await named('two')) });
  const client = await vip.open();
  expect((await ask(client)).body).toBe('one');
  const busy = await beginSlow(vip);
  vip.server('main-1').drain();
  expect((await ask(client)).body).toBe('two');
  door.open();
  expect((await readResponse(busy)).body).toBe('one');
  expect(vip.server('main-1').state).toBe('drained');
  vip.server('main-1').online();
  expect((await ask(client)).body).toBe('one');
});

test('a halted server: idle connections to it close, requests in hand have until the time is over', async () => {
  const { one } = await slowServer();
  const pool = { main: { ...main(one, await named('two')).main!, drain: 200 } };
  const vip = await startHttp({ pools: pool });
  const busy = await beginSlow(vip);
  const client = await vip.open();
  expect((await ask(client)).body).toBe('one');
  expect(one.listener.open).toBe(2);
  vip.server('main-1').halt();
  expect((await ask(client)).body).toBe('two');
  await until(() => one.listener.open === 1, 'the idle connection gone');
  // A GET that nobody answered may be asked of another server.
  expect((await readResponse(busy)).body).toBe('two');
  await until(() => isIdle(vip), 'no request under way');
});

test('a halted server: a tunnel is cut when the time is over', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: { main: { ...main(one).main!, drain: 150 } } });
  const client = await beginTunnel(vip);
  vip.server('main-1').halt();
  await send(client, 'yet');
  expect((await client.read(3)).toString()).toBe('yet');
  expect(await client.ending).toBe('reset');
  expect((await vip.events.count(1))[0]!.detail).toBe(
    'its server was halted, and the time to finish is over',
  );
  expect(vip.server('main-1').active).toBe(0);
});

test('a halted server: a tunnel is cut when the time is over, also when a reload came in between', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: { main: { ...main(one).main!, drain: 150 } } });
  const client = await beginTunnel(vip);
  vip.server('main-1').halt();
  vip.frontEnd.reconfigure({ ...vip.options });
  await send(client, 'yet');
  expect((await client.read(3)).toString()).toBe('yet');
  expect(await client.ending).toBe('reset');
  expect((await vip.events.count(1))[0]!.detail).toBe(
    'its server was halted, and the time to finish is over',
  );
  expect(vip.server('main-1').active).toBe(0);
});

test('a halted server: an answer under way is cut when the time is over', async () => {
  const one = await webServer(() => 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
  const vip = await startHttp({ pools: { main: { ...main(one).main!, drain: 100 } } });
  const client = await vip.open();
  await send(client, get());
  await readHead(client);
  vip.server('main-1').halt();
  expect(await client.ending).toBe('reset');
  await until(() => isIdle(vip), 'no request under way');
});

test('a single-active pool fails over: what the old server has is cut at once', async () => {
  const one = await echoServer();
  const two = await named('two');
  const vip = await startHttp({
    pools: {
      main: {
        mode: 'single-active',
        servers: [one.address, two.address],
        health: { isChecked: true, rise: 1, fall: 1, startDown: false },
      },
    },
  });
  const client = await beginTunnel(vip);
  vip.server('main-1').checked('down', 'refused');
  expect(await client.ending).toBe('reset');
  expect((await ask(await vip.open())).body).toBe('two');
});

test('a reload: requests on kept-alive connections go by the new rules, those in hand end by the old', async () => {
  const { door, one } = await slowServer();
  const two = await named('two');
  const vip = await startHttp({ pools: main(one), timeouts: { response: 10_000 } });
  const client = await vip.open();
  expect((await ask(client)).body).toBe('one');
  const busy = await beginSlow(vip);
  const pool = makePool('other', { servers: [two.address] });
  vip.frontEnd.reconfigure({
    ...vip.options,
    director: createDirector({ vip: 'PORTAL', rules: [], pool, now, random: Math.random }),
    pools: [pool],
    headers: { response: { set: { 'X-New': 'yes' } } },
  });
  const after = await ask(client);
  expect([after.body, after.field('x-new')]).toEqual(['two', 'yes']);
  door.open();
  const before = await readResponse(busy);
  expect([before.body, before.field('x-new')]).toEqual(['one', undefined]);
  expect((await ask(await vip.open())).body).toBe('two');
  // The connections to the server that left are closed: the idle one, and the other behind its answer.
  await until(() => one.listener.open === 0, 'no connection to the server that left');
});

test('a reload that changes nothing of the servers keeps the connections to them, and tunnels', async () => {
  const one = await named('one');
  const echo = await echoServer();
  const vip = await startHttp({
    pools: { ...main(one), echo: { servers: [echo.address] } },
    rules: [{ when: { 'header.Upgrade': '*' }, pool: 'echo' }],
    more: { links: new Map([['main', { connectTimeout: 1000 }]]) },
  });
  const client = await vip.open();
  await ask(client);
  const tunnel = await beginTunnel(vip);
  for (let count = 0; count < 3; count++) {
    vip.frontEnd.reconfigure({ ...vip.options, links: new Map([['main', { connectTimeout: 1000 }]]) });
    await ask(client);
    await send(tunnel, 'on');
    expect((await tunnel.read(2)).toString()).toBe('on');
  }
  expect(one.connections.length).toBe(1);
  vip.frontEnd.reconfigure({ ...vip.options, links: new Map([['main', { connectTimeout: 1001 }]]) });
  await ask(client);
  expect(one.connections.length).toBe(2);
});

test('a reload: a request that waits for a server gets it from its own pool', async () => {
  const { door, one } = await slowServer();
  const vip = await startHttp({ pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } } });
  const busy = await beginSlow(vip);
  const waiting = await vip.open();
  await send(waiting, get());
  await until(() => vip.frontEnd.totals.requests === 2, 'a request in the queue');
  vip.frontEnd.reconfigure({ ...vip.options, timeouts: { ...vip.options.timeouts, queue: 1 } });
  door.open();
  expect((await readResponse(busy)).status).toBe(200);
  expect((await readResponse(waiting)).status).toBe(200);
});
