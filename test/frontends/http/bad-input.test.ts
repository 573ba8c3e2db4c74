/** What clients and servers do that they should not: slow, endless, huge, broken off, garbage, nothing at all. */
import { expect, test } from 'vitest';
import { createGate, until } from '../../peers/waiting.ts';
import { ask, get, post, readHead, readResponse, send } from './messages.ts';
import { isIdle, main, named, ok, server, startHttp, type TestVip, webServer } from './setup.ts';

/** Another client is served, and nothing is left of the one before. */
async function isUnharmed(vip: TestVip): Promise<void> {
  const client = await vip.open();
  expect((await ask(client, get('/well'))).status).toBe(200);
  client.end();
  await until(
    () => isIdle(vip) && [...vip.frontEnd.connections()].length === 0,
    'nothing left of any client',
  );
}

// Clients.

test('slow headers: a client that dribbles its head is answered 408 when its time is over', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one), timeouts: { request: 150 } });
  const client = await vip.open();
  void client.dribble(Buffer.from(get('/', `X-A: ${'b'.repeat(1000)}`)), 5);
  const response = await readResponse(client);
  expect([response.status, response.field('connection')]).toEqual([408, 'close']);
  await client.ending;
  expect(one.connections.length).toBe(0);
  expect(await vip.events.find(({ status }) => status === 408)).toMatchObject({
    detail: 'The request did not arrive in time.',
    attempts: 0,
  });
  await isUnharmed(vip);
});

test('slow headers: a client that says nothing at all is closed without a word', async () => {
  const vip = await startHttp({ pools: main(await named('one')), timeouts: { request: 100 } });
  const client = await vip.open();
  const { bytes, ending } = await client.readToEnd();
  expect([bytes.length, ending]).toEqual([0, 'end']);
  expect(vip.events.length).toBe(0);
  await isUnharmed(vip);
});

test('slow headers: the head of a second request has its own time', async () => {
  const vip = await startHttp({ pools: main(await named('one')), timeouts: { request: 150 } });
  const client = await vip.open();
  expect((await ask(client)).status).toBe(200);
  await send(client, 'GET / HT');
  expect((await readResponse(client)).status).toBe(408);
  await client.ending;
});

test('an idle connection is closed when its time is over', async () => {
  const vip = await startHttp({ pools: main(await named('one')), timeouts: { idle: 100 } });
  const client = await vip.open();
  expect((await ask(client)).status).toBe(200);
  expect((await client.readToEnd()).bytes.length).toBe(0);
});

test('slow bodies: a body that stops coming is answered 408, and the server hears no end of it', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
  });
  const vip = await startHttp({ pools: main(one), timeouts: { stall: 150 } });
  const client = await vip.open();
  await send(client, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegin');
  const response = await readResponse(client);
  expect([response.status, response.field('connection')]).toEqual([408, 'close']);
  const [connection] = one.connections.items;
  expect(await connection!.ending).toBe('reset');
  expect(await vip.events.find(({ status }) => status === 408)).toMatchObject({ bytes: { toServer: 5 } });
  await until(() => isIdle(vip), 'no request under way');
});

test('slow bodies: one that dribbles goes on, as long as something comes', async () => {
  const one = await webServer(({ body }) => ok(body));
  const vip = await startHttp({ pools: main(one), timeouts: { stall: 150 } });
  const client = await vip.open();
  await send(client, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n');
  await client.dribble(Buffer.alloc(40, 'z'), 10);
  expect((await readResponse(client)).body).toBe('z'.repeat(40));
});

test('huge bodies past the limit: 413 before anybody is asked when the length says so', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one), limits: { body: 1000 } });
  const client = await vip.open();
  await send(client, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n');
  const response = await readResponse(client);
  expect([response.status, response.field('connection')]).toEqual([413, 'close']);
  expect(one.connections.length).toBe(0);
  const other = await vip.open();
  expect((await ask(other, post('x'.repeat(1000)))).status).toBe(200);
});

test('huge bodies past the limit: 413 within chunks, and the server hears no end of it', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
  });
  const vip = await startHttp({ pools: main(one), limits: { body: 1000 } });
  const client = await vip.open();
  await send(client, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  await one.connections.count(1);
  for (let count = 0; count < 3; count++) await send(client, `190\r\n${'x'.repeat(400)}\r\n`);
  expect((await readResponse(client)).status).toBe(413);
  await client.ending;
  expect(await one.connections.items[0]!.ending).toBe('reset');
  await until(() => isIdle(vip), 'no request under way');
});

test('bad chunking in the middle of a body: 400, and the server hears no end of it', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
  const [connection] = await one.connections.count(1);
  await until(() => connection!.buffered > 0, 'the begin of the body');
  await send(client, 'x\r\n');
  expect((await readResponse(client)).status).toBe(400);
  expect(await connection!.ending).toBe('reset');
  await until(() => isIdle(vip), 'no request under way');
});

test.each(['end', 'reset'] as const)(
  'a body sender that vanishes (%s): the server hears no end of the body',
  async (how) => {
    const one = await server(async (connection) => {
      await readHead(connection);
    });
    const vip = await startHttp({ pools: main(one) });
    const client = await vip.open();
    await send(client, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    const [connection] = await one.connections.count(1);
    await until(() => connection!.buffered > 0, 'the begin of the body');
    client[how]();
    expect(await connection!.ending).toBe('reset');
    expect((await connection!.read(connection!.buffered)).toString()).not.toContain('0\r\n\r\n');
    await until(() => isIdle(vip), 'no request under way');
    const [event] = await vip.events.count(1);
    expect(event).toMatchObject({ status: undefined, server: 'main-1' });
    expect(event!.detail).toContain('the client');
  },
);

test('a client that vanishes while it waits: its request is taken from the server', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get());
  const [connection] = await one.connections.count(1);
  await until(() => vip.server('main-1').active === 1, 'a request under way');
  client.reset();
  expect(await connection!.ending).toBe('reset');
  await until(() => isIdle(vip), 'no request under way');
});

test('slow reading: a client that no longer reads its answer is dropped', async () => {
  const size = 64 * 1024 * 1024;
  const one = await webServer((_request, connection) => {
    connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    connection.socket.write(Buffer.alloc(size));
    return undefined;
  });
  const vip = await startHttp({ pools: main(one), timeouts: { stall: 200 } });
  const client = await vip.open();
  await send(client, get());
  await readHead(client);
  client.pause();
  await until(() => isIdle(vip), 'no request under way');
  const [event] = await vip.events.count(1);
  expect(event).toMatchObject({ status: 200, detail: 'the client stopped reading its answer' });
});

test('too many connections: the next one is told so and closed', async () => {
  const vip = await startHttp({ pools: main(await named('one')), limits: { connections: 2 } });
  const [first, second] = [await vip.open(), await vip.open()];
  expect([(await ask(first)).status, (await ask(second)).status]).toEqual([200, 200]);
  const third = await vip.open();
  const response = await readResponse(third);
  expect([response.status, response.field('connection'), response.field('retry-after')]).toEqual([
    503,
    'close',
    '5',
  ]);
  first.reset();
  await until(() => [...vip.frontEnd.connections()].length === 1, 'the first client gone');
  expect((await ask(await vip.open())).status).toBe(200);
});

// Servers.

const GARBAGE: Readonly<Record<string, string>> = {
  'no HTTP at all': 'SSH-2.0-OpenSSH_9.2\r\n\r\n',
  binary: '\x15\x03\x01\x00\x02\x02\x28\r\n\r\n',
  'no status': 'HTTP/1.1 OK\r\n\r\n',
  'HTTP/2': 'HTTP/2.0 200 OK\r\n\r\n',
  'bare LF': 'HTTP/1.1 200 OK\nContent-Length: 0\n\r\n\r\n',
  'a folded field': 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n',
  'a control byte in a field': 'HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 0\r\n\r\n',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
  'a length with chunks':
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'a coding that nobody knows': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n',
  'an endless head': `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(10_000)}`,
  'an upgrade that nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n',
};

test.each(Object.entries(GARBAGE))(
  'a server that answers garbage, %s: 502, and nothing of it',
  async (_name, bytes) => {
    const one = await webServer(({ start }) => (start.includes('/well') ? ok('well') : bytes));
    const vip = await startHttp({ pools: main(one) });
    const client = await vip.open();
    const response = await ask(client);
    expect(response.status).toBe(502);
    expect(response.field('x-a')).toBeUndefined();
    const [event] = await vip.events.count(1);
    expect(event).toMatchObject({ status: 502, server: 'main-1', attempts: 1 });
    expect(event!.detail).toContain('no HTTP');
    expect((await ask(client, get('/well'))).body).toBe('well');
    client.end();
    await isUnharmed(vip);
  },
);

const HALVES: Readonly<Record<string, string>> = {
  'short of its length': 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf',
  'without its last chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  'within a chunk': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf',
};

test.each(Object.entries(HALVES))(
  'half an answer, %s: the client is cut off, nothing looks complete',
  async (_name, bytes) => {
    const one = await webServer(async (_request, connection) => {
      await send(connection, bytes);
      connection.end();
      return undefined;
    });
    const vip = await startHttp({ pools: main(one) });
    const client = await vip.open();
    await send(client, get());
    expect(await client.ending).toBe('reset');
    await until(() => isIdle(vip), 'no request under way');
    const [event] = await vip.events.count(1);
    expect(event).toMatchObject({ status: 200, bytes: { toClient: 4 } });
    expect(event!.detail).toContain('the server closed');
  },
);

test.each([
  ['the head', 'HTTP/1.1 200 OK\r\nServ'],
  ['interim responses', 'HTTP/1.1 103 Early Hints\r\n\r\n'],
])('half an answer, nothing but %s: 502, and nobody else is asked', async (_what, bytes) => {
  const one = await webServer(async (_request, connection) => {
    await send(connection, bytes);
    connection.end();
    return undefined;
  });
  const two = await named('two');
  const vip = await startHttp({ pools: main(one, two) });
  const client = await vip.open();
  await send(client, 'GET / HTTP/1.0\r\n\r\n');
  expect((await readResponse(client)).status).toBe(502);
  expect(two.connections.length).toBe(0);
});

test('half an answer to HTTP/1.0, whose end is the end of the connection: it is reset, not ended', async () => {
  const one = await webServer(async (_request, connection) => {
    await send(connection, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    connection.end();
    return undefined;
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'GET / HTTP/1.0\r\n\r\n');
  expect(await client.ending).toBe('reset');
});

test('half an answer that ends with its connection: a reset is no end', async () => {
  const seen = createGate();
  const one = await webServer(async (_request, connection) => {
    await send(connection, 'HTTP/1.1 200 OK\r\n\r\nhalf');
    // A reset may overtake what was written before.
    await seen.opened;
    connection.reset();
    return undefined;
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get());
  await readHead(client);
  seen.open();
  expect(await client.ending).toBe('reset');
});

test('bad chunking in an answer: 502 when it has not begun, else the client is cut off', async () => {
  const begin = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n';
  const seen = createGate();
  const one = await webServer(async ({ start }, connection) => {
    if (start.includes('/at-once')) return `${begin}zz\r\n`;
    await send(connection, begin);
    await seen.opened;
    return 'zz\r\n';
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client, get('/at-once'))).status).toBe(502);
  await send(client, get());
  expect(await readHead(client)).toContain('200 OK');
  seen.open();
  expect(await client.ending).toBe('reset');
});

test('a server that answers nothing: 504 when its time is over', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
  });
  const vip = await startHttp({ pools: main(one), timeouts: { response: 150 } });
  const client = await vip.open();
  const response = await ask(client);
  expect(response.status).toBe(504);
  expect((await vip.events.count(1))[0]).toMatchObject({
    status: 504,
    attempts: 1,
    detail: 'the server did not answer within 150 ms',
  });
  expect(vip.server('main-1').totals.failures).toBe(1);
  expect(await one.connections.items[0]!.ending).toBe('reset');
  expect(vip.frontEnd.totals.errors).toBe(1);
  expect(isIdle(vip)).toBe(true);
});

test('a server that stops within its answer: the client is cut off when its time is over', async () => {
  const one = await webServer(() => 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
  const vip = await startHttp({ pools: main(one), timeouts: { stall: 150 } });
  const client = await vip.open();
  await send(client, get());
  expect(await client.ending).toBe('reset');
  expect((await vip.events.count(1))[0]!.detail).toBe('the server did not go on for 150 ms');
});

test.each(['form', ''])(
  'a server that closes instead of answering a POST of "%s": 502, and it is not sent again',
  async (body) => {
    const one = await webServer((_request, connection) => {
      connection.end();
      return undefined;
    });
    const vip = await startHttp({ pools: main(one, await named('two')) });
    const client = await vip.open();
    expect((await ask(client, post(body))).status).toBe(502);
    expect(one.requests.length).toBe(1);
  },
);

test("a server that says more than it was asked: the rest is nobody's answer", async () => {
  const one = await webServer(({ start }) =>
    start.includes('/more') ? ok('one') + ok('stolen') : ok('two'),
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client, get('/more'))).body).toBe('one');
  expect((await ask(client)).body).toBe('two');
  expect(one.connections.length).toBe(2);
});

test('a server that speaks while nobody asked: that connection is not used', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client)).body).toBe('one');
  const [connection] = one.connections.items;
  await send(connection!, ok('unasked'));
  expect(await connection!.ending).toBe('reset');
  expect((await ask(client)).body).toBe('one');
  expect(one.connections.length).toBe(2);
});

test('a server that speaks while nobody asked, at the moment when the next request comes: it is answered', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client)).body).toBe('one');
  one.connections.items[0]!.socket.write(ok('unasked'));
  expect((await ask(client, post('not to be sent twice'))).status).toBe(200);
});
