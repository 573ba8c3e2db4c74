/** A disk without room: a file system of 1 MiB in memory, which only root may mount. */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { openFile } from '../../src/queue/file.ts';
import type { QueueSettings } from '../../src/queue/message.ts';
import type { MessageStore } from '../../src/queue/message-store.ts';
import type { Operation } from '../../src/queue/operations.ts';
import { openStore, scratchFolder, storing } from './scratch.ts';

const BODY = 'x'.repeat(4000);

function smallDisk({ skip }: TestContext): string {
  skip(process.getuid?.() !== 0, 'needs root, to mount a small file system');
  const folder = scratchFolder();
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], {
    encoding: 'utf8',
  });
  skip(status !== 0, `needs to mount a small file system: ${stderr}`);
  onTestFinished(() => {
    // Also when a test failed and its queue is open.
    spawnSync('umount', ['--lazy', folder]);
  });
  return folder;
}

/** Stores messages of a few patients until one is refused. Returns the ids of those before. */
function fill(store: MessageStore): number[] {
  const ids: number[] = [];
  for (;;) {
    const [result] = store.commit([storing([`P${ids.length % 5}`], BODY)], 0).results;
    if (typeof result !== 'number') {
      expect(result).toEqual({ refusal: 'no space' });
      return ids;
    }
    ids.push(result);
    expect(ids.length).toBeLessThan(1000);
  }
}

/** Delivers all there is. Returns the ids. */
function deliverAll(store: MessageStore): number[] {
  const ids: number[] = [];
  store.commit([{ do: 'window', size: 10 }], 0);
  for (;;) {
    const { handed, trouble } = store.commit([], 0);
    expect(trouble).toBeUndefined();
    if (handed.length === 0) return ids;
    ids.push(...handed.map(({ id }) => id));
    const done = store.commit(
      handed.map(({ id }) => ({ do: 'delivered', id })),
      0,
    );
    expect(done.trouble).toBeUndefined();
  }
}

const sorted = (ids: readonly number[]) => ids.toSorted((one, other) => one - other);

test('a full disk: nothing is acknowledged that is not stored, and all that was is delivered when there is room', (context) => {
  const folder = smallDisk(context);
  const ballast = ['ballast-1', 'ballast-2'].map((name) => join(folder, name));
  for (const path of ballast) writeFileSync(path, Buffer.alloc(300 * 1024));
  const file = join(folder, 'queue');
  let store = openStore(file);
  const stored = fill(store);
  expect(stored.length).toBeGreaterThan(10);
  expect(store.commit([storing(['P1'], BODY), storing(['P2'], BODY)], 0)).toMatchObject({
    results: [{ refusal: 'no space' }, { refusal: 'no space' }],
    trouble: expect.stringContaining('full'),
  });
  store.close();
  store = openStore(file);
  expect(store.opening.messages).toBe(stored.length);

  expect(store.commit([{ do: 'depth' }], 0).results).toMatchObject([{ messages: stored.length }]);

  rmSync(ballast[0]!);
  const more = fill(store);
  expect(more.length).toBeGreaterThan(0);
  rmSync(ballast[1]!);
  expect(sorted(deliverAll(store))).toEqual(sorted([...stored, ...more]));
  expect(fill(store).length).toBeGreaterThan(0);
  store.close();
});

test('a disk that fills up while messages are delivered: what was delivered is not delivered again', (context) => {
  const folder = smallDisk(context);
  const file = join(folder, 'queue');
  const store = openStore(file);
  const patients = Array.from({ length: 30 }, (_, index) => `P${index}`);
  store.commit(
    patients.map((patient) => storing([patient], BODY)),
    0,
  );
  store.commit([{ do: 'window', size: 20 }], 0);
  const { handed } = store.commit([], 0);
  expect(handed).toHaveLength(20);
  const ballast = join(folder, 'ballast');
  fillDisk(ballast);

  let isInTrouble = false;
  for (const { id } of handed) {
    const { trouble } = store.commit([{ do: 'delivered', id }, storing(['P1'], BODY)], 0);
    isInTrouble ||= trouble !== undefined;
  }
  expect(isInTrouble).toBe(true);
  rmSync(ballast);
  expect(store.commit([], 0).trouble).toBeUndefined();
  store.close();
  const next = openStore(file);
  const again = deliverAll(next);
  expect(again.filter((id) => handed.some((message) => message.id === id))).toEqual([]);
  next.close();
});

test('a long body that met a full disk is not stored without its middle', (context) => {
  const folder = smallDisk(context);
  const ballast = join(folder, 'ballast');
  writeFileSync(ballast, Buffer.alloc(400 * 1024));
  const file = join(folder, 'queue');
  const store = openStore(file);
  const pieceOf = (number: number): Operation => {
    return { do: 'piece', incoming: 1, number, bytes: Buffer.alloc(200 * 1024) };
  };
  const results = [0, 1, 2].map((number) => store.commit([pieceOf(number)], 0).results[0]);
  expect([results[0], results[2]]).toEqual([undefined, { refusal: expect.any(String) }]);
  rmSync(ballast);
  const content = { incoming: 1, pieces: 4 };
  const whole: Operation = { do: 'store', keys: [], about: {}, fingerprint: undefined, content };
  for (const operation of [pieceOf(3), whole])
    expect(store.commit([operation], 0).results).toEqual([{ refusal: 'unavailable' }]);
  store.commit([{ do: 'discard', incoming: 1 }], 0);
  expect(store.commit([{ do: 'depth' }], 0).results).toMatchObject([{ messages: 0, bytes: 0 }]);
  store.close();
  const { database } = openFile(file);
  expect(database.prepare('SELECT count(*) AS count FROM piece').get()).toEqual({ count: 0 });
  database.close();
});

test('with a reserve, delivery goes on while nothing is taken in', (context) => {
  const folder = smallDisk(context);
  const settings: Partial<QueueSettings> = { reserve: 400 * 1024 };
  const store = openStore(join(folder, 'queue'), settings);
  const stored = fill(store);
  expect(sorted(deliverAll(store))).toEqual(sorted(stored));
  store.close();
});

/** Writes until nothing more fits. */
function fillDisk(ballast: string): void {
  for (let bytes = 1024 * 1024; bytes >= 4096; bytes /= 2) {
    try {
      writeFileSync(ballast, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      // Then less.
    }
  }
}
