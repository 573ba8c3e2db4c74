import { expect, onTestFinished, test } from 'vitest';
import { createAdmin } from '../../src/admin/admin.ts';
import type { Entry, Layer4Persistence } from '../../src/admin/persistence.ts';
import { GantryError } from '../../src/errors.ts';
import { createKeyedHash } from '../../src/observe/privacy.ts';
import { askAdmin, idle } from '../peers/queue-admin.ts';

/** Of a table in memory. */
const own: Entry = {
  table: 'vip ARCHIVE',
  entry: 'archive/calling=CT1',
  pool: 'archive',
  by: 'calling',
  value: 'CT1',
  server: 'a',
  remaining: 1500,
};

/** Of a layer 4 VIP. */
function client(value: string, server: string): Entry {
  return { table: 'vip EIS', entry: value, pool: 'eis', by: 'source-ip', value, server, remaining: 60_000 };
}

interface Asked {
  readonly status: number;
  readonly body: unknown;
}

/** Asks an admin API whose layer 4 VIPs are behind `layer4`. */
async function start(
  layer4: Layer4Persistence | undefined,
  entries: readonly Entry[] = [own],
): Promise<(path: string, method?: string) => Promise<Asked>> {
  const cleared: Entry[] = [];
  const admin = await createAdmin({
    listen: { host: '127.0.0.1', port: 0 },
    token: undefined,
    hash: createKeyedHash(),
    hashUids: false,
    source: { ...idle, entries: () => entries, clear: (entry) => void cleared.push(entry), layer4 },
  });
  onTestFinished(() => admin.close());
  return async (path, method) => {
    const { status, body } = await askAdmin(admin.endpoint, path, method);
    return { status, body: JSON.parse(body) };
  };
}

/** A kernel that remembers these. */
function remembering(...clients: readonly Entry[]) {
  let kept = clients;
  const tables: (string | undefined)[] = [];
  const layer4: Layer4Persistence = {
    entries: async (table) => {
      tables.push(table);
      return kept;
    },
    clear: async (entries) => {
      const before = kept.length;
      kept = kept.filter((entry) => !entries.includes(entry));
      return before - kept.length;
    },
  };
  return { layer4, tables, left: () => kept.map(({ value }) => value) };
}

test('shows what the kernel remembers after what is in memory', async () => {
  const { layer4, tables } = remembering(client('10.1.0.7', 'eis-a'), client('10.1.0.8', 'eis-b'));
  const ask = await start(layer4);
  const { status, body } = await ask('/api/v1/persistence');
  expect(status).toBe(200);
  expect(body).toEqual([
    { table: 'vip ARCHIVE', pool: 'archive', by: 'calling', key: 'CT1', server: 'a', remaining: 1500 },
    { table: 'vip EIS', pool: 'eis', by: 'source-ip', key: '10.1.0.7', server: 'eis-a', remaining: 60_000 },
    { table: 'vip EIS', pool: 'eis', by: 'source-ip', key: '10.1.0.8', server: 'eis-b', remaining: 60_000 },
  ]);
  expect((await ask('/api/v1/persistence?key=10.1.0.8')).body).toEqual([
    expect.objectContaining({ server: 'eis-b' }),
  ]);
  expect((await ask('/api/v1/persistence?table=vip%20ARCHIVE')).body).toHaveLength(1);
  expect(tables).toEqual([undefined, undefined, 'vip ARCHIVE']);
});

test('an answer has 1000 entries at most, and then nobody asks the kernel', async () => {
  const many = Array.from({ length: 999 }, () => own);
  const some = remembering(client('10.1.0.7', 'eis-a'), client('10.1.0.8', 'eis-b'));
  expect((await (await start(some.layer4, many))('/api/v1/persistence')).body).toHaveLength(1000);
  const unasked = remembering();
  expect((await (await start(unasked.layer4, [...many, own]))('/api/v1/persistence')).body).toHaveLength(
    1000,
  );
  expect(unasked.tables).toEqual([]);
});

test('clears a client of a layer 4 VIP; one that was forgotten meanwhile is not counted', async () => {
  const { layer4, left } = remembering(client('10.1.0.7', 'eis-a'), client('10.1.0.8', 'eis-b'));
  const ask = await start(layer4);
  expect((await ask('/api/v1/persistence?key=10.1.0.7', 'DELETE')).body).toEqual({ cleared: 1 });
  expect(left()).toEqual(['10.1.0.8']);
  expect((await ask('/api/v1/persistence?table=vip%20EIS', 'DELETE')).body).toEqual({ cleared: 1 });
  expect(left()).toEqual([]);
  const forgetful = await start({ entries: async () => [client('10.1.0.9', 'eis-a')], clear: async () => 0 });
  expect((await forgetful('/api/v1/persistence?key=10.1.0.9', 'DELETE')).body).toEqual({ cleared: 0 });
});

test('a kernel that cannot be asked is a sentence', async () => {
  const refuse = () => Promise.reject(new GantryError('GTY_LAYER4', 'nft cannot be run: install nftables'));
  const ask = await start({ entries: refuse, clear: refuse });
  const refused = {
    status: 503,
    body: expect.objectContaining({ detail: 'nft cannot be run: install nftables' }),
  };
  expect(await ask('/api/v1/persistence')).toEqual(refused);
  expect(await ask('/api/v1/persistence', 'DELETE')).toEqual(refused);
});

test('without layer 4 VIPs there is nothing to ask', async () => {
  const ask = await start(undefined);
  expect((await ask('/api/v1/persistence')).body).toHaveLength(1);
  expect((await ask('/api/v1/persistence', 'DELETE')).body).toEqual({ cleared: 1 });
});
