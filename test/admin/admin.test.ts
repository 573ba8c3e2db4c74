import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { type Admin, type AdminOptions, type AdminSource, createAdmin } from '../../src/admin/admin.ts';
import type { ReloadResult } from '../../src/admin/changes.ts';
import type { ConnectionDocument, StatusDocument } from '../../src/admin/documents.ts';
import type { Entry } from '../../src/admin/persistence.ts';
import { createKeyedHash } from '../../src/observe/privacy.ts';
import { askAdmin, idle } from '../peers/queue-admin.ts';
import { layer4Status } from './layer4-status.ts';

const status: StatusDocument = {
  version: '0.1.0',
  uptime: 12.5,
  vips: [
    {
      name: 'ARCHIVE',
      protocol: 'dicom',
      mode: 'proxy',
      listen: ['127.0.0.1:104'],
      pool: null,
      persistence: 'calling',
      connections: 3,
      totals: { associations: 10 },
    },
  ],
  pools: [
    {
      name: 'archive',
      balance: 'least-busy',
      health: 'connect',
      mode: 'shared',
      activeServer: null,
      servers: [
        {
          name: 'a',
          address: '127.0.0.1:1104',
          state: 'up',
          since: '2026-01-01T00:00:00.000Z',
          reason: 'the check succeeded',
          weight: 1,
          active: 2,
          totals: { associations: 5, failures: 1 },
        },
      ],
    },
  ],
};

const connection: ConnectionDocument = {
  id: '7',
  vip: 'ARCHIVE',
  protocol: 'dicom',
  client: '127.0.0.1:50000',
  facts: {
    calling: 'CT1',
    modality: ['CT', 'MR'],
    method: 'GET',
    protocol: 'websocket',
    patient: 'INVENTED-1',
    accession: ['A1', 'A2'],
  },
  pool: 'archive',
  server: null,
  bytes: { toServer: 1, toClient: 2 },
  messages: 3,
  age: 4,
  reason: null,
};

/** A balancer that has nothing to tell. */
const nothing: AdminSource = { ...idle, status: () => status };

let admin: Admin | undefined;
let ready = true;
afterEach(async () => {
  await admin?.close();
  admin = undefined;
  ready = true;
});

async function start(options: Partial<AdminOptions> = {}): Promise<Admin> {
  admin = await createAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    token: undefined,
    hash: createKeyedHash(),
    hashUids: false,
    source: { ...nothing, ready: () => ready, status: () => status, connections: () => [connection] },
    ...options,
  });
  return admin;
}

const ask = (path: string, method = 'GET', headers: Record<string, string> = {}, body?: object) =>
  askAdmin(admin!.endpoint, path, method, headers, body);

test('status and connections are the documents of the contract', async () => {
  await start();
  const answer = await ask('/api/v1/status');
  expect(answer.headers['content-type']).toContain('application/json');
  expect(JSON.parse(answer.body)).toEqual(status);
  const [shown] = JSON.parse((await ask('/api/v1/connections')).body);
  expect({ ...shown, facts: connection.facts }).toEqual(connection);
});

test('layer 4 VIPs have their servers with them', async () => {
  await start({ source: { ...nothing, status: () => layer4Status } });
  expect(JSON.parse((await ask('/api/v1/status')).body)).toEqual(layer4Status);
});

test('facts outside the allow-list are keyed hashes', async () => {
  await start();
  const { body } = await ask('/api/v1/connections');
  const [{ facts }] = JSON.parse(body);
  expect(facts).toEqual({
    calling: 'CT1',
    modality: ['CT', 'MR'],
    method: 'GET',
    protocol: 'websocket',
    patient: expect.stringMatching(/^hash:[0-9a-f]{16}$/),
    accession: [expect.stringMatching(/^hash:/), expect.stringMatching(/^hash:/)],
  });
  expect(body).not.toContain('INVENTED');
});

test('healthz is alive, readyz is 503 while starting or draining', async () => {
  await start();
  expect((await ask('/healthz')).status).toBe(200);
  expect((await ask('/readyz')).status).toBe(200);
  ready = false;
  const answer = await ask('/readyz');
  expect(answer.status).toBe(503);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  expect((await ask('/healthz')).status).toBe(200);
});

test('errors are problem details', async () => {
  await start();
  const missing = await ask('/api/v1/nothing?x=1');
  expect(missing.headers['content-type']).toContain('application/problem+json');
  expect(JSON.parse(missing.body)).toMatchObject({ type: 'about:blank', title: 'Not Found', status: 404 });
  const wrong = await ask('/api/v1/status', 'POST');
  expect(wrong.status).toBe(405);
  expect(wrong.headers.allow).toBe('GET, HEAD');
  expect((await ask('/%zz')).status).toBe(400);
  expect((await ask('/api/v1/status', 'HEAD')).status).toBe(200);
});

test('an error inside is a problem without its message', async () => {
  const fail = () => {
    throw new Error('secret thing');
  };
  await start({ source: { ...nothing, status: fail } });
  const answer = await ask('/api/v1/status');
  expect(answer.status).toBe(500);
  expect(answer.body).not.toContain('secret');
  expect(JSON.parse(answer.body).title).toBe('Internal Server Error');
});

test('bytes that are not HTTP are answered with 400', async () => {
  const { endpoint } = await start();
  const socket = connect(endpoint.port, '127.0.0.1');
  socket.write('\x01\x02\x03\r\n\r\n');
  expect(await text(socket)).toMatch(/^HTTP\/1.1 400 /);
});

test('away from loopback everything but probes and the page needs the token', async () => {
  await start({ listen: { host: '0.0.0.0', port: 0 }, token: 'open-sesame' });
  expect((await ask('/healthz')).status).toBe(200);
  expect((await ask('/')).status).toBe(200);
  const refused = await ask('/api/v1/status');
  expect(refused.status).toBe(401);
  expect(refused.headers['www-authenticate']).toBe('Bearer');
  expect((await ask('/api/v1/nothing')).status).toBe(401);
  expect((await ask('/api/v1/status', 'GET', { authorization: 'Bearer wrong' })).status).toBe(401);
  expect((await ask('/api/v1/status', 'GET', { authorization: 'Bearer open-sesame' })).status).toBe(200);
});

test('on loopback reads are open, to loopback names only, and changes need the token', async () => {
  await start({ token: 'open-sesame' });
  expect((await ask('/api/v1/status', 'GET', { host: 'localhost:9090' })).status).toBe(200);
  expect((await ask('/api/v1/status', 'GET', { host: '[::1]:9090' })).status).toBe(200);
  expect((await ask('/api/v1/status', 'GET', { host: 'evil.example' })).status).toBe(403);
  expect((await ask('/api/v1/status', 'POST')).status).toBe(401);
});

test('changes from another origin are refused', async () => {
  await start();
  const foreign = await ask('/api/v1/reload', 'POST', { origin: 'http://evil.example', host: 'localhost' });
  expect(foreign.status).toBe(403);
  const own = await ask('/api/v1/reload', 'POST', { origin: 'http://localhost', host: 'localhost' });
  expect(own.status).toBe(200);
});

test('the OpenAPI document names every path', async () => {
  await start();
  const document = JSON.parse((await ask('/api/v1/openapi.json')).body);
  for (const [path, calls] of Object.entries<object>(document.paths)) {
    if ('get' in calls && !path.includes('{')) expect((await ask(path)).status).toBe(200);
    for (const method of Object.keys(calls).filter((key) => /^(?:get|post|patch|delete)$/.test(key))) {
      const { body } = await ask(path.replace(/\{\w+\}/g, '1'), method.toUpperCase());
      expect({ path, body }).not.toEqual({ path, body: expect.stringContaining('nothing at this path') });
      expect({ path, body }).not.toEqual({ path, body: expect.stringContaining('This path takes') });
    }
  }
  expect(Object.keys(document.paths)).toContain('/api/v1/status');
});

test('the page is one document with a strict policy', async () => {
  await start();
  const { body, headers } = await ask('/');
  expect(headers['content-security-policy']).toMatch(
    /^default-src 'none'; style-src 'sha256-[^ ]+'; script-src 'sha256-/,
  );
  expect(headers['content-security-policy']).not.toContain('unsafe');
  expect(body).toContain('light-dark(');
  expect(body).not.toMatch(/(?:src|href)=/);
  expect(headers['x-content-type-options']).toBe('nosniff');
});

test('a port that is taken is said with its name', async () => {
  const { endpoint } = await start();
  const second = createAdmin({
    listen: endpoint,
    token: undefined,
    hash: createKeyedHash(),
    hashUids: false,
    source: nothing,
  });
  await expect(second).rejects.toThrow(`admin: 127.0.0.1:${endpoint.port} cannot be listened on: EADDRINUSE`);
});

describe('changes', () => {
  const asked: unknown[] = [];
  const server = status.pools[0]!.servers[0]!;
  const source: AdminSource = {
    ...nothing,
    change(pool, name, change) {
      if (pool !== 'archive' || name !== '10.0.0.1:104') return undefined;
      asked.push(change);
      return server;
    },
  };
  const at = '/api/v1/pools/archive/servers/10.0.0.1%3A104';
  const json = { 'content-type': 'application/json' };
  afterEach(() => void asked.splice(0));

  test.each([
    ['drain', { to: 'drain', strict: false }],
    ['drain?strict=true', { to: 'drain', strict: true }],
    ['halt', { to: 'halt' }],
    ['online', { to: 'online' }],
  ])('%s is answered with the new status of the server', async (action, change) => {
    await start({ source });
    const answer = await ask(`${at}/${action}`, 'POST');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual(server);
    expect(asked).toEqual([change]);
  });

  test('weight and limit, of the values that the configuration takes', async () => {
    await start({ source });
    expect((await ask(at, 'PATCH', json, { weight: 3, maxConnections: null })).status).toBe(200);
    expect(asked).toEqual([{ to: 'set', weight: 3, maxConnections: null }]);
    for (const wrong of [{}, { weight: -1 }, { weight: 'much' }, { maxConnections: 0 }, { colour: 'red' }]) {
      const answer = await ask(at, 'PATCH', json, wrong);
      expect({ wrong, status: answer.status }).toEqual({ wrong, status: 400 });
      expect(JSON.parse(answer.body).detail).toMatch(/^The body.* must/);
    }
    expect(asked).toHaveLength(1);
  });

  test('of a server that is not there: 404', async () => {
    await start({ source });
    const answer = await ask('/api/v1/pools/archive/servers/nobody/drain', 'POST');
    expect(JSON.parse(answer.body)).toMatchObject({
      status: 404,
      detail: expect.stringContaining('no such server'),
    });
  });

  test('need the token when one is set, the new one from when it is set on', async () => {
    const started = await start({ source, token: 'open-sesame' });
    const bearing = (token: string) => ask(`${at}/halt`, 'POST', { authorization: `Bearer ${token}` });
    expect((await ask(`${at}/halt`, 'POST')).status).toBe(401);
    expect((await bearing('open-sesame')).status).toBe(200);
    started.setToken('other');
    expect((await bearing('open-sesame')).status).toBe(401);
    expect((await bearing('other')).status).toBe(200);
  });

  test('a reload is answered with what changed, or with all faults', async () => {
    const changes = [{ kind: 'vip', name: 'WEB', what: 'added', nextStart: false } as const];
    const faults = [{ file: 'a.yaml', line: 3, column: 5, path: 'vips.WEB', message: 'is not a record' }];
    let result: ReloadResult = { done: { changes } };
    await start({ source: { ...nothing, reload: async () => result } });
    const done = await ask('/api/v1/reload', 'POST');
    expect(done.status).toBe(200);
    expect(JSON.parse(done.body)).toEqual({ changes });
    result = { faults, detail: 'The configuration has 1 fault; nothing was changed.' };
    const refused = await ask('/api/v1/reload', 'POST');
    expect(refused.status).toBe(422);
    expect(refused.headers['content-type']).toContain('application/problem+json');
    expect(JSON.parse(refused.body)).toMatchObject({ status: 422, faults });
  });
});

describe('persistence', () => {
  const entry = (by: string, value: string): Entry => ({
    table: 'vip ARCHIVE',
    entry: `archive/${by}=${value}`,
    pool: 'archive',
    by,
    value,
    server: 'a',
    remaining: 1500.4,
  });
  const all = [entry('calling', 'CT1'), entry('source-ip', '10.0.0.9'), entry('patient', 'INVENTED-7')];

  test('shows entries; keys that may be patient data as keyed hashes', async () => {
    await start({ source: { ...nothing, entries: () => all } });
    const { body } = await ask('/api/v1/persistence');
    expect(body).not.toContain('INVENTED');
    expect(JSON.parse(body)).toEqual([
      { table: 'vip ARCHIVE', pool: 'archive', by: 'calling', key: 'CT1', server: 'a', remaining: 1500 },
      expect.objectContaining({ by: 'source-ip', key: '10.0.0.9' }),
      expect.objectContaining({ by: 'patient', key: expect.stringMatching(/^hash:[0-9a-f]{16}$/) }),
    ]);
    expect(JSON.parse((await ask('/api/v1/persistence?key=CT1')).body)).toHaveLength(1);
    expect(JSON.parse((await ask('/api/v1/persistence?table=vip%20OTHER')).body)).toEqual([]);
  });

  test('what lives for ever has no time left to tell', async () => {
    const study = { ...entry('study', '1.2.3'), remaining: Infinity };
    await start({ source: { ...nothing, entries: () => [study] } });
    expect(JSON.parse((await ask('/api/v1/persistence')).body)).toEqual([
      expect.objectContaining({ by: 'study', key: '1.2.3', remaining: null }),
    ]);
  });

  test('clears by the key, or by the hash that is shown for it', async () => {
    const cleared: Entry[] = [];
    await start({ source: { ...nothing, entries: () => all, clear: (one) => void cleared.push(one) } });
    const [, , shown] = JSON.parse((await ask('/api/v1/persistence')).body);
    expect(JSON.parse((await ask(`/api/v1/persistence?key=${shown.key}`, 'DELETE')).body)).toEqual({
      cleared: 1,
    });
    expect(JSON.parse((await ask('/api/v1/persistence?key=CT1', 'DELETE')).body)).toEqual({ cleared: 1 });
    expect(cleared).toEqual([all[2], all[0]]);
  });
});
