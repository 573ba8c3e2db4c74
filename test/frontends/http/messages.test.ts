/** Messages on their way through: persistent connections, framing, trailers, interim responses, HTTP/1.0. */
import { expect, test } from 'vitest';
import { until } from '../../peers/waiting.ts';
import { ask, get, post, readHead, readResponse, send } from './messages.ts';
import { isIdle, main, named, ok, server, startHttp, webServer } from './setup.ts';

test('a request goes to the server and its response comes back, fields in their spelling and order', async () => {
  const one = await webServer(() =>
    ok('hello', 'Server: one', 'X-oDD: 1', 'Set-Cookie: a=1', 'Set-Cookie: b=2'),
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const response = await ask(client, get('/a/b?c=d', 'X-oDD: yes', 'Accept: */*'));
  expect(response.head).toBe(
    'HTTP/1.1 200 OK\r\nServer: one\r\nX-oDD: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5',
  );
  expect(response.body).toBe('hello');
  const [request] = await one.requests.count(1);
  expect(request!.head).toBe('GET /a/b?c=d HTTP/1.1\r\nHost: portal.example\r\nX-oDD: yes\r\nAccept: */*');
  await until(() => isIdle(vip), 'no request under way');
  const [event] = await vip.events.count(1);
  expect(event).toMatchObject({
    vip: 'PORTAL',
    client: '127.0.0.1',
    method: 'GET',
    host: 'portal.example',
    path: '/a/b',
    version: '1.1',
    status: 200,
    pool: 'main',
    server: 'main-1',
    rule: 'default',
    attempts: 1,
    bytes: { toServer: 0, toClient: 5 },
    detail: undefined,
  });
});

test('keep-alive on both sides: requests of several clients share a connection to the server', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one) });
  const [first, second] = [await vip.open(), await vip.open()];
  for (let count = 0; count < 3; count++) {
    expect((await ask(first)).body).toBe('one');
    expect((await ask(second, post('form'))).body).toBe('one');
  }
  expect(one.requests.length).toBe(6);
  expect(one.connections.length).toBe(1);
});

test('pipelining: requests sent at once are answered one after the other, in their order', async () => {
  const one = await webServer(({ start }) => ok(start));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/1') + post('two') + get('/3'));
  const bodies = [];
  for (let count = 0; count < 3; count++) bodies.push((await readResponse(client)).body);
  expect(bodies).toEqual(['GET /1 HTTP/1.1', 'POST /form HTTP/1.1', 'GET /3 HTTP/1.1']);
});

test('pipelining: answers of our own come in their order too, a hundred of them', async () => {
  const one = await named('one');
  const vip = await startHttp({
    pools: main(one),
    rules: [
      {
        when: { path: '/own' },
        reject: 'respond',
        action: { respond: { status: 200, body: 'own', type: 'text/plain' } },
      },
    ],
  });
  const client = await vip.open();
  await send(client, get('/own').repeat(99) + get('/other'));
  for (let count = 0; count < 99; count++) expect((await readResponse(client)).body).toBe('own');
  expect((await readResponse(client)).body).toBe('one');
});

test('a request that comes a byte at a time, and a response that does', async () => {
  const one = await webServer(async (_request, connection) => {
    await connection.dribble(
      Buffer.from(
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n',
      ),
    );
    return '';
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  void client.dribble(
    Buffer.from(
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nform\r\n0\r\nX-R: 2\r\n\r\n',
    ),
  );
  const response = await readResponse(client);
  expect(response.body).toBe('abcde');
  expect(response.trailers).toBe('X-T: 1\r\n');
  expect(one.requests.items[0]!.body).toBe('form');
  expect(one.requests.items[0]!.trailers).toBe('X-R: 2\r\n');
});

test('a chunked body arrives whole, whatever its chunks, both ways', async () => {
  const one = await webServer(({ body }) => {
    const chunks = (body.match(/.{1,1000}/gs) ?? []).map(
      (part) => `${part.length.toString(16)}\r\n${part}\r\n`,
    );
    return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`;
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const body = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251)).toString('latin1');
  const chunks = (body.match(/.{1,777}/gs) ?? []).map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  await send(
    client,
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`,
  );
  expect((await readResponse(client)).body).toBe(body);
  expect((await ask(client, post(body))).body).toBe(body);
});

test('trailers: framing, routing and credentials are not among those that go on', async () => {
  const trailers = 'X-Sum: 7\r\nSet-Cookie: a=1\r\n';
  const one = await webServer(
    () =>
      `HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n${trailers}\r\n`,
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(
    client,
    'POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTrailer: X-Up\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\nX-Up: 1\r\nAuthorization: x\r\n\r\n',
  );
  const response = await readResponse(client);
  expect(response.trailers).toBe('X-Sum: 7\r\n');
  expect(response.field('trailer')).toBe('X-Sum');
  const [request] = one.requests.items;
  expect(request!.trailers).toBe('X-Up: 1\r\n');
  expect(request!.field('te')).toBe('trailers');
  expect(request!.field('connection')).toBe('TE');
});

test('HEAD, 204 and 304 have no body, whatever their Content-Length says, and keep the connection', async () => {
  const one = await webServer(({ start }) => {
    if (start.startsWith('HEAD')) return 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n';
    return start.includes('/204')
      ? 'HTTP/1.1 204 No Content\r\n\r\n'
      : 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nETag: "x"\r\n\r\n';
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const head = await ask(client, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(head.field('content-length')).toBe('1000');
  expect((await ask(client, get('/204'))).status).toBe(204);
  const notModified = await ask(client, get('/304'));
  expect([notModified.status, notModified.field('etag')]).toEqual([304, '"x"']);
  expect(one.connections.length).toBe(1);
});

test('1xx: early hints reach the client before the answer, and not one of HTTP/1.0', async () => {
  const one = await webServer(
    () => `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok('late')}`,
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get());
  expect(await readHead(client)).toBe('HTTP/1.1 103 Early Hints\r\nLink: </a.css>');
  expect(await readHead(client)).toBe('HTTP/1.1 102 Processing');
  expect((await readResponse(client)).body).toBe('late');
  const old = await vip.open();
  expect((await ask(old, 'GET / HTTP/1.0\r\n\r\n')).body).toBe('late');
});

test("Expect: 100-continue is the server's to meet: its body is sent when the server said so", async () => {
  const one = await server(async (connection, requests) => {
    const head = await readHead(connection);
    expect(connection.buffered).toBe(0);
    await send(connection, 'HTTP/1.1 100 Continue\r\n\r\n');
    const body = (await connection.read(4)).toString();
    requests.add({ head, body } as never);
    await send(connection, ok('thanks'));
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
  expect(await readHead(client)).toBe('HTTP/1.1 100 Continue');
  await send(client, 'form');
  expect((await readResponse(client)).body).toBe('thanks');
  expect(one.requests.items[0]!.head).toContain('Expect: 100-continue');
});

test('Expect: 100-continue: a server that refuses early gets no body, and the client hears it at once', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
    await send(connection, 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno');
    await connection.ending;
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
  const response = await readResponse(client);
  expect([response.status, response.body, response.field('connection')]).toEqual([401, 'no', 'close']);
  await client.readToEnd();
  const [connection] = one.connections.items;
  await connection!.ending;
  expect(connection!.buffered).toBe(0);
  await until(() => isIdle(vip), 'no request under way');
});

test('a client that expects 100-continue and does not wait for it is served', async () => {
  const one = await webServer(({ body }) => ok(body));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nform');
  expect((await readResponse(client)).body).toBe('form');
});

test('an answer that comes before the body is sent whole is passed on, and the connection is not used again', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
    await send(connection, 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge');
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegin');
  const response = await readResponse(client);
  expect([response.status, response.body, response.field('connection')]).toEqual([413, 'large', 'close']);
  expect((await client.readToEnd()).ending).toBe('end');
});

test('HTTP/1.0: no chunks, no keep-alive unless it is asked for; the server is spoken to in HTTP/1.1', async () => {
  const one = await webServer(({ start }) =>
    start.includes('/chunks')
      ? 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n'
      : ok('one'),
  );
  const vip = await startHttp({ pools: main(one) });
  const keeping = await vip.open();
  const kept = await ask(keeping, 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  expect([kept.body, kept.field('connection')]).toEqual(['one', 'keep-alive']);
  const chunks = await ask(keeping, 'GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  expect([chunks.body, chunks.field('connection'), chunks.field('transfer-encoding')]).toEqual([
    'abc',
    'close',
    undefined,
  ]);
  const plain = await vip.open();
  expect((await ask(plain, 'GET / HTTP/1.0\r\n\r\n')).field('connection')).toBe('close');
  await plain.readToEnd();
  const { address } = vip;
  expect(one.requests.items[0]!.head).toBe(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${address.port}`);
});

test('Connection: close by the client, and by the server, each closes its own side only', async () => {
  const one = await webServer(({ start }) =>
    start.includes('/bye') ? ok('bye', 'Connection: close') : ok('hi'),
  );
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client, get('/bye'))).field('connection')).toBeUndefined();
  expect((await ask(client, get('/'))).body).toBe('hi');
  expect(one.connections.length).toBe(2);
  expect((await ask(client, get('/', 'Connection: close'))).field('connection')).toBe('close');
  await client.readToEnd();
  expect((await ask(await vip.open())).body).toBe('hi');
  expect(one.connections.length).toBe(2);
});

test('a response that ends with its connection comes whole, in chunks', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
    await send(connection, 'HTTP/1.1 200 OK\r\nServer: old\r\n\r\nuntil the ');
    await send(connection, 'end');
    connection.end();
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const response = await ask(client);
  expect([response.body, response.field('transfer-encoding')]).toEqual(['until the end', 'chunked']);
  expect((await ask(client)).body).toBe('until the end');
});

test('half-closed clients get their answer', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get() + get());
  client.end();
  expect((await readResponse(client)).body).toBe('one');
  expect((await readResponse(client)).body).toBe('one');
  expect((await client.readToEnd()).ending).toBe('end');
});

test('an empty line before a request is skipped, as RFC 9112 2.2 asks', async () => {
  const vip = await startHttp({ pools: main(await named('one')) });
  const client = await vip.open();
  expect((await ask(client)).body).toBe('one');
  await send(client, `\r\n${get()}`);
  expect((await readResponse(client)).body).toBe('one');
});
