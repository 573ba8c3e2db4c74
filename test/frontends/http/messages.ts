/** HTTP/1 messages as the tests' clients and servers write and read them: plainly, and not with the code under test. */
import type { TestConnection } from '../../peers/test-connection.ts';

export interface Message {
  /** Start line and field lines as they came, without the empty line. */
  readonly head: string;
  /** The start line. */
  readonly start: string;
  /** The values of a field, in any spelling of its name. */
  readonly field: (name: string) => string | undefined;
  readonly fields: (name: string) => string[];
  /** Without its framing, as Latin-1. */
  readonly body: string;
  readonly trailers: string;
}

export interface Response extends Message {
  readonly status: number;
}

/** Bytes as Latin-1. */
export function send(connection: TestConnection, text: string): Promise<void> {
  return connection.write(Buffer.from(text, 'latin1'));
}

/** A request of a client of this VIP. */
export function get(path = '/', ...fields: string[]): string {
  return `GET ${path} HTTP/1.1\r\nHost: portal.example\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
}

export function post(body: string, ...fields: string[]): string {
  const lines = ['POST /form HTTP/1.1', 'Host: portal.example', ...fields, `Content-Length: ${body.length}`];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** Up to and with `end`. */
async function readThrough(connection: TestConnection, end: string): Promise<string> {
  let text = '';
  for (;;) {
    const bytes = await connection.read(
      1,
      `bytes before ${JSON.stringify(end)}, after ${JSON.stringify(text)}`,
    );
    text += bytes.toString('latin1');
    if (text.endsWith(end)) return text;
  }
}

/** The next head, with its empty line cut off. */
export async function readHead(connection: TestConnection): Promise<string> {
  return (await readThrough(connection, '\r\n\r\n')).slice(0, -4);
}

/** The next chunk; an empty one is the last, before the trailers. */
export async function readChunk(connection: TestConnection): Promise<Buffer> {
  const size = Number.parseInt(await readThrough(connection, '\r\n'), 16);
  if (size === 0) return Buffer.alloc(0);
  const chunk = await connection.read(size);
  await connection.read(2);
  return chunk;
}

async function readChunked(connection: TestConnection): Promise<{ body: string; trailers: string }> {
  let body = '';
  for (let chunk = await readChunk(connection); chunk.length > 0; chunk = await readChunk(connection)) {
    body += chunk.toString('latin1');
  }
  let trailers = '';
  for (let line = ''; line !== '\r\n'; trailers += line) line = await readThrough(connection, '\r\n');
  return { body, trailers: trailers.slice(0, -2) };
}

function messageOf(head: string, body: string, trailers = ''): Message {
  const [start, ...lines] = head.split('\r\n');
  const fields = (name: string) =>
    lines
      .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
      .map((line) => line.slice(name.length + 1).trim());
  return { head, start: start!, field: (name) => fields(name)[0], fields, body, trailers };
}

export async function readRequest(connection: TestConnection): Promise<Message> {
  const head = await readHead(connection);
  const { field } = messageOf(head, '');
  if (field('transfer-encoding') !== undefined) {
    const { body, trailers } = await readChunked(connection);
    return messageOf(head, body, trailers);
  }
  const length = Number(field('content-length') ?? 0);
  return messageOf(head, (await connection.read(length)).toString('latin1'));
}

/** `to`: the method of the request. */
export async function readResponse(connection: TestConnection, to = 'GET'): Promise<Response> {
  const head = await readHead(connection);
  const message = messageOf(head, '');
  const status = Number(message.start.slice(9, 12));
  if (to === 'HEAD' || status < 200 || status === 204 || status === 304) return { ...message, status };
  if (message.field('transfer-encoding') !== undefined) {
    const { body, trailers } = await readChunked(connection);
    return { ...messageOf(head, body, trailers), status };
  }
  const length = message.field('content-length');
  const body =
    length === undefined ? (await connection.readToEnd()).bytes : await connection.read(Number(length));
  return { ...messageOf(head, body.toString('latin1')), status };
}

/** Asks, and reads the answer. */
export async function ask(connection: TestConnection, request = get()): Promise<Response> {
  await send(connection, request);
  return readResponse(connection, request.slice(0, request.indexOf(' ')));
}
