/** What Node's HTTP/2 lets through to `requestFault`, and what it refuses itself. */
import { once } from 'node:events';
import { connect, createServer, type Http2Server, type Http2ServerRequest } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestFault } from '../../../protocols/http/strictness.ts';
import { within } from '../../peers/waiting.ts';

let server: Http2Server;
beforeAll(async () => {
  server = createServer();
  const judge = (request: Http2ServerRequest) => {
    const { method, url: target, httpVersion: version, rawHeaders } = request;
    request.on('error', () => {});
    request.on('end', () => {
      // It ends also when nghttp2 broke it off, because its length was another than it said.
      if (request.stream.destroyed) return;
      const fault = requestFault({ method, target, version, rawHeaders });
      request.stream.respond({ ':status': fault?.status ?? 200 });
      request.stream.end();
    });
    request.resume();
  };
  for (const event of ['request', 'connect', 'checkExpectation']) server.on(event, judge);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(async () => {
  server.close();
  await once(server, 'close');
});

type Headers = Record<string, string | string[]>;

/** The status; `parser`: the stream was broken off. */
async function ask(headers: Headers, body = ''): Promise<number | 'parser'> {
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  session.on('error', () => {});
  const request = session.request(
    { ':authority': 'portal.example', ':path': '/x', ...headers },
    { endStream: false },
  );
  const { promise, resolve } = Promise.withResolvers<number | 'parser'>();
  request.on('response', ({ ':status': status }) => resolve(status!));
  request.on('error', () => {});
  request.on('close', () => resolve('parser'));
  request.end(body);
  try {
    return await within(promise, 'an answer over HTTP/2');
  } finally {
    session.destroy();
  }
}

const CASES: Readonly<
  Record<string, readonly [headers: Headers, expected: number | 'parser', body?: string]>
> = {
  'an ordinary request': [{ cookie: ['a=1', 'b=2'], te: 'trailers' }, 200],
  'Host that is the authority': [{ host: 'PORTAL.example' }, 200],
  'differing Host': [{ host: 'other.example' }, 400],
  'a fragment': [{ ':path': '/x#y' }, 400],
  'a byte beyond ASCII in the target': [{ ':path': '/\xe9' }, 400],
  'a hidden dot segment': [{ ':path': '/public/..%2fadmin' }, 400],
  'a target that is no path': [{ ':path': 'http://portal.example/x' }, 'parser'],
  'a space in the target': [{ ':path': '/a b' }, 'parser'],
  'userinfo in the authority': [{ ':authority': 'user@portal.example' }, 'parser'],
  'a percent sign in the authority': [{ ':authority': 'portal%2eexample' }, 400],
  'a space in the method': [{ ':method': 'GET /y' }, 'parser'],
  'Content-Length that is not the length': [{ ':method': 'POST', 'content-length': '3' }, 'parser', 'hello'],
  TRACE: [{ ':method': 'TRACE' }, 501],
  'an expectation': [{ expect: 'the-unexpected' }, 417],
};

test.each(Object.entries(CASES))('HTTP/2: %s', async (_name, [headers, expected, body]) => {
  expect(await ask(headers, body)).toBe(expected);
});

test('HTTP/2: CONNECT is not served', async () => {
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const request = session.request({ ':method': 'CONNECT', ':authority': 'portal.example:443' });
  request.end();
  const [{ ':status': status }] = await within(once(request, 'response'), 'an answer to CONNECT');
  expect(status).toBe(501);
  session.destroy();
});
