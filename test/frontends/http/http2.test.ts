/** TLS with HTTP/2 and HTTP/1.1 in front of the same servers, by Node's own clients. */
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import { createTlsIdentity } from '../../../src/relay/tls-identity.ts';
import { type Authority, type Certificate, createAuthority } from '../../peers/certificates.ts';
import { TestConnection } from '../../peers/test-connection.ts';
import { createGate, until, within } from '../../peers/waiting.ts';
import { ask, get, readHead, send } from './messages.ts';
import {
  isIdle,
  later,
  main,
  named,
  ok,
  type Sketch,
  server,
  startHttp,
  type TestVip,
  webServer,
} from './setup.ts';

let authority: Authority;
let certificate: Certificate;

beforeAll(async () => {
  authority = await createAuthority();
  certificate = await authority.issue({ names: ['portal.example'] });
});

function startSecure(sketch: Sketch): Promise<TestVip> {
  const tls = createTlsIdentity({
    certificates: [certificate],
    minVersion: 'TLSv1.2',
    alpn: ['h2', 'http/1.1'],
  });
  return startHttp({ ...sketch, entrance: { tls } });
}

async function openSession({ address }: TestVip): Promise<ClientHttp2Session> {
  const session = connect(`https://${address.host}:${address.port}`, {
    ca: authority.ca,
    servername: 'portal.example',
  });
  session.on('error', () => {});
  later(() => session.destroy());
  await within(once(session, 'connect'), 'an HTTP/2 session');
  return session;
}

interface Answer {
  readonly headers: Record<string, string | string[] | number | undefined>;
  readonly body: string;
  readonly trailers: Record<string, unknown> | undefined;
  readonly informed: Record<string, unknown>[];
}

async function readAnswer(stream: ClientHttp2Stream): Promise<Answer> {
  let trailers: Record<string, unknown> | undefined;
  const informed: Record<string, unknown>[] = [];
  stream.on('trailers', (fields) => {
    trailers = fields;
  });
  stream.on('headers', (fields) => informed.push(fields));
  const [headers] = await within(once(stream, 'response'), 'a response');
  let body = '';
  stream.setEncoding('latin1');
  stream.on('data', (part: string) => {
    body += part;
  });
  await within(once(stream, 'end'), 'the end of a response');
  return { headers, body, trailers, informed };
}

function request(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<Answer> {
  const stream = session.request(
    { ':authority': 'portal.example', ':path': '/', ...headers },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(body);
  return readAnswer(stream);
}

test('a request in HTTP/2 goes to the server in HTTP/1.1, its response comes back', async () => {
  const one = await webServer(({ body }) =>
    ok(`got ${body}`, 'Server: one', 'Connection: keep-alive', 'Set-Cookie: a=1', 'Set-Cookie: b=2'),
  );
  const vip = await startSecure({ pools: main(one), more: { forwarded: 'append' } });
  const session = await openSession(vip);
  const { headers, body } = await request(session, {
    ':path': '/a?b=c',
    'x-odd': '1',
    cookie: ['x=1', 'y=2'],
  });
  expect(body).toBe('got ');
  expect(headers).toMatchObject({
    ':status': 200,
    server: 'one',
    'content-length': '4',
    'set-cookie': ['a=1', 'b=2'],
  });
  expect(headers.connection).toBeUndefined();
  const [first] = await one.requests.count(1);
  expect(first!.start).toBe('GET /a?b=c HTTP/1.1');
  expect(first!.fields('host')).toEqual(['portal.example']);
  expect([first!.field('x-odd'), first!.field('cookie'), first!.field('x-forwarded-proto')]).toEqual([
    '1',
    'x=1; y=2',
    'https',
  ]);
  expect(first!.head).not.toContain('\r\n:');
  expect((await vip.events.count(1))[0]).toMatchObject({
    version: '2.0',
    host: 'portal.example',
    path: '/a',
    status: 200,
    bytes: { toClient: 4 },
  });
  const form = await request(session, { ':method': 'POST', 'content-length': 4 }, 'form');
  expect(form.body).toBe('got form');
  const unknown = await request(session, { ':method': 'POST' }, 'form');
  expect(unknown.body).toBe('got form');
  expect(one.requests.items[2]!.field('transfer-encoding')).toBe('chunked');
  expect(isIdle(vip)).toBe(true);
});

test('many requests side by side on one connection, each with its own server', async () => {
  const vip = await startSecure({
    pools: { main: { servers: [(await named('one')).address, (await named('two')).address] } },
  });
  const session = await openSession(vip);
  const answers = await Promise.all(Array.from({ length: 50 }, () => request(session)));
  expect(answers.filter(({ body }) => body === 'one').length).toBe(25);
  expect(vip.frontEnd.totals).toMatchObject({ connections: 1, requests: 50 });
  await until(() => isIdle(vip), 'no request under way');
});

test('trailers and early hints, both ways', async () => {
  const one = await webServer(
    ({ trailers }) =>
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${trailers.length.toString(16)}\r\n${trailers}\r\n0\r\nX-Sum: 7\r\n\r\n`,
  );
  const vip = await startSecure({ pools: main(one) });
  const session = await openSession(vip);
  const stream = session.request(
    { ':method': 'POST', ':path': '/', ':authority': 'a' },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-up': '1' }));
  stream.end('body');
  const { body, trailers, informed } = await readAnswer(stream);
  expect(body).toBe('x-up: 1\r\n');
  expect(trailers).toMatchObject({ 'x-sum': '7' });
  expect(informed).toMatchObject([{ ':status': 103, link: '</a>' }]);
});

test('HEAD, errors of our own and redirects in HTTP/2', async () => {
  const one = await webServer(() => 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
  const vip = await startSecure({ pools: main(one) });
  const session = await openSession(vip);
  const head = await request(session, { ':method': 'HEAD' });
  expect([head.headers['content-length'], head.body]).toEqual(['1000', '']);
  vip.server('main-1').halt();
  const { headers, body } = await request(session);
  expect(headers).toMatchObject({ ':status': 503, 'retry-after': '5' });
  expect(body).toContain('Request ');
  const refused = await request(session, { ':path': '/%zz' });
  expect(refused.headers[':status']).toBe(400);
});

test('large bodies go through with back-pressure, both ways', async () => {
  const size = 8 * 1024 * 1024;
  const one = await server(async (connection) => {
    await readHead(connection);
    await connection.read(size);
    await send(connection, `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    await connection.write(Buffer.alloc(size, 'r'));
  });
  const vip = await startSecure({ pools: main(one) });
  const { body } = await request(
    await openSession(vip),
    { ':method': 'PUT', 'content-length': size },
    Buffer.alloc(size, 'q'),
  );
  expect(body.length).toBe(size);
  expect((await vip.events.count(1))[0]!.bytes.toClient).toBe(size);
});

test('a client that cancels: its request is taken from the server', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
  });
  const vip = await startSecure({ pools: main(one) });
  const session = await openSession(vip);
  const stream = session.request({ ':path': '/', ':authority': 'a' });
  stream.on('error', () => {});
  const [connection] = await one.connections.count(1);
  stream.close(8);
  expect(await connection!.ending).toBe('reset');
  expect((await vip.events.count(1))[0]).toMatchObject({
    status: undefined,
    detail: 'the client cancelled the request',
  });
  expect(isIdle(vip)).toBe(true);
});

test('half an answer: the stream is reset, nothing looks complete', async () => {
  const one = await webServer(async (_request, connection) => {
    await send(connection, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
    connection.end();
    return undefined;
  });
  const vip = await startSecure({ pools: main(one) });
  const session = await openSession(vip);
  const stream = session.request({ ':path': '/', ':authority': 'a' });
  stream.resume();
  const [error] = await within(once(stream, 'error'), 'the stream to fail');
  expect(error.code).toBe('ERR_HTTP2_STREAM_ERROR');
  await until(() => isIdle(vip), 'no request under way');
});

test('slow bodies and bodies past the limit: 408 and 413, other streams unharmed', async () => {
  const one = await webServer(({ body }) => ok(body));
  const vip = await startSecure({ pools: main(one), timeouts: { stall: 150 }, limits: { body: 1000 } });
  const session = await openSession(vip);
  const slow = session.request({ ':method': 'POST', ':path': '/', ':authority': 'a' }, { endStream: false });
  slow.on('error', () => {});
  slow.write('begin');
  expect((await readAnswer(slow)).headers[':status']).toBe(408);
  const huge = session.request({ ':method': 'POST', ':path': '/', ':authority': 'a' }, { endStream: false });
  huge.on('error', () => {});
  huge.write(Buffer.alloc(5000));
  const closed = once(huge, 'close');
  expect((await readAnswer(huge)).headers[':status']).toBe(413);
  await within(closed, 'the stream closed, though its client would go on');
  expect((await request(session, { ':method': 'POST' }, 'fine')).body).toBe('fine');
  await until(() => isIdle(vip), 'no request under way');
});

test('shutdown: the client is told, requests in hand are answered', async () => {
  const door = createGate();
  const one = await webServer(async () => {
    await door.opened;
    return ok('one');
  });
  const vip = await startSecure({ pools: main(one) });
  const [busy, idle] = [await openSession(vip), await openSession(vip)];
  const answer = request(busy);
  await one.requests.count(1);
  const gone = once(idle, 'close');
  const drained = vip.frontEnd.drain();
  await within(gone, 'the idle session closed');
  door.open();
  expect((await answer).body).toBe('one');
  await within(drained, 'the front-end drained');
});

test('an idle session is closed when its time is over', async () => {
  const vip = await startSecure({ pools: main(await named('one')), timeouts: { idle: 150 } });
  const session = await openSession(vip);
  await request(session);
  await within(once(session, 'close'), 'the session closed');
});

test('a client that speaks TLS and then nothing is closed when its time is over', async () => {
  const vip = await startSecure({ pools: main(await named('one')), timeouts: { request: 150 } });
  const socket = connectTls({
    ...vip.address,
    ca: authority.ca,
    servername: 'portal.example',
    ALPNProtocols: ['h2'],
  });
  socket.on('error', () => {});
  later(() => socket.destroy());
  socket.resume();
  await within(once(socket, 'close'), 'the connection closed');
  await until(() => [...vip.frontEnd.connections()].length === 0, 'no connection');
});

test('HTTP/1.1 over TLS: facts of the handshake, cookies are Secure', async () => {
  const one = await webServer(({ field }) => ok(`${field('x-forwarded-proto')}`));
  const vip = await startSecure({
    pools: { other: main(one).main! },
    rules: [{ when: { sni: 'portal.example' }, pool: 'other' }],
    persistence: { by: ['cookie'], cookie: 'SRV' },
    more: { forwarded: 'append' },
  });
  const socket = connectTls({
    ...vip.address,
    ca: authority.ca,
    servername: 'portal.example',
    ALPNProtocols: ['http/1.1'],
  });
  later(() => socket.destroy());
  await within(once(socket, 'secureConnect'), 'a TLS handshake');
  const client = new TestConnection(socket);
  const response = await ask(client, get());
  expect(response.body).toBe('https');
  expect(response.field('set-cookie')).toMatch(/; Secure$/);
  expect((await ask(client, get())).body).toBe('https');
});

test('WebSocket over TLS', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
    await send(
      connection,
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly',
    );
    connection.socket.pipe(connection.socket);
    connection.resume();
  });
  const vip = await startSecure({ pools: main(one) });
  const socket = connectTls({
    ...vip.address,
    ca: authority.ca,
    servername: 'portal.example',
    ALPNProtocols: ['http/1.1'],
  });
  later(() => socket.destroy());
  await within(once(socket, 'secureConnect'), 'a TLS handshake');
  const client = new TestConnection(socket);
  await send(client, `${get('/', 'Connection: Upgrade', 'Upgrade: echo')}eager`);
  expect(await readHead(client)).toContain('101');
  expect((await client.read(10)).toString()).toBe('earlyeager');
  const large = Buffer.alloc(3_000_000, 'w');
  void client.write(large);
  expect((await client.read(large.length)).equals(large)).toBe(true);
  client.end();
  await until(() => isIdle(vip) && [...vip.frontEnd.connections()].length === 0, 'no tunnel');
  expect((await vip.events.count(1))[0]).toMatchObject({
    status: 101,
    bytes: { toServer: 3_000_005, toClient: 3_000_010 },
  });
});
