/** Cookies that bring clients back: set, honoured, replaced, never forwarded, never believed without their key. */
import { expect, test } from 'vitest';
import { createServerCookies } from '../../../src/frontends/http/server-cookie.ts';
import { now } from '../../peers/lived-time.ts';
import { createGate, until } from '../../peers/waiting.ts';
import { ask, get, readHead, send } from './messages.ts';
import { named, type Sketch, startHttp, webServer } from './setup.ts';

const SRV = { by: ['cookie'], cookie: 'SRV' };

async function threeServers(persistence: Sketch['persistence'] = SRV) {
  const servers = [await named('main-1'), await named('main-2'), await named('main-3')];
  const vip = await startHttp({
    pools: { main: { servers: servers.map(({ address }) => address) } },
    persistence,
  });
  return { servers, vip };
}

/** `SRV=…` of a Set-Cookie. */
function cookieOf(setCookie: string | undefined): string {
  return setCookie!.split(';')[0]!;
}

test('a client gets a cookie once, comes back to its server by it, and the server sees nothing of it', async () => {
  const { servers, vip } = await threeServers();
  for (let clients = 0; clients < 6; clients++) {
    const first = await ask(await vip.open());
    const setCookie = first.field('set-cookie')!;
    expect(setCookie).toMatch(/^SRV=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/);
    for (let count = 0; count < 3; count++) {
      const again = await ask(await vip.open(), get('/', `Cookie: a=1; ${cookieOf(setCookie)}; b=2`));
      expect([again.body, again.field('set-cookie')]).toEqual([first.body, undefined]);
    }
  }
  const cookies = servers.flatMap(({ requests }) =>
    requests.items.flatMap(({ field }) => field('cookie') ?? []),
  );
  expect(new Set(cookies)).toEqual(new Set(['a=1; b=2']));
  expect(servers.map(({ requests }) => requests.length)).toEqual([8, 8, 8]);
});

test('a forged cookie brings nobody anywhere, and is replaced', async () => {
  const { vip } = await threeServers();
  const { 'set-cookie': good } = {
    'set-cookie': cookieOf((await ask(await vip.open())).field('set-cookie')),
  };
  const stranger = createServerCookies({ key: Buffer.from('a key that somebody made up') });
  const forged = [
    'SRV=main-3',
    'SRV=main-3~',
    `SRV=main-3~${good.split('~')[1]}`,
    cookieOf(stranger.write('SRV', 'main-3', [], { secure: false })),
    `SRV=${'x'.repeat(4000)}`,
  ];
  const bodies = [];
  for (const cookie of forged) {
    const response = await ask(await vip.open(), get('/', `Cookie: ${cookie}`));
    expect(response.field('set-cookie')).toMatch(/^SRV=/);
    bodies.push(response.body);
  }
  // They take turns as anybody does.
  expect(bodies).toEqual(['main-2', 'main-3', 'main-1', 'main-2', 'main-3']);
});

test('the cookie of a server that is down: chosen anew, and the cookie replaced', async () => {
  const { vip } = await threeServers();
  const first = await ask(await vip.open());
  const cookie = cookieOf(first.field('set-cookie'));
  vip.server(first.body).halt();
  const second = await ask(await vip.open(), get('/', `Cookie: ${cookie}`));
  expect(second.body).not.toBe(first.body);
  const moved = cookieOf(second.field('set-cookie'));
  vip.server(first.body).online();
  const third = await ask(await vip.open(), get('/', `Cookie: ${moved}`));
  expect([third.body, third.field('set-cookie')]).toEqual([second.body, undefined]);
});

test('the cookie of a server that drains is honoured', async () => {
  const { vip } = await threeServers();
  const first = await ask(await vip.open());
  vip.server(first.body).drain();
  const again = await ask(await vip.open(), get('/', `Cookie: ${cookieOf(first.field('set-cookie'))}`));
  expect([again.body, again.field('set-cookie')]).toEqual([first.body, undefined]);
  for (let count = 0; count < 4; count++) expect((await ask(await vip.open())).body).not.toBe(first.body);
});

test('a server that cannot be had at this moment: the next one takes the work and the cookie', async () => {
  const { servers, vip } = await threeServers();
  const first = await ask(await vip.open());
  await servers.find((_server, index) => `main-${index + 1}` === first.body)!.listener.stop();
  const client = await vip.open();
  const second = await ask(client, get('/', `Cookie: ${cookieOf(first.field('set-cookie'))}`));
  expect(second.status).toBe(200);
  expect(second.body).not.toBe(first.body);
  expect(second.field('set-cookie')).toMatch(/^SRV=/);
});

test('cookie, then source IP: a client without cookies comes back by its address', async () => {
  const { vip } = await threeServers({ by: ['cookie', 'source-ip'], cookie: 'SRV' });
  const first = await ask(await vip.open('127.0.0.2'));
  expect(vip.table.entry('main/source-ip=127.0.0.2')).toMatchObject({ server: first.body });
  expect((await ask(await vip.open('127.0.0.2'))).body).toBe(first.body);
  const other = await ask(await vip.open('127.0.0.3'));
  expect(other.body).not.toBe(first.body);
  const cookie = cookieOf(first.field('set-cookie'));
  expect((await ask(await vip.open('127.0.0.3'), get('/', `Cookie: ${cookie}`))).body).toBe(first.body);
});

test('source IP: nothing is kept of a server that never answered', async () => {
  const one = await webServer((_request, connection) => {
    connection.reset();
    return undefined;
  });
  const vip = await startHttp({
    pools: { main: { servers: [one.address] } },
    persistence: { by: ['source-ip'] },
  });
  expect((await ask(await vip.open())).status).toBe(502);
  expect(vip.table.serverOf('main/source-ip=127.0.0.1')).toBeUndefined();
});

test('source IP: an entry lives while a long answer lasts, and for its time after that', async () => {
  const door = createGate();
  const one = await webServer(async (_request, connection) => {
    await send(connection, 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlo');
    await door.opened;
    return 'ng';
  });
  const vip = await startHttp({
    pools: { main: { servers: [one.address] } },
    persistence: { by: ['source-ip'] },
    ttl: 50,
  });
  const client = await vip.open();
  await send(client, get());
  await readHead(client);
  const begun = now();
  await until(() => now() > begun + 100, 'twice the time of an entry');
  expect(vip.table.serverOf('main/source-ip=127.0.0.1')).toBe('main-1');
  door.open();
  await client.read(4);
  await until(() => vip.table.serverOf('main/source-ip=127.0.0.1') === undefined, 'the end of the entry');
});

test('two pools may share the name of a cookie: each keeps its own server', async () => {
  const chat = [await named('chat-1'), await named('chat-2')];
  const servers = [await named('main-1'), await named('main-2')];
  const vip = await startHttp({
    pools: {
      main: { servers: servers.map(({ address }) => address) },
      chat: { servers: chat.map(({ address }) => address) },
    },
    rules: [{ when: { path: '/chat/*' }, pool: 'chat' }],
    persistence: SRV,
  });
  const web = await ask(await vip.open());
  const both = await ask(await vip.open(), get('/chat/x', `Cookie: ${cookieOf(web.field('set-cookie'))}`));
  const cookie = `Cookie: ${cookieOf(both.field('set-cookie'))}`;
  for (let count = 0; count < 3; count++) {
    const same = await ask(await vip.open(), get('/', cookie));
    expect([same.body, same.field('set-cookie')]).toEqual([web.body, undefined]);
    const again = await ask(await vip.open(), get('/chat/y', cookie));
    expect([again.body, again.field('set-cookie')]).toEqual([both.body, undefined]);
  }
});

test('an error of our own and a server that refuses set no cookie, or the right one', async () => {
  const refusing = await webServer(() => 'HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n');
  const vip = await startHttp({ pools: { main: { servers: [refusing.address] } }, persistence: SRV });
  expect((await ask(await vip.open())).field('set-cookie')).toMatch(/^SRV=main-1~/);
  vip.server('main-1').halt();
  expect((await ask(await vip.open())).field('set-cookie')).toBeUndefined();
});
