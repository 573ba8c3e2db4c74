/**
 * Where one message ends and the next begins, when one side says it badly: nobody gets what was another's (RFC 9112 11).
 * The bad input that is answered with 400 is in refusals.test.ts; here is what is forwarded, and what servers answer.
 */
import { expect, test } from 'vitest';
import { createGate, until } from '../../peers/waiting.ts';
import { ask, get, readHead, readResponse, send } from './messages.ts';
import {
  isIdle,
  main,
  named,
  ok,
  server,
  standsStill,
  startHttp,
  type TestServer,
  webServer,
} from './setup.ts';

/** Gives `first` as the answer to `/first`, and to all else what it was asked. */
function giving(first: string): Promise<TestServer> {
  return webServer(({ start }) => (start.includes('/first') ? first : ok(start)));
}

// 1xx.

test('1xx confusion: interim responses have neither framing nor fields about the connection', async () => {
  const one = await giving(
    `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n\r\n${ok('late')}`,
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/first'));
  expect(await readHead(client)).toBe('HTTP/1.1 103 Early Hints\r\nLink: </a>');
  expect((await readResponse(client)).body).toBe('late');
});

test('1xx confusion: an interim response with a body is no answer', async () => {
  const one = await giving(`HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\nhello${ok('stolen')}`);
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/first'));
  expect(await readHead(client)).toBe('HTTP/1.1 102 Processing');
  expect((await readResponse(client)).status).toBe(502);
});

test('1xx confusion: a server that gives interim responses without an end is given up', async () => {
  const one = await giving('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1000));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'GET /first HTTP/1.0\r\n\r\n');
  expect((await readResponse(client)).status).toBe(502);
  expect((await vip.events.count(1))[0]!.detail).toContain('interim');
});

// Responses without a body.

test.each([
  ['Content-Length', 'Content-Length: 5', 'hello'],
  ['chunks', 'Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'],
])(
  '204 with a body (%s): the client sees none, and the connection is not used again',
  async (_how, field, body) => {
    const door = createGate();
    const one = await webServer(async ({ start }, connection) => {
      if (!start.includes('/first')) return ok(start);
      await send(connection, `HTTP/1.1 204 No Content\r\n${field}\r\n\r\n`);
      await door.opened;
      return body;
    });
    const vip = await startHttp({ pools: main(one) });
    const client = await vip.open();
    const response = await ask(client, get('/first'));
    expect(response.head).toBe('HTTP/1.1 204 No Content');
    expect((await ask(client, get('/second'))).body).toBe('GET /second HTTP/1.1');
    expect(one.connections.length).toBe(2);
    door.open();
  },
);

test.each([
  ['HEAD', 'HTTP/1.1 200 OK'],
  ['GET', 'HTTP/1.1 304 Not Modified'],
])('an answer to %s whose length is none (%s): 502', async (method, status) => {
  for (const field of [
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: x',
    'Transfer-Encoding: x',
  ]) {
    const one = await webServer(() => `${status}\r\n${field}\r\n\r\n`);
    const vip = await startHttp({ pools: main(one) });
    const response = await ask(await vip.open(), `${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect(response.status).toBe(502);
  }
});

test('HEAD with a body, in a packet of its own: nobody gets it', async () => {
  const one = await webServer(async ({ start }, connection) => {
    if (!start.startsWith('HEAD')) return ok(start);
    await send(connection, `HTTP/1.1 200 OK\r\nContent-Length: ${ok('stolen').length}\r\n\r\n`);
    return ok('stolen');
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')).status).toBe(200);
  await one.connections.items[0]!.ending;
  expect((await ask(client, get('/second'))).body).toBe('GET /second HTTP/1.1');
});

// Persistence of the connection.

test('Connection in several fields: close is heard in each of them, on both sides', async () => {
  const one = await giving(ok('first', 'Connection: X-A', 'Connection: close'));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await ask(client, get('/first'));
  await ask(client, get('/second'));
  expect(one.connections.length).toBe(2);
  const closing = await ask(client, get('/third', 'Connection: TE', 'Connection: close'));
  expect(closing.field('connection')).toBe('close');
  expect((await client.readToEnd()).bytes.length).toBe(0);
});

test('chunks in an answer of HTTP/1.0: they are read, and the connection is not used again', async () => {
  const one = await giving(
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nold\r\n0\r\n\r\n',
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client, get('/first'))).body).toBe('old');
  expect((await ask(client, get('/second'))).body).toBe('GET /second HTTP/1.1');
  expect(one.connections.length).toBe(2);
});

// Requests.

const SMUGGLED = 'GET /stolen HTTP/1.1\r\nHost: a\r\n\r\n';

test.each([
  ['CL.0', 'GET', `Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  [
    'TE.0',
    'GET',
    `Transfer-Encoding: chunked\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  ],
  ['CL.0', 'HEAD', `Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  ['CL.0', 'DELETE', `Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
  ['CL.0', 'OPTIONS', `Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
])(
  '%s: a server that reads no body of %s is told that nothing follows, and never asked on that connection again',
  async (_family, method, framed) => {
    const heads: string[] = [];
    const one = await server(async (connection) => {
      for (;;) {
        const head = await readHead(connection);
        heads.push(head);
        await send(connection, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
        if (/^connection:.*close/im.test(head)) break;
      }
      connection.end();
    });
    const vip = await startHttp({ pools: main(one) });
    const client = await vip.open();
    expect((await ask(client, `${method} / HTTP/1.1\r\nHost: a\r\n${framed}`)).status).toBe(200);
    expect((await ask(client)).status).toBe(200);
    expect(heads.map((head) => head.split(' ')[0])).toEqual([method, 'GET']);
    expect(heads.join('\n')).not.toContain('stolen');
    expect(one.connections.length).toBe(2);
  },
);

test('a response before the request body was sent: the connection to the server is not used again', async () => {
  const begun = createGate();
  const one = await server(async (connection) => {
    const head = await readHead(connection);
    await send(connection, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nea');
    if (head.includes('/first')) await begun.opened;
    await send(connection, 'rly');
    await connection.ending;
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo');
  await readHead(client);
  await send(client, 'dy');
  await until(() => one.connections.items[0]!.buffered === 4, 'the whole body at the server');
  begun.open();
  expect((await client.readToEnd()).bytes.toString()).toBe('early');
  await one.connections.items[0]!.ending;
  expect((await ask(await vip.open())).body).toBe('early');
  expect(one.connections.length).toBe(2);
});

test('an expectation that is answered without 100: the connection to the server is not used again', async () => {
  const one = await webServer(({ start }) => ok(start));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const expecting = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody';
  expect((await ask(client, expecting)).status).toBe(200);
  expect((await ask(client)).status).toBe(200);
  expect(one.connections.length).toBe(2);
  const two = await webServer(({ field, start }) =>
    field('expect') === undefined ? ok(start) : `HTTP/1.1 100 Continue\r\n\r\n${ok(start)}`,
  );
  const other = await startHttp({ pools: main(two) });
  const second = await other.open();
  await send(second, expecting);
  expect(await readHead(second)).toBe('HTTP/1.1 100 Continue');
  expect((await readResponse(second)).status).toBe(200);
  expect((await ask(second)).status).toBe(200);
  expect(two.connections.length).toBe(1);
});

test('a length is written as it was read: without zeros before it', async () => {
  const one = await webServer(({ body }) => ok(body));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const response = await ask(client, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0010\r\n\r\n0123456789');
  expect(response.body).toBe('0123456789');
  await ask(client, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 00\r\n\r\n');
  expect(one.requests.items.map(({ fields }) => fields('content-length'))).toEqual([['10'], ['0']]);
});

test('trailers that name framing fields, or tell who the client is, go no further', async () => {
  const one = await webServer(({ trailers }) => ok(trailers));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const trailers = [
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Host: b',
    'Connection: X-A',
    'X-Forwarded-For: 127.0.0.1',
    'X_Forwarded_For: 127.0.0.1',
    'Forwarded: for=127.0.0.1',
    'X-Real-IP: 127.0.0.1',
    'Cookie: a=1',
    'Proxy-Connection: close',
    'Content_Length: 5',
    'X-Sum: 1',
  ];
  const request = `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${trailers.join('\r\n')}\r\n\r\n`;
  expect((await ask(client, request)).body).toBe('X-Sum: 1\r\n');
});

// Upgrades.

test.each([
  ['another protocol', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n'],
  ['no protocol', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['two protocols', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nUpgrade: other\r\n\r\n'],
])('101 that names %s than was offered: 502, and no tunnel', async (_what, answer) => {
  const one = await webServer(() => answer);
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const response = await ask(client, get('/', 'Connection: Upgrade', 'Upgrade: echo'));
  expect(response.status).toBe(502);
  expect(vip.frontEnd.totals.tunnels).toBe(0);
  await until(() => isIdle(vip), 'no request under way');
});

test('Upgrade without 101: what the client sent behind it is its next request, not bytes for the server', async () => {
  const one = await webServer(({ start }) => ok(start));
  const vip = await startHttp({
    pools: main(one),
    rules: [{ when: { path: '/stolen' }, reject: '403', action: { reject: 403 } }],
  });
  const client = await vip.open();
  await send(client, get('/first', 'Connection: Upgrade', 'Upgrade: echo') + SMUGGLED + get('/last'));
  expect((await readResponse(client)).body).toBe('GET /first HTTP/1.1');
  expect((await readResponse(client)).status).toBe(403);
  expect((await readResponse(client)).body).toBe('GET /last HTTP/1.1');
  expect(one.requests.length).toBe(2);
});

test('101 with a length: the client sees none', async () => {
  const one = await webServer(
    () => 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: Echo\r\nContent-Length: 100\r\n\r\n',
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/', 'Connection: Upgrade', 'Upgrade: echo'));
  expect(await readHead(client)).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Echo',
  );
});

// Pipelines.

test('pipelined requests behind a refused one are not looked at', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/1') + get('/2', 'Host: b') + get('/3'));
  expect((await readResponse(client)).body).toBe('one');
  const refused = await readResponse(client);
  expect([refused.status, refused.field('connection')]).toEqual([400, 'close']);
  await send(client, get('/4'));
  expect((await client.readToEnd()).bytes.length).toBe(0);
  expect(one.requests.items.map(({ start }) => start)).toEqual(['GET /1 HTTP/1.1']);
});

// Retries.

test('a body that comes while its request waits for another server: nothing of it is lost', async () => {
  const door = createGate();
  const gone = await server(async (connection) => {
    await readHead(connection);
    connection.reset();
  });
  const busy = await webServer(async ({ start, body }) => {
    if (start.includes('/busy')) await door.opened;
    return ok(body);
  });
  const vip = await startHttp({
    pools: {
      main: { balance: 'first', servers: [gone.address, { ...busy.address, maxConnections: 1 }] },
    },
  });
  const other = await vip.open();
  vip.server('main-1').halt();
  await send(other, get('/busy'));
  await busy.requests.count(1);
  vip.server('main-1').online();
  const client = await vip.open();
  await send(client, 'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n');
  await gone.connections.count(1);
  await until(() => vip.server('main-1').active === 0, 'the first server given up');
  await send(client, '01234');
  await standsStill(() => vip.frontEnd.totals.requests!);
  await send(client, '56789');
  door.open();
  expect((await readResponse(other)).status).toBe(200);
  expect((await readResponse(client)).body).toBe('0123456789');
});
