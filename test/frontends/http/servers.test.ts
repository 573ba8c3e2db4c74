/** Who answers: the next candidate when one cannot be had, the waiting room, time-outs, and what a server learns of us. */
import { expect, test } from 'vitest';
import { now } from '../../peers/lived-time.ts';
import { refusingAddress } from '../../peers/test-connection.ts';
import { createGate, until } from '../../peers/waiting.ts';
import { ask, get, post, readHead, readResponse, send } from './messages.ts';
import { isIdle, main, named, ok, server, startHttp, webServer } from './setup.ts';

test('a server that refuses connections: the next one is asked, also with a body that was not begun', async () => {
  const two = await webServer(({ body }) => ok(`two ${body}`));
  const vip = await startHttp({
    pools: { main: { balance: 'first', servers: [await refusingAddress(), two.address] } },
  });
  const client = await vip.open();
  expect((await ask(client, post('form'))).body).toBe('two form');
  expect((await vip.events.count(1))[0]).toMatchObject({
    server: 'main-2',
    attempts: 2,
    status: 200,
    detail: undefined,
  });
  expect(vip.server('main-1').totals.failures).toBe(1);
  expect(isIdle(vip)).toBe(true);
});

test('all servers refuse connections: 502; none is up: 503', async () => {
  const vip = await startHttp({
    pools: { main: { balance: 'first', servers: [await refusingAddress(), await refusingAddress()] } },
  });
  const client = await vip.open();
  const response = await ask(client);
  expect([response.status, response.field('content-type')]).toEqual([502, 'text/plain; charset=utf-8']);
  expect((await vip.events.count(1))[0]).toMatchObject({ attempts: 2, status: 502 });
  vip.server('main-1').halt();
  vip.server('main-2').halt();
  const none = await ask(client);
  expect([none.status, none.field('retry-after')]).toEqual([503, '5']);
  expect(vip.frontEnd.totals).toMatchObject({ requests: 2, errors: 2, refused: 0 });
  expect(isIdle(vip)).toBe(true);
});

test('a server that does not take the connection in time: the next one is asked', async () => {
  const two = await named('two');
  // Nobody answers there (RFC 5737).
  const vip = await startHttp({
    pools: { main: { balance: 'first', servers: [{ host: '192.0.2.1', port: 9 }, two.address] } },
    timeouts: { connect: 100 },
  });
  expect((await ask(await vip.open())).body).toBe('two');
});

test('a server that closes instead of answering: a GET goes to the next one', async () => {
  const one = await webServer((_request, connection) => {
    connection.reset();
    return undefined;
  });
  const vip = await startHttp({ pools: main(one, await named('two')) });
  expect((await ask(await vip.open())).body).toBe('two');
  expect((await vip.events.count(1))[0]).toMatchObject({ attempts: 2, server: 'main-2' });
  expect(vip.server('main-1').totals.failures).toBe(1);
});

test('a PUT whose body was begun is not sent again; one whose body was not, is', async () => {
  const one = await server(async (connection) => {
    const head = await readHead(connection);
    if (!head.includes('Expect')) await connection.read(1);
    connection.reset();
  });
  const two = await webServer(({ body }) => ok(`two ${body}`));
  const vip = await startHttp({ pools: main(one, two) });
  const client = await vip.open();
  const put = (...fields: string[]) => post('form', ...fields).replace('POST', 'PUT');
  expect((await ask(client, put())).status).toBe(502);
  const other = await vip.open();
  const expecting = put('Expect: 100-continue');
  await send(other, expecting.slice(0, -4));
  await until(() => two.connections.length === 1, 'the second server asked');
  await send(other, 'form');
  expect((await readResponse(other)).body).toBe('two form');
});

test('a connection that the server closed while it was idle: the same server is asked again', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one, await named('two')) });
  const client = await vip.open();
  for (let count = 1; count <= 3; count++) {
    expect((await ask(client)).body).toBe('one');
    const connection = one.connections.items.at(-1)!;
    const idle = connection.ending;
    connection.end();
    await idle;
  }
  // One that is closed at the moment when the next request comes: the server has read it and says nothing.
  const closing = await webServer(({ start }, connection) => {
    if (start.includes('/first')) return ok('first');
    if (closing.connections.length > 1) return ok('again');
    connection.reset();
    return undefined;
  });
  const other = await startHttp({ pools: main(closing, await named('never')) });
  const second = await other.open();
  expect((await ask(second, get('/first'))).body).toBe('first');
  expect((await ask(second, get('/second'))).body).toBe('again');
  expect((await other.events.count(2))[1]).toMatchObject({ attempts: 2, server: 'main-1' });
  expect(other.server('main-1').totals.failures).toBe(0);
});

test('idle connections are kept as long as the server says', async () => {
  const one = await webServer(() => ok('one', 'Keep-Alive: timeout=1'));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await ask(client);
  await ask(client);
  expect(one.connections.length).toBe(2);
  expect(one.requests.items[0]!.field('keep-alive')).toBeUndefined();
});

test('all servers full: requests wait in the queue, in their order, until there is room', async () => {
  const door = createGate();
  const one = await webServer(async ({ start }) => {
    if (start.includes('/slow')) await door.opened;
    return ok(start);
  });
  const vip = await startHttp({
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } },
  });
  const slow = await vip.open();
  await send(slow, get('/slow'));
  await one.requests.count(1);
  const waiting = [];
  for (const path of ['/2', '/3', '/4']) {
    const client = await vip.open();
    await send(client, get(path));
    waiting.push(client);
    await until(() => vip.frontEnd.totals.requests! === waiting.length + 1, 'the request in the queue');
  }
  expect(one.requests.length).toBe(1);
  door.open();
  for (const client of waiting) expect((await readResponse(client)).status).toBe(200);
  expect(one.requests.items.map(({ start }) => start.split(' ')[1])).toEqual(['/slow', '/2', '/3', '/4']);
  await until(() => isIdle(vip), 'no request under way');
});

test('all servers full for too long: 503 with Retry-After; who leaves the queue leaves nothing behind', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
  });
  const vip = await startHttp({
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } },
    timeouts: { queue: 150 },
  });
  await send(await vip.open(), get('/slow'));
  await one.connections.count(1);
  const leaving = await vip.open();
  await send(leaving, get());
  await until(() => vip.frontEnd.totals.requests === 2, 'a request in the queue');
  leaving.reset();
  await vip.events.find(({ detail }) => detail === 'the client reset the connection');
  const response = await ask(await vip.open());
  expect([response.status, response.field('retry-after')]).toEqual([503, '5']);
  expect(vip.server('main-1').active).toBe(1);
  expect(vip.frontEnd.totals.errors).toBe(1);
});

test('a server without a port gets its requests at the port that the client came to', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: { main: { servers: [{ host: '127.0.0.2', port: undefined }] } } });
  const client = await vip.open();
  const response = await ask(client);
  // Nobody listens there; the log line tells where it went.
  expect(response.status).toBe(502);
  expect((await vip.events.count(1))[0]!.detail).toContain(`127.0.0.2:${vip.address.port}`);
  expect(one.requests.length).toBe(0);
});

test('least-busy: what a server has in hand counts, and is given back', async () => {
  const door = createGate();
  const slow = await webServer(async () => {
    await door.opened;
    return ok('slow');
  });
  const two = await named('two');
  const vip = await startHttp({
    pools: { main: { balance: 'least-busy', servers: [slow.address, two.address] } },
  });
  const clients = [];
  for (let count = 0; count < 2; count++) {
    const client = await vip.open();
    await send(client, get());
    clients.push(client);
    await until(
      () => vip.server('main-1').active + two.requests.length === count + 1,
      'the request under way',
    );
  }
  for (let count = 0; count < 5; count++) expect((await ask(await vip.open())).body).toBe('two');
  door.open();
  for (const client of clients) expect((await readResponse(client)).status).toBe(200);
  await until(() => isIdle(vip), 'no request under way');
});

test('PROXY protocol: each connection to a server names its client, and is shared with nobody', async () => {
  const seen: string[] = [];
  const proxied = await server(async (connection) => {
    let line = '';
    while (!line.endsWith('\r\n')) line += (await connection.read(1)).toString('latin1');
    seen.push(line);
    for (;;) {
      await readHead(connection);
      await send(connection, ok(line.split(' ')[2]!));
    }
  });
  const vip = await startHttp({
    pools: main(proxied),
    more: { links: new Map([['main', { proxyProtocol: 1 }]]) },
  });
  const [first, second] = [await vip.open('127.0.0.2'), await vip.open('127.0.0.3')];
  for (let count = 0; count < 3; count++) {
    expect((await ask(first)).body).toBe('127.0.0.2');
    expect((await ask(second)).body).toBe('127.0.0.3');
  }
  expect(proxied.connections.length).toBe(2);
  expect(seen[0]).toMatch(/^PROXY TCP4 127\.0\.0\.2 127\.0\.0\.1 \d+ \d+\r\n$/);
  first.end();
  await until(() => [...vip.frontEnd.connections()].length === 1, 'the first client gone');
  expect((await ask(second)).body).toBe('127.0.0.3');
  await until(() => proxied.listener.open === 1, 'the connection of the first gone');
});

test('response times make a server slow or fast, refusals make it rest', async () => {
  const one = await webServer(({ start }) =>
    start.includes('/503') ? 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n' : ok('one'),
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await ask(client);
  const { load } = vip.server('main-1');
  expect(load.average).toBeGreaterThan(0);
  expect(load.share(now())).toBe(1);
  for (let count = 0; count < 3; count++) expect((await ask(client, get('/503'))).status).toBe(503);
  expect(load.share(now())).toBeLessThan(1);
});
