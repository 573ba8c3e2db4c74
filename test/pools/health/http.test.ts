import { describe, expect, onTestFinished, test } from 'vitest';
import type { CheckResult } from '../../../src/pools/health/check.ts';
import type { HttpOptions } from '../../../src/pools/health/http.ts';
import { createAuthority } from '../../peers/certificates.ts';
import { startNginx } from '../../peers/nginx.ts';
import { describeWith, freePort } from '../../peers/processes.ts';
import { type TestConnection, TestListener } from '../../peers/test-connection.ts';
import { Journal } from '../../peers/waiting.ts';
import { ManualDeadlines } from './manual-deadlines.ts';
import { checkOf, resultOf } from './run-check.ts';

function asking(options: Partial<HttpOptions> = {}) {
  return {
    check: 'http',
    method: 'GET',
    path: '/health?token=secret',
    host: undefined,
    status: [{ from: 200, to: 399 }],
    body: undefined,
    json: [],
    ...options,
  } as const;
}

/** Answers the first bytes of each connection with `answer`, and closes unless told otherwise. */
async function serve(answer: string | Buffer, { closes = true } = {}) {
  const requests = new Journal<{ text: string; connection: TestConnection }>('requests');
  const server = new TestListener((connection) => {
    void connection.readSome().then(async (bytes) => {
      requests.add({ text: bytes?.toString('latin1') ?? '', connection });
      await connection.write(Buffer.from(answer));
      if (closes) connection.end();
    });
  });
  await server.start();
  onTestFinished(() => server.stop());
  return { ...server.address, requests };
}

function answer(
  status: string,
  body = '',
  headers = `Content-Length: ${Buffer.byteLength(body)}\r\n`,
): string {
  return `HTTP/1.1 ${status}\r\n${headers}\r\n${body}`;
}

async function asked(
  server: { host: string; port: number },
  options?: Partial<HttpOptions>,
): Promise<CheckResult> {
  return resultOf(asking(options), { host: server.host, port: server.port });
}

describe('http check', () => {
  test('asks once, on a connection of its own that ends', async () => {
    const server = await serve(answer('200 OK', 'fine'), { closes: false });
    expect(await asked(server)).toMatchObject({ outcome: 'up', reason: 'answers with status 200' });
    const [request] = await server.requests.count(1);
    const lines = request!.text.split('\r\n');
    expect(lines[0]).toBe('GET /health?token=secret HTTP/1.1');
    expect(lines.map((line) => line.toLowerCase())).toContain(`host: 127.0.0.1:${server.port}`);
    expect(lines.map((line) => line.toLowerCase())).toContain('connection: close');
    expect(await request!.connection.ending).toBe('end');
  });

  test('method and Host header', async () => {
    const server = await serve(answer('200 OK', '', 'Content-Length: 17\r\n'));
    expect((await asked(server, { method: 'HEAD', host: 'portal.example' })).outcome).toBe('up');
    const [request] = await server.requests.count(1);
    expect(request!.text).toMatch(/^HEAD [\s\S]*\r\nhost: portal\.example\r\n/i);
  });

  test('a status that is not wanted is down; a redirect is not followed', async () => {
    expect(await asked(await serve(answer('503 Service Unavailable')))).toMatchObject({
      outcome: 'down',
      reason: 'answers with status 503, not 200-399',
    });
    const elsewhere = await serve(answer('302 Found', '', 'Location: /login\r\nContent-Length: 0\r\n'));
    expect((await asked(elsewhere)).reason).toBe('answers with status 302');
    expect((await asked(elsewhere, { status: [{ from: 200, to: 200 }] })).outcome).toBe('down');
    expect(elsewhere.requests.length).toBe(2);
  });

  test('what the body must say, in chunks of any size', async () => {
    const chunks = '{"status":"UP"}'
      .split('')
      .map((letter) => `1\r\n${letter}\r\n`)
      .join('');
    const server = await serve(answer('200 OK', `${chunks}0\r\n\r\n`, 'Transfer-Encoding: chunked\r\n'));
    const json = (pattern: string) => [{ path: ['status'], patterns: [pattern] }];
    expect((await asked(server, { body: '"UP"', json: json('UP') })).outcome).toBe('up');
    expect(await asked(server, { json: json('DOWN') })).toMatchObject({
      outcome: 'down',
      reason: 'answers, but its JSON has not the value that is wanted at status',
    });
    expect((await asked(server, { body: 'DOWN' })).reason).not.toContain('UP');
  });

  test('a body that ends with the connection', async () => {
    const server = await serve('HTTP/1.0 200 OK\r\n\r\nall well');
    expect((await asked(server, { body: 'all well' })).outcome).toBe('up');
  });

  test('of an endless body 64 KiB are read', async () => {
    const early = `begin${'x'.repeat(100_000)}`;
    const late = `${'x'.repeat(70_000)}end`;
    const endless = { closes: false };
    const length = 'Content-Length: 10000000\r\n';
    const server = await serve(answer('200 OK', early, length), endless);
    expect((await asked(server, { body: 'begin' })).outcome).toBe('up');
    const [request] = await server.requests.count(1);
    await request!.connection.ending;
    const other = await serve(answer('200 OK', late, length), endless);
    expect((await asked(other, { body: 'end' })).reason).toBe(
      'answers, but its body has not the text that is wanted',
    );
  });

  test('an endless body that nobody asked for is read for a second, then dropped', async () => {
    const server = await serve(answer('200 OK', 'begin', 'Content-Length: 1000\r\n'), { closes: false });
    const deadlines = new ManualDeadlines();
    const result = await resultOf(asking(), { host: server.host, port: server.port, deadlines });
    expect(result.outcome).toBe('up');
    deadlines.pass(1000);
    await server.requests.items[0]!.connection.ending;
  });

  test('a server that answers garbage, half an answer, nothing: down', async () => {
    const garbage = await asked(await serve('\x00\x01 what?\r\n\r\n'));
    expect(garbage).toMatchObject({
      outcome: 'down',
      reason: expect.stringMatching(/^answers with something that is not HTTP \(HPE_/),
    });
    const half = await asked(await serve(answer('200 OK', 'half', 'Content-Length: 1000\r\n')), {
      body: 'half',
    });
    expect(half).toMatchObject({
      outcome: 'down',
      reason: 'breaks the connection instead of answering in full',
    });
    const nothing = await asked(await serve(''));
    expect(nothing).toMatchObject({
      outcome: 'down',
      reason: 'breaks the connection instead of answering in full',
    });
  });

  test('endless headers are not gathered', async () => {
    const server = await serve(`HTTP/1.1 200 OK\r\n${'X-Endless: header\r\n'.repeat(5000)}`, {
      closes: false,
    });
    expect((await asked(server)).reason).toMatch(/not HTTP \(HPE_HEADER_OVERFLOW\)/);
  });

  test('a server that accepts TCP and never answers, or stops inside its body: down at the time-out', async () => {
    for (const [text, options] of [
      ['', {}],
      [answer('200 OK', 'ha', 'Content-Length: 4\r\n'), { body: 'ha' }],
    ] as const) {
      const server = await serve(text, { closes: false });
      const deadlines = new ManualDeadlines();
      const result = resultOf(asking(options), {
        host: server.host,
        port: server.port,
        timeout: 3000,
        deadlines,
      });
      await server.requests.count(1);
      deadlines.pass(3000);
      expect(await result).toMatchObject({
        outcome: 'down',
        reason: 'takes connections, but does not answer in full within 3000 ms',
      });
      await server.requests.items[0]!.connection.ending;
    }
  });

  test('refused: down', async () => {
    const port = await freePort();
    expect((await asked({ host: '127.0.0.1', port })).reason).toBe(`127.0.0.1:${port} refuses connections`);
  });

  test('an upgrade that nobody asked for is judged by its status', async () => {
    const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
    expect((await asked(await serve(upgrade, { closes: false }))).reason).toBe(
      'answers with status 101, not 200-399',
    );
  });

  test('cancelled, it says nothing and hangs up', async () => {
    const server = await serve('', { closes: false });
    let said = 0;
    const cancel = checkOf(asking(), { host: server.host, port: server.port }).start(() => said++);
    const [request] = await server.requests.count(1);
    cancel();
    await request!.connection.ending;
    expect(said).toBe(0);
  });

  test('a PROXY header goes before the request, and no TLS where the check is http', async () => {
    const server = await serve(answer('200 OK'));
    const link = { tls: { verify: true }, proxyHeader: Buffer.from('PROXY UNKNOWN\r\n') };
    await resultOf(asking(), { host: server.host, port: server.port, link });
    const [request] = await server.requests.count(1);
    expect(request!.text).toMatch(/^PROXY UNKNOWN\r\n(GET |$)/);
  });

  test('equal checks have equal keys, whatever the pool says of TLS', () => {
    const key = (options: Partial<HttpOptions>, link?: object) => checkOf(asking(options), { link }).key;
    expect(key({}, { tls: { verify: false } })).toBe(key({}));
    const others = [{}, { path: '/' }, { host: 'a.test' }, { status: [] }, { body: 'x' }, { method: 'HEAD' }];
    expect(new Set(others.map((options) => key(options))).size).toBe(others.length);
  });
});

describeWith(['nginx-light'], 'http and https check of nginx', () => {
  const server = `
    location = /health { default_type application/json; return 200 '{"status":"UP","load":[1,2]}'; }
    location = /busy { return 503; }
    location / { return 200 "$scheme $host $ssl_server_name"; }`;

  test('http', async () => {
    const nginx = await startNginx('a', { server });
    onTestFinished(() => nginx.stop());
    const json = [{ path: ['load', 1], patterns: ['2'] }];
    expect((await asked(nginx.address, { path: '/health', json })).outcome).toBe('up');
    expect((await asked(nginx.address, { path: '/busy' })).outcome).toBe('down');
    await nginx.stop();
    expect((await asked(nginx.address)).outcome).toBe('down');
  });

  test('https: verified by the name that is asked for, which nginx sees', async () => {
    const authority = await createAuthority();
    const certificate = await authority.issue({ names: ['portal.test'], days: 30 });
    const nginx = await startNginx('a', { server, certificate });
    onTestFinished(() => nginx.stop());
    const tls = { verify: true, ca: authority.ca, servername: 'portal.test' };
    const over = (used: typeof tls, options: Partial<HttpOptions>) =>
      resultOf({ ...asking(options), check: 'https', tls: used }, nginx.address);
    const text = 'https portal.test portal.test';
    expect(await over(tls, { path: '/', host: 'portal.test', body: text })).toMatchObject({
      outcome: 'up',
      reason: 'answers with status 200',
    });
    expect((await over({ ...tls, servername: 'other.test' }, {})).outcome).toBe('down');
    expect((await over({ ...tls, servername: 'other.test', verify: false }, {})).outcome).toBe('up');
  });

  test('https: a certificate that is about to expire is part of the reason', async () => {
    const authority = await createAuthority();
    const certificate = await authority.issue({ names: ['portal.test'], days: 3 });
    const nginx = await startNginx('a', { server, certificate });
    onTestFinished(() => nginx.stop());
    const options = { ...asking(), check: 'https', tls: { verify: false } } as const;
    expect((await resultOf(options, nginx.address)).reason).toMatch(
      /^answers with status 200; its certificate expires on /,
    );
  });
});
