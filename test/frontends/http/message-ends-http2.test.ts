/** What servers say that HTTP/2 cannot say: the client gets what can be said, and the balancer stays up. */
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { beforeAll, expect, test } from 'vitest';
import { createTlsIdentity } from '../../../src/relay/tls-identity.ts';
import { type Authority, type Certificate, createAuthority } from '../../peers/certificates.ts';
import { within } from '../../peers/waiting.ts';
import { readHead, send } from './messages.ts';
import { later, main, ok, server, startHttp } from './setup.ts';

let authority: Authority;
let certificate: Certificate;

beforeAll(async () => {
  authority = await createAuthority();
  certificate = await authority.issue({ names: ['portal.example'] });
});

/** A client of a VIP whose server says `answer` to the head of a request for `/odd`. */
async function openSession(answer: string): Promise<ClientHttp2Session> {
  const one = await server(async (connection) => {
    for (;;) await send(connection, (await readHead(connection)).includes('/odd') ? answer : ok('well'));
  });
  const tls = createTlsIdentity({ certificates: [certificate], minVersion: 'TLSv1.2', alpn: ['h2'] });
  const vip = await startHttp({ pools: main(one), entrance: { tls } });
  const session = connect(`https://${vip.address.host}:${vip.address.port}`, {
    ca: authority.ca,
    servername: 'portal.example',
  });
  session.on('error', () => {});
  later(() => session.destroy());
  await within(once(session, 'connect'), 'an HTTP/2 session');
  return session;
}

interface Answer {
  readonly status: number | undefined;
  readonly informed: readonly unknown[];
  readonly body: string;
  readonly trailers: Record<string, unknown>;
  readonly isWhole: boolean;
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const informed: unknown[] = [];
  let status: number | undefined;
  let trailers = {};
  let body = '';
  let isWhole = false;
  stream.on('headers', (fields) => informed.push(Object.fromEntries(Object.entries(fields))));
  stream.on('response', (fields) => {
    status = fields[':status'];
  });
  stream.on('trailers', (fields) => {
    trailers = { ...fields };
  });
  stream.on('error', () => {});
  stream.setEncoding('latin1').on('data', (part: string) => {
    body += part;
  });
  stream.on('end', () => {
    isWhole = !stream.aborted;
  });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  stream.on('close', resolve);
  await within(closed, 'the end of a stream');
  return { status, informed, body, trailers, isWhole: isWhole && stream.rstCode === 0 };
}

const get = (session: ClientHttp2Session, path: string) =>
  answerOf(session.request({ ':authority': 'portal.example', ':path': path }));

test('interim responses: fields about the connection end here', async () => {
  const session = await openSession(
    `HTTP/1.1 103 Early Hints\r\nConnection: keep-alive\r\nKeep-Alive: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nLink: </a>\r\n\r\n${ok('late')}`,
  );
  const { status, informed, body } = await get(session, '/odd');
  expect([status, body]).toEqual([200, 'late']);
  expect(informed).toEqual([{ ':status': 103, link: '</a>' }]);
  expect((await get(session, '/')).body).toBe('well');
});

test('interim responses that HTTP/2 cannot have are left out', async () => {
  const session = await openSession(`HTTP/1.1 103 Early Hints\r\nAge: 1\r\nAge: 2\r\n\r\n${ok('late')}`);
  const { status, informed, body } = await get(session, '/odd');
  expect([status, body, informed]).toEqual([200, 'late', []]);
  expect((await get(session, '/')).body).toBe('well');
});

const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlate\r\n0\r\n';

test.each([
  ['about the connection', 'Proxy-Connection: close\r\nHTTP2-Settings: AA'],
  ['that HTTP/2 has once only, twice', 'Age: 1\r\nAge: 2'],
])('trailers %s: the answer is whole without them, the session goes on', async (_what, trailers) => {
  const session = await openSession(`${CHUNKED}${trailers}\r\n\r\n`);
  const { status, body, isWhole } = await get(session, '/odd');
  expect([status, body, isWhole]).toEqual([200, 'late', true]);
  expect((await get(session, '/')).body).toBe('well');
});

test('trailers in order arrive beside those that end here', async () => {
  const session = await openSession(`${CHUNKED}Proxy-Connection: close\r\nX-Sum: 1\r\n\r\n`);
  expect((await get(session, '/odd')).trailers).toMatchObject({ 'x-sum': '1' });
});

test.each([
  [
    'a field that HTTP/2 has once only, twice',
    'HTTP/1.1 200 OK\r\nAge: 1\r\nAge: 2\r\nContent-Length: 2\r\n\r\nno',
  ],
  ['a status beyond 599', 'HTTP/1.1 700 Odd\r\nContent-Length: 2\r\n\r\nno'],
])('a response with %s: its stream is reset, the session goes on', async (_what, answer) => {
  const session = await openSession(answer);
  expect((await get(session, '/odd')).isWhole).toBe(false);
  expect((await get(session, '/')).body).toBe('well');
});

test.each([
  ['of a length', ok('early')],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n0\r\n\r\n'],
])(
  'a response before the request body was sent, %s: it is whole, then the body is refused',
  async (_how, answer) => {
    const session = await openSession(answer);
    const stream = session.request(
      { ':authority': 'portal.example', ':path': '/odd', ':method': 'POST' },
      { endStream: false },
    );
    stream.write('begin');
    const { status, body, isWhole } = await answerOf(stream);
    expect([status, body, isWhole]).toEqual([200, 'early', true]);
    expect((await get(session, '/')).body).toBe('well');
  },
);
