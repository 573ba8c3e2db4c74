/** WebSocket and other upgrades (RFC 9110 7.8): the head goes through as any request's, then bytes do. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { createServerCookies } from '../../../src/frontends/http/server-cookie.ts';
import { now } from '../../peers/lived-time.ts';
import type { Address } from '../../peers/test-connection.ts';
import { until, within } from '../../peers/waiting.ts';
import { ask, get, readHead, readResponse, send } from './messages.ts';
import {
  isIdle,
  later,
  main,
  named,
  ok,
  server,
  startHttp,
  type TestServer,
  type TestVip,
  webServer,
} from './setup.ts';

/** A WebSocket server that says its name to whoever comes, then echoes. */
async function webSocketServer(
  name: string,
): Promise<{ readonly address: Address; readonly sockets: WebSocketServer }> {
  const http = createServer((_request, response) => response.end(name));
  const sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket) => {
    socket.send(name);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  later(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
    http.close();
  });
  return { address: { host: '127.0.0.1', port: (http.address() as AddressInfo).port }, sockets };
}

interface Chat {
  readonly socket: WebSocket;
  /** The next message. */
  readonly next: () => Promise<string>;
  readonly headers: Record<string, string | string[] | undefined>;
}

async function chat(vip: TestVip, headers: Record<string, string> = {}): Promise<Chat> {
  const socket = new WebSocket(`ws://127.0.0.1:${vip.address.port}/chat?room=1`, { headers });
  later(() => socket.terminate());
  const messages: string[] = [];
  let wake = () => {};
  socket.on('message', (data: Buffer) => {
    messages.push(data.toString());
    wake();
  });
  const upgraded = once(socket, 'upgrade');
  await within(once(socket, 'open'), 'an open WebSocket');
  const [response] = await upgraded;
  return {
    socket,
    headers: response.headers,
    next: async () => {
      while (messages.length === 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await within(promise, 'a message');
      }
      return messages.shift()!;
    },
  };
}

const UPGRADE = ['Connection: Upgrade', 'Upgrade: echo'];
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n';

/** Answers an upgrade and echoes; everything else it answers as a web server. */
function echoServer(): Promise<TestServer> {
  return server(async (connection) => {
    const head = await readHead(connection);
    if (!head.includes('Upgrade')) {
      await send(connection, ok('plain', 'Connection: close'));
      return;
    }
    await send(connection, SWITCHING);
    connection.socket.pipe(connection.socket);
    connection.resume();
  });
}

test('WebSocket: messages of every size arrive, the close as well', async () => {
  const one = await webSocketServer('one');
  const vip = await startHttp({ pools: { main: { servers: [one.address] } } });
  const { socket, next } = await chat(vip);
  expect(await next()).toBe('one');
  for (const size of [0, 1, 125, 126, 65_536, 1_000_000]) {
    socket.send('x'.repeat(size));
    expect((await next()).length).toBe(size);
  }
  expect([...vip.frontEnd.connections()]).toMatchObject([
    { client: '127.0.0.1', server: 'main-1', facts: { method: 'GET', protocol: 'websocket' } },
  ]);
  expect(vip.server('main-1').active).toBe(1);
  socket.close(4000, 'bye');
  const [code, reason] = await within(once(socket, 'close'), 'the end of the WebSocket');
  expect([code, String(reason)]).toEqual([4000, 'bye']);
  const [event] = await vip.events.count(1);
  expect(event).toMatchObject({ status: 101, server: 'main-1', path: '/chat', detail: undefined });
  expect(event!.bytes.toServer).toBeGreaterThan(1_000_000);
  expect(event!.bytes.toClient).toBeGreaterThan(1_000_000);
  await until(() => isIdle(vip) && [...vip.frontEnd.connections()].length === 0, 'nothing left');
  expect(vip.frontEnd.totals.tunnels).toBe(1);
});

test('WebSocket: the persistence of the requests before it, and a cookie with the 101', async () => {
  const servers = [await webSocketServer('main-1'), await webSocketServer('main-2')];
  const vip = await startHttp({
    pools: { main: { servers: servers.map(({ address }) => address) } },
    persistence: { by: ['cookie'], cookie: 'SRV' },
  });
  const first = await chat(vip);
  const name = await first.next();
  const [setCookie] = first.headers['set-cookie'] as string[];
  const cookie = setCookie!.split(';')[0]!;
  expect(createServerCookies({ key: vip.options.cookieKey }).read([cookie], 'SRV')).toEqual([name]);
  for (let count = 0; count < 3; count++) {
    const again = await chat(vip, { Cookie: cookie });
    expect(await again.next()).toBe(name);
    expect(again.headers['set-cookie']).toBeUndefined();
  }
});

test('an upgrade is asked for and granted with its own fields only; other hop-by-hop fields go', async () => {
  const one = await server(async (connection, requests) => {
    requests.add({ head: await readHead(connection) } as never);
    await send(connection, SWITCHING.replace('\r\n\r\n', '\r\nKeep-Alive: 5\r\nX-A: 1\r\n\r\n'));
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/', 'Connection: keep-alive, Upgrade', 'Upgrade: echo', 'Keep-Alive: 9'));
  expect(await readHead(client)).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nX-A: 1\r\nConnection: Upgrade\r\nUpgrade: echo',
  );
  expect(one.requests.items[0]!.head).toBe(
    'GET / HTTP/1.1\r\nHost: portal.example\r\nConnection: Upgrade\r\nUpgrade: echo',
  );
});

test('bytes that come right behind the heads are not lost, on either side', async () => {
  const one = await server(async (connection) => {
    await readHead(connection);
    await send(connection, `${SWITCHING}early `);
    await send(connection, (await connection.read(5)).toString());
  });
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, `${get('/', ...UPGRADE)}eager`);
  await readHead(client);
  expect((await client.read(11)).toString()).toBe('early eager');
});

test('half-close goes through a tunnel, each way', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/', ...UPGRADE));
  await readHead(client);
  await send(client, 'last words');
  client.end();
  expect((await client.readToEnd()).bytes.toString()).toBe('last words');
  await until(() => isIdle(vip), 'no tunnel');
});

test('a reset goes through a tunnel', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, get('/', ...UPGRADE));
  await readHead(client);
  const [connection] = one.connections.items;
  connection!.reset();
  expect(await client.ending).toBe('reset');
  expect((await vip.events.count(1))[0]!.detail).toContain('reset the connection');
  await until(() => isIdle(vip), 'no tunnel');
});

test('a server that does not upgrade: its answer is relayed, and the connection goes on', async () => {
  const one = await webServer(() => ok('no such protocol'));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client, get('/', ...UPGRADE))).body).toBe('no such protocol');
  expect((await ask(client, get('/'))).body).toBe('no such protocol');
  const refusing = await webServer(
    () => 'HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0\r\nContent-Length: 0\r\n\r\n',
  );
  const other = await startHttp({ pools: main(refusing) });
  expect((await ask(await other.open(), get('/', ...UPGRADE))).status).toBe(426);
});

test('an upgrade goes to the next server when the first cannot be had', async () => {
  const one = await webServer((_request, connection) => {
    connection.reset();
    return undefined;
  });
  const vip = await startHttp({ pools: main(one, await echoServer()) });
  const client = await vip.open();
  await send(client, get('/', ...UPGRADE));
  expect(await readHead(client)).toContain('101');
  expect([...vip.frontEnd.connections()][0]!.server).toBe('main-2');
});

test('h2c is not carried: what came through would pass by every rule', async () => {
  const one = await webServer(() => ok('plain'));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  const response = await ask(
    client,
    get(
      '/',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    ),
  );
  expect(response.body).toBe('plain');
  expect(one.requests.items[0]!.head).toBe('GET / HTTP/1.1\r\nHost: portal.example');
});

test('an upgrade with a body is refused', async () => {
  const one = await named('one');
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  await send(client, `POST / HTTP/1.1\r\nHost: a\r\n${UPGRADE.join('\r\n')}\r\nContent-Length: 1\r\n\r\nx`);
  expect((await readResponse(client)).status).toBe(400);
  expect(one.connections.length).toBe(0);
});

test('a tunnel in which nothing moves for too long is cut', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: main(one), timeouts: { tunnel: 150 } });
  const client = await vip.open();
  await send(client, get('/', ...UPGRADE));
  await readHead(client);
  for (let count = 0; count < 4; count++) {
    await client.dribble(Buffer.from('ab'), 50);
    await client.read(2);
  }
  expect(await client.ending).toBe('reset');
  expect((await vip.events.count(1))[0]!.detail).toBe('nothing came for 150 ms');
});

test('a tunnel counts as a connection of its server, and a request waits for its end', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: { main: { servers: [{ ...one.address, maxConnections: 1 }] } } });
  const client = await vip.open();
  await send(client, get('/', ...UPGRADE));
  await readHead(client);
  const waiting = await vip.open();
  await send(waiting, get());
  await until(() => vip.frontEnd.totals.requests === 2, 'a request in the queue');
  expect(vip.server('main-1').active).toBe(1);
  client.end();
  expect((await readResponse(waiting)).body).toBe('plain');
});

test('persistence is held while a tunnel lasts', async () => {
  const one = await echoServer();
  const vip = await startHttp({ pools: main(one), persistence: { by: ['source-ip'] }, ttl: 50 });
  const client = await vip.open();
  await send(client, get('/', ...UPGRADE));
  await readHead(client);
  const begun = now();
  await until(() => now() > begun + 100, 'twice the time of an entry');
  expect(vip.table.serverOf('main/source-ip=127.0.0.1')).toBe('main-1');
  client.end();
  await until(() => vip.table.serverOf('main/source-ip=127.0.0.1') === undefined, 'the end of the entry');
});
