/**
 * What namespace-agent.ts starts in a namespace: reads requests from standard input, one JSON object a line,
 * `{ id, verb, argument }`, and answers `{ id, result }` or `{ id, error }` in the order they are done. Text is latin1.
 */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { acknowledgementOf } from './hl7-messages.ts';

interface Connection {
  readonly socket: Socket;
  /** What came and was not asked for yet. */
  received: string;
  /** How it ended: `end` by a FIN, or the code of an error (ECONNRESET). Pending while it is open. */
  readonly ending: Promise<string>;
  ended: boolean;
  wake: () => void;
}

interface Target {
  readonly host: string;
  readonly port: number;
  /** A local address to come from. */
  readonly from?: string;
}

const connections = new Map<number, Connection>();
const servers = new Map<string, { server: Server; sockets: Set<Socket> }>();

const verbs = {
  /** Nothing: that it answers shows that it lives. */
  ready: async (nothing: object) => nothing,

  /** Opens a TCP or TLS connection (no certificate is verified) and holds it. */
  async connect({ host, port, from, tls = false }: Target & { tls?: boolean }) {
    const options = { host, port, localAddress: from };
    const socket = tls ? tlsConnect({ ...options, rejectUnauthorized: false }) : netConnect(options);
    await new Promise<void>((resolve, reject) => {
      socket.once(tls ? 'secureConnect' : 'connect', resolve).once('error', reject);
    });
    const id = hold(socket);
    return { connection: id, local: addressOf(socket, 'local'), remote: addressOf(socket, 'remote') };
  },

  async send({ connection, text }: { connection: number; text: string }) {
    held(connection).socket.write(text, 'latin1');
  },

  /** What comes, to the end of the first `until`; without one, whatever comes next. Fails when the connection ends first. */
  receive: ({ connection, until }: { connection: number; until?: string }) =>
    receive(held(connection), until),

  /** Sends, and waits for what comes back to the end of the first `until` (a line, unless said). */
  async exchange({ connection, text, until = '\n' }: { connection: number; text: string; until?: string }) {
    held(connection).socket.write(text, 'latin1');
    return receive(held(connection), until);
  },

  isOpen: async ({ connection }: { connection: number }) => !held(connection).ended,

  /** How the other side ended the connection: `end`, or an error's code such as ECONNRESET. Waits for it. */
  ending: ({ connection }: { connection: number }) => held(connection).ending,

  async close({ connection, reset = false }: { connection: number; reset?: boolean }) {
    const { socket, ending } = held(connection);
    if (reset) socket.resetAndDestroy();
    else socket.end();
    await ending;
    connections.delete(connection);
  },

  /** A request on a connection of its own; no certificate is verified. Redirects are not followed. */
  async get({ url, headers = {}, method = 'GET', from, body }: GetRequest) {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    return new Promise<GetAnswer>((resolve, reject) => {
      const options = { method, headers, localAddress: from, agent: false, rejectUnauthorized: false };
      const request = send(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode!,
            headers: response.headers as Record<string, string | undefined>,
            cookies: response.headers['set-cookie']?.map((one) => one.split(';', 1)[0]!) ?? [],
            body: Buffer.concat(chunks).toString('latin1'),
            local: addressOf(response.socket, 'local'),
          });
        });
      });
      request.on('error', reject).end(body);
    });
  },

  /** Opens a WebSocket, sends a text, resolves with the first message that comes and closes. */
  async webSocket({ url, text, headers, from }: { url: string; text: string } & Partial<GetRequest>) {
    const socket = new WebSocket(url, { headers, localAddress: from, rejectUnauthorized: false });
    try {
      return await new Promise<string>((resolve, reject) => {
        socket.on('open', () => socket.send(text)).on('error', reject);
        socket.on('message', (data: Buffer) => resolve(data.toString()));
      });
    } finally {
      socket.close();
    }
  },

  /** Sends an HL7 message in its MLLP frame on a connection of its own; resolves with the answer, without its frame. */
  async mllp({ host, port, from, message }: Target & { message: string }) {
    const { connection } = await verbs.connect({ host, port, from });
    held(connection).socket.write(`\x0b${message}\x1c\r`, 'latin1');
    const frame = await receive(held(connection), '\x1c\r');
    await verbs.close({ connection });
    return frame.slice(1, -2);
  },

  /**
   * Listens on ports and answers each line with a line of JSON: `{ server: name, local, remote, text }`, the addresses as
   * the server sees them, `host:port`.
   */
  async listenEcho({ name, ports, host = '::' }: ListenRequest) {
    const answer = (socket: Socket, text: string) => {
      const sees = { local: addressOf(socket, 'local'), remote: addressOf(socket, 'remote') };
      socket.write(`${JSON.stringify({ server: name, ...sees, text })}\n`);
    };
    await Promise.all(
      ports.map((port) =>
        listen(host, port, (socket) => eachPart(socket, '\n', (text) => answer(socket, text))),
      ),
    );
  },

  /** Listens on ports and acknowledges HL7 messages by MLLP. MSA-3 is the name, and the addresses as `listenEcho` has them. */
  async listenMllp({ name, ports, host = '::' }: ListenRequest) {
    const answer = (socket: Socket, frame: string) => {
      const message = Buffer.from(frame.slice(frame.indexOf('\x0b') + 1), 'latin1');
      const acknowledgement = acknowledgementOf(message).toString('latin1').trimEnd();
      const sees = `${name} ${addressOf(socket, 'local')} ${addressOf(socket, 'remote')}`;
      socket.write(`\x0b${acknowledgement}|${sees}\r\x1c\r`, 'latin1');
    };
    await Promise.all(
      ports.map((port) =>
        listen(host, port, (socket) => eachPart(socket, '\x1c\r', (frame) => answer(socket, frame))),
      ),
    );
  },

  /** A WebSocket server on a port: answers each text with JSON, `{ server: name, text }`. */
  async listenWebSocket({ name, port, host = '127.0.0.1' }: Omit<ListenRequest, 'ports'> & { port: number }) {
    const server = new WebSocketServer({ port, host });
    server.on('connection', (socket) => {
      socket.on('message', (data: Buffer) =>
        socket.send(JSON.stringify({ server: name, text: data.toString() })),
      );
    });
    await once(server, 'listening');
  },

  /** Waits until something takes TCP connections on each of the ports. */
  async listening({ host, ports }: { host: string; ports: readonly number[] }) {
    await Promise.all(
      ports.map(async (port) => {
        while (!(await takesConnections(host, port))) await pause(20);
      }),
    );
  },

  /** Listens no more on a port; its connections are reset. */
  async unlisten({ port, host = '::' }: { port: number; host?: string }) {
    const listening = servers.get(`${host} ${port}`);
    servers.delete(`${host} ${port}`);
    if (!listening) return;
    for (const socket of listening.sockets) socket.resetAndDestroy();
    await new Promise((resolve) => listening.server.close(resolve));
  },
};

/** What can be asked: the name of each and the functions' arguments and results. */
export type Verbs = typeof verbs;

export interface GetRequest {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly from?: string;
  readonly body?: string;
}

export interface GetAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** `name=value`, each. */
  readonly cookies: readonly string[];
  readonly body: string;
  readonly local: string;
}

export interface ListenRequest {
  /** What the answers call this server. */
  readonly name: string;
  readonly ports: readonly number[];
  /** Default: every address, IPv4 and IPv6. */
  readonly host?: string;
}

let last = 0;

function hold(socket: Socket): number {
  const { promise, resolve } = Promise.withResolvers<string>();
  const connection: Connection = { socket, received: '', ending: promise, ended: false, wake: () => {} };
  const end = (how: string) => {
    connection.ended = true;
    resolve(how);
    connection.wake();
  };
  socket.setEncoding('latin1').on('data', (text: string) => {
    connection.received += text;
    connection.wake();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on('end', () => end('end')).on('close', () => end('end'));
  connections.set(++last, connection);
  return last;
}

function held(id: number): Connection {
  const connection = connections.get(id);
  if (!connection) throw new Error(`there is no connection ${id}`);
  return connection;
}

async function receive(connection: Connection, until: string | undefined): Promise<string> {
  for (;;) {
    const { received } = connection;
    const at = until === undefined ? received.length : received.indexOf(until) + until.length;
    if (received !== '' && at >= (until?.length ?? 1)) {
      connection.received = received.slice(at);
      return received.slice(0, at);
    }
    if (connection.ended) throw new Error(`the connection ended (${await connection.ending}): ${received}`);
    await new Promise<void>((wake) => {
      connection.wake = wake;
    });
  }
}

function addressOf(socket: Socket, end: 'local' | 'remote'): string {
  const host = (end === 'local' ? socket.localAddress : socket.remoteAddress)?.replace(/^::ffff:/, '');
  return `${host}:${end === 'local' ? socket.localPort : socket.remotePort}`;
}

async function listen(host: string, port: number, connected: (socket: Socket) => void): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => {});
    connected(socket);
  });
  servers.set(`${host} ${port}`, { server, sockets });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ port, host, backlog: 1024 }, resolve);
  });
}

async function takesConnections(host: string, port: number): Promise<boolean> {
  const socket = netConnect({ host, port });
  const took = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return took;
}

/** Calls `each` with every part that ends with `delimiter`, without it. */
function eachPart(socket: Socket, delimiter: string, each: (part: string) => void): void {
  let rest = '';
  socket.setEncoding('latin1').on('data', (text: string) => {
    const parts = (rest + text).split(delimiter);
    rest = parts.pop()!;
    for (const part of parts) each(part);
  });
}

createInterface(process.stdin)
  .on('line', (line) => void answer(JSON.parse(line) as { id: number; verb: keyof Verbs; argument: never }))
  // The test is gone.
  .on('close', () => process.exit());

async function answer({
  id,
  verb,
  argument,
}: {
  id: number;
  verb: keyof Verbs;
  argument: never;
}): Promise<void> {
  try {
    const result: unknown = await verbs[verb](argument);
    process.stdout.write(`${JSON.stringify({ id, result })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ id, error: (error as Error).message })}\n`);
  }
}
