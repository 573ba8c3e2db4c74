/** Requests that a server could read differently: 400 and nothing forwarded (RFC 9112 11.2). Raw bytes throughout. */
import { expect, test } from 'vitest';
import { readResponse, send } from './messages.ts';
import { isIdle, main, named, startHttp } from './setup.ts';

const BODY = 'GET /stolen HTTP/1.1\r\nHost: b\r\n\r\n';

const REFUSED: Readonly<Record<string, readonly [string, number?]>> = {
  'HTTP/0.9': ['GET /\r\n\r\n'],
  'HTTP/0.9 with fields': ['GET /\r\nHost: a\r\n\r\n'],
  'another version': ['GET / HTTP/1.2\r\nHost: a\r\n\r\n', 505],
  'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  'no method': [' / HTTP/1.1\r\nHost: a\r\n\r\n'],
  'two spaces in the request line': ['GET  / HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a tab in the request line': ['GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a space in the target': ['GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a control byte in the target': ['GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a byte beyond ASCII in the target': ['GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a fragment in the target': ['GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n'],
  'a target without a slash': ['GET a HTTP/1.1\r\nHost: a\r\n\r\n'],
  CONNECT: ['CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 501],
  'no Host': ['GET / HTTP/1.1\r\n\r\n'],
  'duplicate Host': ['GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n'],
  'differing Host': ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
  'a Host that is no host': ['GET / HTTP/1.1\r\nHost: a/b\r\n\r\n'],
  'absolute-form whose authority is not the Host': ['GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  'Transfer-Encoding with Content-Length': [
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${BODY}`,
  ],
  'Content-Length with Transfer-Encoding': [
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${BODY}`,
  ],
  'Transfer-Encoding in HTTP/1.0': [
    'POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  'Transfer-Encoding twice': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  'Transfer-Encoding: identity': ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n'],
  'Transfer-Encoding: xchunked': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
  ],
  'Transfer-Encoding: gzip, chunked': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    501,
  ],
  'Content-Length twice': ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'],
  'Content-Length with a sign': ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx'],
  'Content-Length as a list': ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx'],
  'Content-Length in hexadecimal': ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx'],
  'Content-Length beyond a number': [
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nx',
  ],
  'bad chunking: no size': ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\nx'],
  'bad chunking: a size with a sign': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n',
  ],
  'bad chunking: a size with 0x': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n',
  ],
  'bad chunking: a space behind the size': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n',
  ],
  'bad chunking: a size beyond a number': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\nx',
  ],
  'bad chunking: bare LF behind the size': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n',
  ],
  'bad chunking: bare LF in an extension': [
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nx\r\n0\r\n\r\n',
  ],
  'obsolete folding': ['GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n 2\r\n\r\n'],
  'a space before the first field': ['GET / HTTP/1.1\r\n Host: a\r\n\r\n'],
  'white space before the colon': ['GET / HTTP/1.1\r\nHost : a\r\n\r\n'],
  'a field without a name': ['GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n'],
  'a field without a colon': ['GET / HTTP/1.1\r\nHost: a\r\nX-A\r\n\r\n'],
  'a name that is no token': ['GET / HTTP/1.1\r\nHost: a\r\nX(A): 1\r\n\r\n'],
  'control bytes: NUL in a value': ['GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\x002\r\n\r\n'],
  'control bytes: bare CR in a value': ['GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r2\r\n\r\n'],
  'control bytes: bare LF ends a line': ['GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n'],
  'Connection names a field that is for everyone': [
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, Cookie\r\n\r\n',
  ],
  'an expectation that nobody meets': ['GET / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n', 417],
};

test.each(Object.entries(REFUSED))(
  '%s: refused, nothing forwarded, the connection closed',
  async (_name, [raw, status = 400]) => {
    const one = await named('one');
    const vip = await startHttp({ pools: main(one) });
    const client = await vip.open();
    await send(client, raw + BODY);
    const response = await readResponse(client);
    expect(response.status).toBe(status);
    expect(response.field('connection')).toBe('close');
    expect(response.body).toContain(`${status} `);
    expect(response.body).toMatch(/Request [0-9a-f]{10}-[0-9a-z]+\n$/);
    const { bytes } = await client.readToEnd();
    expect(bytes.length).toBe(0);
    const [event] = await vip.events.count(1);
    expect(event).toMatchObject({ status, server: event!.server, client: '127.0.0.1' });
    expect(response.body).toContain(event!.id);
    expect(event!.detail).toMatch(/^[A-Z].*\.$/);
    expect(one.connections.length).toBe(0);
    expect(vip.frontEnd.totals).toMatchObject({ requests: 1, refused: status < 500 ? 1 : 0 });
    expect(isIdle(vip)).toBe(true);
  },
);

test('endless headers: 431, and a target without an end 414', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one), limits: { headers: 8192 } });
  const client = await vip.open();
  await send(client, `GET / HTTP/1.1\r\nHost: a\r\n${'X-A: b\r\n'.repeat(2000)}`);
  expect((await readResponse(client)).status).toBe(431);
  const other = await vip.open();
  await send(other, `GET /${'a'.repeat(10_000)}`);
  expect((await readResponse(other)).status).toBe(414);
  const third = await vip.open();
  await send(third, `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'b'.repeat(8192)}\r\n\r\n`);
  expect((await readResponse(third)).status).toBe(431);
  expect(one.connections.length).toBe(0);
});
