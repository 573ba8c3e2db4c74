/**
 * HTTP/2 that would be another request, or two, in HTTP/1 (RFC 9113 10.3): frames by hand, because no client sends them.
 * The server gets the one request that was meant, or none.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import { createTlsIdentity } from '../../../src/relay/tls-identity.ts';
import { type Authority, type Certificate, createAuthority } from '../../peers/certificates.ts';
import { within } from '../../peers/waiting.ts';
import { judgeRequests } from '../../protocols/http/judgement.ts';
import { send } from './messages.ts';
import { later, main, ok, server, startHttp, type TestServer, type TestVip } from './setup.ts';

let authority: Authority;
let certificate: Certificate;

beforeAll(async () => {
  authority = await createAuthority();
  certificate = await authority.issue({ names: ['portal.example'] });
});

const DATA = 0x0;
const HEADERS = 0x1;
const RST_STREAM = 0x3;
const SETTINGS = 0x4;
const GOAWAY = 0x7;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;

/** RFC 9113 4.1. */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

type Field = readonly [name: string, value: string];

/** HPACK (RFC 7541 6.2.2): literals that are not indexed, texts of less than 127 bytes. */
function block(fields: readonly Field[]): Buffer {
  const text = (value: string) => [Buffer.of(value.length), Buffer.from(value, 'latin1')];
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), ...text(name), ...text(value)]));
}

interface Attempt {
  readonly fields: readonly Field[];
  /** undefined: the stream ends with its head. */
  readonly body?: string;
  readonly trailers?: readonly Field[];
}

const pseudo = (changes: Readonly<Record<string, string>> = {}): Field[] =>
  Object.entries({
    ':method': 'POST',
    ':scheme': 'https',
    ':authority': 'portal.example',
    ':path': '/x',
    ...changes,
  });

function framesOf({ fields, body, trailers }: Attempt, stream: number): Buffer {
  const isAlone = body === undefined && trailers === undefined;
  const all = [frame(HEADERS, END_HEADERS | (isAlone ? END_STREAM : 0), stream, block(fields))];
  if (body !== undefined) {
    all.push(frame(DATA, trailers === undefined ? END_STREAM : 0, stream, Buffer.from(body, 'latin1')));
  }
  if (trailers !== undefined) all.push(frame(HEADERS, END_HEADERS | END_STREAM, stream, block(trailers)));
  return Buffer.concat(all);
}

/** Calls back with the type and stream of each frame that comes. */
function readFrames(socket: Socket, seen: (type: number, flags: number, stream: number) => void): void {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      seen(rest[3]!, rest[4]!, rest.readUInt32BE(5) & 0x7fffffff);
      rest = rest.subarray(9 + rest.readUIntBE(0, 3));
    }
  });
}

const STOLEN = 'GET /stolen HTTP/1.1\r\nHost: portal.example\r\n\r\n';
const LENGTH = String(STOLEN.length);
const post = (...fields: Field[]): Attempt => ({ fields: [...pseudo(), ...fields], body: STOLEN });
const alone = (changes: Readonly<Record<string, string>>): Attempt => ({ fields: pseudo(changes) });

const ATTEMPTS: Readonly<Record<string, Readonly<Record<string, Attempt>>>> = {
  'H2.CL': {
    'a length of 0 and a body': post(['content-length', '0']),
    'a length that is less than the body': post(['content-length', '5']),
    'a length that is more than the body': post(['content-length', '500']),
    'a length and no body': { fields: [...pseudo(), ['content-length', LENGTH]] },
    'a length, no body, and trailers': {
      fields: [...pseudo(), ['content-length', LENGTH]],
      trailers: [['x-sum', '1']],
    },
    'two lengths': post(['content-length', LENGTH], ['content-length', '0']),
    'a length with a sign': post(['content-length', `+${LENGTH}`]),
    'a length with an underscore': post(['content_length', '0']),
    'the length of the body': post(['content-length', LENGTH]),
    'the length of the body, with zeros': post(['content-length', `000${LENGTH}`]),
  },
  'H2.TE': {
    chunked: { fields: [...pseudo(), ['transfer-encoding', 'chunked']], body: `0\r\n\r\n${STOLEN}` },
    'chunked in capitals': {
      fields: [...pseudo(), ['Transfer-Encoding', 'chunked']],
      body: `0\r\n\r\n${STOLEN}`,
    },
    'chunked with an underscore': {
      fields: [...pseudo(), ['transfer_encoding', 'chunked']],
      body: `0\r\n\r\n${STOLEN}`,
    },
    'a body that looks like chunks': { fields: pseudo(), body: `0\r\n\r\n${STOLEN}` },
  },
  'line ends in fields': {
    'in a value': post(['x-note', 'a\r\ntransfer-encoding: chunked']),
    'in a value, a request': post(['x-note', `a\r\n\r\n${STOLEN}`]),
    'bare LF in a value': post(['x-note', 'a\ncontent-length: 0']),
    'bare CR in a value': post(['x-note', 'a\rcontent-length: 0']),
    'NUL in a value': post(['x-note', 'a\0b']),
    'in a cookie': post(['cookie', 'a=1'], ['cookie', 'b=2\r\ncontent-length: 0']),
    'in a name': post(['x-note: a\r\ncontent-length', '0']),
    'a colon in a name': post(['content-length: 0\r\nx', 'a']),
    'a space in a name': post(['x note', 'a']),
    'a name that is empty': post(['', 'a']),
    'in a trailer': { ...post(), trailers: [['x-sum', `1\r\n\r\n${STOLEN}`]] },
    'a pseudo-header field in trailers': { ...post(), trailers: [[':path', '/stolen']] },
    'framing in trailers': { ...post(), trailers: [['content-length', '0']] },
  },
  'pseudo-header fields': {
    'a request in the path': alone({ ':path': `/x HTTP/1.1\r\nHost: a\r\n\r\n${STOLEN}`.slice(0, 120) }),
    'a space in the path': alone({ ':path': '/x /stolen' }),
    'a path that is none': alone({ ':path': 'stolen' }),
    'an empty path': alone({ ':path': '' }),
    'a request in the method': alone({ ':method': `GET /stolen HTTP/1.1\r\nHost: a\r\n\r\nGET` }),
    'a line end in the authority': alone({ ':authority': 'a\r\nx-note: b' }),
    'a path in the authority': alone({ ':authority': 'a/stolen' }),
    'a request in the scheme': alone({ ':scheme': `https://a/stolen HTTP/1.1\r\n\r\n` }),
    'the path twice': { fields: [...pseudo(), [':path', '/stolen']] },
    'one behind the fields': { fields: [...pseudo(), ['x-note', 'a'], [':path', '/stolen']] },
    'one that nobody knows': { fields: [...pseudo(), [':stolen', 'a']] },
    'no path': { fields: pseudo().filter(([name]) => name !== ':path') },
    'another Host': post(['host', 'other.example']),
    'a chunked TE': post(['te', 'chunked']),
    'fields about a connection': post(['connection', 'close'], ['upgrade', 'h2c']),
  },
};

/** In order after all; or nghttp2 leaves out the field that is none, and the rest is. */
const SERVED: readonly string[] = [
  'the length of the body',
  'the length of the body, with zeros',
  'a body that looks like chunks',
  'in a value',
  'in a value, a request',
  'bare LF in a value',
  'bare CR in a value',
  'NUL in a value',
  'in a cookie',
  'in a name',
  'a colon in a name',
  'a space in a name',
  'a name that is empty',
  'in a trailer',
];

/** Answers what we read, and keeps every byte: a text for each connection. */
async function startWitness(texts: string[]): Promise<TestServer> {
  return server(async (connection) => {
    const index = texts.push('') - 1;
    for (let answered = 0; ; ) {
      const bytes = await connection.readSome();
      if (bytes === undefined) break;
      texts[index] += bytes.toString('latin1');
      const { messages } = judgeRequests([texts[index]!]);
      for (; answered < messages.length; answered++) await send(connection, ok('well'));
    }
  });
}

/** Sends the attempt on the first stream and an ordinary request on the next; resolves when both are over. */
async function attack(vip: TestVip, attempt: Attempt): Promise<void> {
  const { ca } = authority;
  const socket = connect({ ...vip.address, ca, servername: 'portal.example', ALPNProtocols: ['h2'] });
  socket.on('error', () => {});
  later(() => socket.destroy());
  await within(once(socket, 'secureConnect'), 'a TLS connection');
  const over = new Set<number>();
  const isGone = new Promise<void>((resolve) => {
    socket.on('close', resolve);
    readFrames(socket, (type, flags, stream) => {
      const isEnd = (type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0;
      if (isEnd || type === RST_STREAM) over.add(stream);
      if (type === GOAWAY || (over.has(1) && over.has(3))) resolve();
    });
  });
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
  socket.write(framesOf(attempt, 1));
  socket.write(framesOf({ fields: pseudo({ ':method': 'GET', ':path': '/well' }) }, 3));
  await within(isGone, 'the answers');
}

for (const [family, attempts] of Object.entries(ATTEMPTS)) {
  test.each(Object.entries(attempts))(
    `${family}: %s: the request that was meant, or none`,
    async (what, attempt) => {
      const texts: string[] = [];
      const witness = await startWitness(texts);
      const tls = createTlsIdentity({ certificates: [certificate], minVersion: 'TLSv1.2', alpn: ['h2'] });
      const vip = await startHttp({ pools: main(witness), entrance: { tls } });
      await attack(vip, attempt);
      const read = texts.flatMap((text) => judgeRequests([text]).messages);
      // Whatever a field was, no piece of it became a line of its own, or more.
      for (const text of texts)
        expect(text.split('\r\n\r\n')[0]).not.toMatch(/stolen|content-length: 0|: b$/im);
      const meant = read.filter(({ start }) => start !== 'GET /well');
      expect(meant.map(({ start, body }) => ({ start, body }))).toEqual(
        SERVED.includes(what) ? [{ start: 'POST /x', body: attempt.body ?? '' }] : [],
      );
    },
  );
}
