/** What rules make of a request and of its answer: pools, rewriting and back, redirects, own answers, fields, forwarding. */
import { expect, test } from 'vitest';
import { compileRewrite } from '../../../protocols/http/rewrite.ts';
import { ask, get, post } from './messages.ts';
import { main, named, ok, startHttp, webServer } from './setup.ts';

test('rules by host, path, method, header, query and cookie lead to their pools', async () => {
  const pools = ['main', 'host', 'path', 'method', 'header', 'query', 'cookie'];
  const servers = Object.fromEntries(
    await Promise.all(pools.map(async (name) => [name, { servers: [(await named(name)).address] }])),
  );
  const vip = await startHttp({
    pools: servers,
    rules: [
      { when: { host: 'other.example' }, pool: 'host' },
      { when: { path: '/chat/*' }, pool: 'path' },
      { when: { method: 'DELETE' }, pool: 'method' },
      { when: { 'header.X-Site': 'north' }, pool: 'header' },
      { when: { 'query.view': ['a', 'b'] }, pool: 'query' },
      { when: { 'cookie.tenant': 't*' }, pool: 'cookie' },
    ],
  });
  const client = await vip.open();
  const answer = async (request: string) => (await ask(client, request)).body;
  expect(await answer(get('/'))).toBe('main');
  expect(await answer('GET / HTTP/1.1\r\nHost: OTHER.example:8080\r\n\r\n')).toBe('host');
  expect(await answer('GET http://other.example/x HTTP/1.1\r\nHost: other.example\r\n\r\n')).toBe('host');
  expect(await answer(get('/chat/x'))).toBe('path');
  expect(await answer(get('/a/../chat/x'))).toBe('path');
  expect(await answer('DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n')).toBe('method');
  expect(await answer(get('/', 'x-site: north'))).toBe('header');
  expect(await answer(get('/?x=1&view=b'))).toBe('query');
  expect(await answer(get('/', 'Cookie: a=b; tenant=t1'))).toBe('cookie');
});

test('no rule and no pool: 404; a rule that rejects: its status', async () => {
  const one = await named('one');
  const vip = await startHttp({
    pools: { other: { servers: [one.address] } },
    rules: [{ when: { path: '/admin/*' }, reject: '403', action: { reject: 403 } }],
  });
  const client = await vip.open();
  const missing = await ask(client, get('/x'));
  expect([missing.status, missing.field('connection')]).toEqual([404, undefined]);
  const refused = await ask(client, post('form').replace('/form', '/admin/x'));
  expect([refused.status, refused.field('connection')]).toEqual([403, undefined]);
  const head = await ask(client, 'HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(head.status).toBe(404);
  expect(Number(head.field('content-length'))).toBeGreaterThan(0);
  expect(one.connections.length).toBe(0);
  expect(vip.frontEnd.totals).toMatchObject({ requests: 3, refused: 3, errors: 0 });
  expect((await vip.events.count(3))[1]).toMatchObject({ status: 403, rule: 'routes[1]', pool: undefined });
});

test('redirect and respond', async () => {
  const vip = await startHttp({
    pools: main(await named('one')),
    rules: [
      {
        when: { host: 'old.example' },
        reject: 'redirect',
        action: { redirect: { to: 'https://new.example/', status: 302 } },
      },
      {
        when: { path: '/moved/*' },
        reject: 'redirect',
        action: { redirect: { to: ({ path, query }) => `/new${path}?${query}`, status: 308 } },
      },
      {
        when: { path: '/robots.txt' },
        reject: 'respond',
        action: { respond: { status: 200, body: 'Disallow: /ü\n', type: 'text/plain; charset=utf-8' } },
      },
      {
        when: { path: '/nothing' },
        reject: 'respond',
        action: { respond: { status: 204, body: '', type: 'text/plain' } },
      },
    ],
  });
  const client = await vip.open();
  const old = await ask(client, 'GET /x HTTP/1.1\r\nHost: old.example\r\n\r\n');
  expect([old.status, old.field('location'), old.field('content-length')]).toEqual([
    302,
    'https://new.example/',
    '0',
  ]);
  expect(Date.parse(old.field('date')!)).toBeGreaterThan(0);
  const moved = await ask(client, get('/moved/x?y=z'));
  expect([moved.status, moved.field('location')]).toEqual([308, '/new/moved/x?y=z']);
  const robots = await ask(client, get('/robots.txt'));
  expect([robots.status, Buffer.from(robots.body, 'latin1').toString()]).toEqual([200, 'Disallow: /ü\n']);
  const nothing = await ask(client, get('/nothing'));
  expect([nothing.status, nothing.field('content-length')]).toEqual([204, undefined]);
  expect(vip.frontEnd.totals).toMatchObject({ errors: 0, refused: 0 });
});

test("rewrite: the server sees the new path; Location and cookie paths come back in the client's terms", async () => {
  const one = await webServer(({ start, field }) => {
    if (start.includes('/login')) {
      return `HTTP/1.1 302 Found\r\nLocation: http://${field('host')}/home?x=1\r\nSet-Cookie: s=1; Path=/; HttpOnly\r\nContent-Length: 0\r\n\r\n`;
    }
    return ok(start, 'Content-Location: /doc');
  });
  const vip = await startHttp({
    pools: main(one),
    rules: [
      { when: { path: '/chat/*' }, pool: 'main', action: { rewrite: compileRewrite(['/chat/*'], '/$1') } },
    ],
  });
  const client = await vip.open();
  const plain = await ask(client, get('/chat/a/b?c=%20d'));
  expect([plain.body, plain.field('content-location')]).toEqual(['GET /a/b?c=%20d HTTP/1.1', '/chat/doc']);
  const login = await ask(client, get('/chat/login'));
  expect(login.field('location')).toBe('http://portal.example/chat/home?x=1');
  expect(login.field('set-cookie')).toBe('s=1; Path=/chat/; HttpOnly');
  expect((await ask(client, get('/other'))).body).toBe('GET /other HTTP/1.1');
});

test('Location that names the server by its address names the VIP to the client', async () => {
  const one = await webServer(
    () =>
      `HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:${one.address.port}/x/\r\nContent-Length: 0\r\n\r\n`,
  );
  const vip = await startHttp({ pools: main(one) });
  const response = await ask(await vip.open());
  expect(response.field('location')).toBe('http://portal.example/x/');
});

test('absolute-form goes on as a path with its Host; OPTIONS * stays what it is', async () => {
  const one = await webServer(({ start }) => ok(start));
  const vip = await startHttp({ pools: main(one) });
  const client = await vip.open();
  expect((await ask(client, 'GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n')).body).toBe(
    'GET /x?y HTTP/1.1',
  );
  expect(one.requests.items[0]!.fields('host')).toEqual(['a.example']);
  expect((await ask(client, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n')).body).toBe('OPTIONS * HTTP/1.1');
});

test('fields are removed, set and added, both ways; hop-by-hop fields go', async () => {
  const one = await webServer(() =>
    ok('x', 'Server: secret/1.0', 'Connection: X-Hop', 'X-Hop: 1', 'Keep-Alive: timeout=9', 'X-A: 1'),
  );
  const vip = await startHttp({
    pools: main(one),
    more: {
      headers: {
        request: { set: { 'X-Site': 'north' }, remove: ['X-Debug'] },
        response: { add: { 'X-A': '2' }, remove: ['Server'] },
      },
    },
  });
  const response = await ask(
    await vip.open(),
    get(
      '/',
      'x-debug: 1',
      'X-Site: forged',
      'Connection: keep-alive, X-Private',
      'X-Private: 1',
      'Proxy-Connection: x',
      'Keep-Alive: 5',
    ),
  );
  expect(response.head).toBe('HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 1\r\nX-A: 2');
  expect(one.requests.items[0]!.head).toBe('GET / HTTP/1.1\r\nHost: portal.example\r\nX-Site: north');
});

test('forwarded: replaced for a client that is not trusted, appended for one that is, off', async () => {
  const one = await named('one');
  const forged = ['X-Forwarded-For: 198.51.100.9', 'Forwarded: for=198.51.100.9'];
  const replaced = await startHttp({ pools: main(one), more: { forwarded: 'append' } });
  await ask(await replaced.open(), get('/', ...forged));
  const appended = await startHttp({
    pools: main(one),
    more: { forwarded: 'append', trusts: (address) => address === '127.0.0.1' },
  });
  await ask(await appended.open(), get('/', ...forged));
  const off = await startHttp({ pools: main(one), more: { forwarded: 'off' } });
  await ask(await off.open(), get('/', ...forged));
  const [first, second, third] = one.requests.items;
  expect(first!.fields('x-forwarded-for')).toEqual(['127.0.0.1']);
  expect(first!.field('forwarded')).toContain('for=127.0.0.1;proto=http;host=portal.example');
  expect([first!.field('x-forwarded-proto'), first!.field('x-forwarded-host')]).toEqual([
    'http',
    'portal.example',
  ]);
  expect(first!.field('x-forwarded-port')).toBe(String(replaced.address.port));
  expect(second!.fields('x-forwarded-for')).toEqual(['198.51.100.9, 127.0.0.1']);
  expect(second!.field('forwarded')).toMatch(/^for=198\.51\.100\.9, for=127\.0\.0\.1/);
  expect(third!.fields('x-forwarded-for')).toEqual(['198.51.100.9']);
});
