import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  type AssociationEvent,
  type ConnectionEvent,
  events,
  notice,
  type RequestEvent,
} from '../../src/observe/events.ts';
import { type Log, type LogOptions, startLog } from '../../src/observe/log.ts';
import { createKeyedHash } from '../../src/observe/privacy.ts';

let folder: string;
let descriptor: number;
let log: Log | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gantry-log-'));
  descriptor = openSync(join(folder, 'log'), 'a');
});
afterEach(async () => {
  await log?.close();
  log = undefined;
  closeSync(descriptor);
  rmSync(folder, { recursive: true });
});

function start(options: Partial<LogOptions> = {}): void {
  log = startLog({ level: 'info', hashUids: false, hash: createKeyedHash(), descriptor, ...options });
}

function lines(): Record<string, unknown>[] {
  const text = readFileSync(join(folder, 'log'), 'utf8');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

const association: AssociationEvent = {
  vip: 'ARCHIVE',
  client: '127.0.0.1:40000',
  calling: 'CT1\n"',
  called: 'ARCHIVE',
  pool: 'archive',
  server: 'pacs-a',
  rule: 'default',
  reason: 'study 1.2.826.0.1.3680043.10.99 is there',
  attempts: 2,
  contexts: { proposed: 3, accepted: 2 },
  operations: { 'C-STORE': { '0000': 200 } },
  bytes: { toServer: 100_000, toClient: 5_000 },
  ms: 12.5,
  end: 'release',
  code: undefined,
  detail: undefined,
};

test('an association is one JSON line with the words of the contract', async () => {
  start();
  events.association.publish(association);
  await log?.close();
  expect(lines()).toHaveLength(1);
  expect(lines()[0]).toMatchObject({
    level: 'info',
    msg: 'association',
    vip: 'ARCHIVE',
    calling: 'CT1\n"',
    server: 'pacs-a',
    attempts: 2,
    operations: { 'C-STORE': { '0000': 200 } },
    end: 'release',
  });
  expect(lines()[0]?.time).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

const request: RequestEvent = {
  vip: 'PORTAL',
  client: '127.0.0.1:40000',
  id: 'abc-1',
  method: 'GET',
  host: 'portal.example',
  path: '/patients/INVENTED-0001',
  version: '1.1',
  status: 200,
  pool: 'web',
  server: 'web-1',
  rule: 'default',
  reason: 'persistence by header.study: 1.2.826.0.1.3680043.10.99',
  attempts: 1,
  bytes: { toServer: 0, toClient: 5 },
  ms: 1.5,
  detail: undefined,
};

const connection: ConnectionEvent = {
  vip: 'CLIENT',
  client: '127.0.0.1:40001',
  port: 443,
  pool: 'client',
  server: 'client-1',
  rule: 'default',
  reason: 'least busy',
  attempts: 1,
  bytes: { toServer: 7, toClient: 5 },
  ms: 1.5,
  end: 'closed',
  detail: undefined,
};

test('requests and connections are a line each, without a path and without UIDs that are to be hidden', async () => {
  const hash = createKeyedHash();
  start({ hash, hashUids: true });
  events.request.publish(request);
  events.connection.publish(connection);
  await log?.close();
  expect(lines()).toMatchObject([
    { msg: 'request', method: 'GET', status: 200, path: `hash:${hash(request.path!)}`, server: 'web-1' },
    { msg: 'connection', port: 443, server: 'client-1', end: 'closed' },
  ]);
  expect(lines()[0]?.reason).toMatch(/^persistence by header\.study: hash:[0-9a-f]{16}$/);
  expect(JSON.stringify(lines())).not.toMatch(/INVENTED|3680043/);
});

test('changes of state and notices are lines too, by their own weight', async () => {
  start({ level: 'warn' });
  const server = { pool: 'p', server: 's', address: 'a:1', previous: 'up', reason: 'refused' };
  events.server.publish({ ...server, state: 'up' });
  events.server.publish({ ...server, state: 'down' });
  notice('info', 'ready');
  notice('error', 'drift', { server: 's' });
  await log?.close();
  expect(lines()).toMatchObject([
    { level: 'warn', msg: 'server', state: 'down' },
    { level: 'error', msg: 'drift', server: 's' },
  ]);
});

test('a level that hides a kind of line leaves its channel without listeners', () => {
  expect(events.association.hasSubscribers).toBe(false);
  start({ level: 'warn' });
  for (const quiet of [events.association, events.message, events.request, events.connection]) {
    expect(quiet.hasSubscribers).toBe(false);
  }
  expect(events.server.hasSubscribers).toBe(true);
});

test('a line appears by itself, without more lines behind it', async () => {
  start();
  notice('info', 'ready');
  await vi.waitFor(() => expect(lines()).toMatchObject([{ msg: 'ready' }]), { timeout: 10_000 });
});

test('with hashUids a study UID is a keyed hash, the same one each time', async () => {
  start({ hashUids: true });
  events.association.publish(association);
  events.association.publish(association);
  await log?.close();
  const [one, other] = lines();
  expect(one?.reason).toMatch(/^study hash:[0-9a-f]{16} is there$/);
  expect(one?.reason).toBe(other?.reason);
});

test('ten thousand lines are all there, in order', async () => {
  start();
  for (let n = 0; n < 10_000; n++) notice('info', 'line', { n });
  await log?.close();
  expect(lines().map((line) => line.n)).toEqual(Array.from({ length: 10_000 }, (_, n) => n));
});
