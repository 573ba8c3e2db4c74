import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { PIECE_BYTES } from '../../src/queue/file.ts';
import { unpackFingerprints } from '../../src/queue/fingerprints.ts';
import type { Depth, HeldMessage } from '../../src/queue/message.ts';
import type { Operation, Recalled } from '../../src/queue/operations.ts';
import { apply, copyAsLeft, countOf, handedBy, openStore, scratchFolder, storing } from './scratch.ts';
import { SETTINGS } from './settings.ts';

const WIDE: Operation = { do: 'window', size: 1000 };
const RECALL: Operation = { do: 'recall' };
const LIST: Operation = { do: 'list', after: 0, limit: 100 };

function newFile(): string {
  return join(scratchFolder(), 'queue');
}

test('the number of messages is limited, and what went makes room', () => {
  const store = openStore(newFile(), { mostMessages: 2 });
  const three = store.commit([storing(['P1']), storing(['P2']), storing(['P3'])], 0);
  expect(three.results).toEqual([1, 2, { refusal: 'full' }]);
  const [message] = handedBy(store);
  apply(store, { do: 'delivered', id: message!.id });
  expect(apply(store, storing(['P3']))).toBe(3);
  expect(apply(store, storing(['P4']))).toEqual({ refusal: 'full' });
  store.close();
});

test('the number of bytes is limited, those of bodies that are being received included', () => {
  const store = openStore(newFile(), { mostBytes: 1000 });
  const bytes = Buffer.alloc(600);
  expect(apply(store, { do: 'piece', incoming: 1, number: 0, bytes })).toBeUndefined();
  expect(apply(store, storing(['P1'], 'x'.repeat(500)))).toEqual({ refusal: 'full' });
  expect(apply(store, { do: 'piece', incoming: 1, number: 1, bytes })).toEqual({ refusal: 'full' });
  apply(store, { do: 'discard', incoming: 1 });
  expect(apply(store, storing(['P1'], 'x'.repeat(500)))).toEqual(expect.any(Number));
  expect((apply(store, { do: 'depth' }) as Depth).bytes).toBe(500);
  store.close();
});

test('with only the reserve of the disk left nothing is taken in, and what is there is delivered', () => {
  const store = openStore(newFile());
  apply(store, storing(['P1']));
  apply(store, { do: 'settings', settings: { ...SETTINGS, reserve: 2 ** 60 } });
  expect(apply(store, storing(['P2']))).toEqual({ refusal: 'no space' });
  const [message] = handedBy(store);
  apply(store, { do: 'delivered', id: message!.id });
  expect((apply(store, { do: 'depth' }) as Depth).messages).toBe(0);
  store.close();
});

test('standings need no transaction, and are forgotten with the process', () => {
  const file = newFile();
  const store = openStore(file);
  store.commit([storing(['P1'])], 0);
  const held = handedBy(store);
  const pages = statSync(`${file}-wal`);
  const stand = (standing: number, key: string): Operation => ({ do: 'stand', standing, keys: [key] });
  expect(store.commit([stand(1, 'P1'), stand(2, 'P2'), stand(3, 'P2')], 0)).toMatchObject({ granted: [2] });
  expect(store.commit([{ do: 'leave', standing: 2 }], 0)).toMatchObject({ granted: [3] });
  expect(statSync(`${file}-wal`)).toMatchObject({ size: pages.size, mtimeMs: pages.mtimeMs });
  expect(apply(store, { do: 'depth' })).toMatchObject({ messages: 1, taken: 1 });
  expect(store.commit([{ do: 'delivered', id: held[0]!.id }], 0).granted).toEqual([1]);
  // What is stored later waits, in this process.
  apply(store, storing(['P1']));
  expect(handedBy(store)).toEqual([]);
  const copy = `${file}-copy`;
  copyAsLeft(file, copy);
  const after = openStore(copy);
  expect(handedBy(after)).toMatchObject([{ id: expect.any(Number) }]);
  after.close();
  store.close();
});

test('a standing never has the id of a message, over ten thousand ids and a restart', () => {
  const file = newFile();
  const store = openStore(file);
  for (let standing = 0; standing < 10_005; standing++) {
    store.commit(
      [
        { do: 'stand', standing, keys: [`P${standing}`] },
        { do: 'leave', standing },
      ],
      0,
    );
  }
  expect(apply(store, storing(['P1']))).toBe(10_006);
  store.close();
  const again = openStore(file);
  expect(apply(again, storing(['P1']))).toBeGreaterThan(10_006);
  again.close();
});

test('a message refused as often as allowed is put in quarantine, and only its patient waits', () => {
  const store = openStore(newFile(), { maxAttempts: 2, pause: { first: 10, longest: 100 } });
  store.commit([storing(['P1']), storing(['P1']), storing(['P2'])], 0);
  expect(handedBy(store).map(({ id }) => id)).toEqual([1, 3]);
  apply(store, { do: 'failed', id: 1, failure: 'refused', reason: 'refused with AE' });
  expect(store.nextDue).toBe(10);
  expect(handedBy(store, 10)).toMatchObject([{ id: 1, attempts: 2, maybeTwice: false }]);
  apply(store, { do: 'failed', id: 1, failure: 'refused', reason: 'refused with AE' }, 10);
  expect(apply(store, LIST)).toMatchObject([{ id: 1, reason: 'refused with AE', keepsPlace: true }]);
  expect(handedBy(store, 1e6)).toEqual([]);
  expect(apply(store, { do: 'drop', id: 1 })).toBe(1);
  expect(handedBy(store, 1e6)).toMatchObject([{ id: 2 }]);
  store.close();
});

test('with `skip` its patient goes on, and it comes back before what waits', () => {
  const store = openStore(newFile(), { onPoison: 'skip' });
  store.commit([storing(['P1']), storing(['P1']), storing(['P1'])], 0);
  handedBy(store);
  apply(store, { do: 'hold', id: 1, reason: 'no rule takes it' });
  expect(handedBy(store)).toMatchObject([{ id: 2 }]);
  expect(apply(store, { do: 'release', id: 1 })).toBe(1);
  apply(store, { do: 'delivered', id: 2 });
  expect(handedBy(store)).toMatchObject([{ id: 1 }]);
  store.close();
});

test('replayed, it goes behind all that wait, under a new id', () => {
  const store = openStore(newFile());
  store.commit([storing(['P1'], 'MSH|first'), storing(['P1'])], 0);
  handedBy(store);
  apply(store, { do: 'hold', id: 1, reason: 'no rule takes it' });
  expect(apply(store, { do: 'replay', id: 1 })).toBe(3);
  expect(handedBy(store)).toMatchObject([{ id: 2 }]);
  apply(store, { do: 'delivered', id: 2 });
  const [again] = handedBy(store);
  expect(again).toMatchObject({ id: 3, attempts: 2 });
  expect(Buffer.from(again!.content!).toString()).toBe('MSH|first');
  for (const what of ['release', 'replay', 'drop'] as const)
    expect(apply(store, { do: what, id: 1 })).toBeUndefined();
  store.close();
});

test('a message that is too old is not handed out but put in quarantine', () => {
  const store = openStore(newFile(), { maxAge: 1000 });
  store.commit([storing(['P1'])], 0);
  expect(handedBy(store, 1001)).toEqual([]);
  expect(apply(store, LIST)).toMatchObject([{ reason: 'it was not delivered within its maximum age' }]);
  store.close();
});

test('pauses grow up to the longest', () => {
  const store = openStore(newFile(), { pause: { first: 10, longest: 35 } });
  apply(store, storing(['P1']));
  const pauses: number[] = [];
  let now = 0;
  for (let count = 0; count < 5; count++) {
    expect(handedBy(store, now)).toMatchObject([{ id: 1, attempts: count + 1 }]);
    apply(store, { do: 'failed', id: 1, failure: 'unsent', reason: 'no server is up' }, now);
    expect(handedBy(store, store.nextDue - 1)).toEqual([]);
    pauses.push(store.nextDue - now);
    now = store.nextDue;
  }
  expect(pauses).toEqual([10, 20, 35, 35, 35]);
  store.close();
});

test('a pause does not become longer when the clock is set back', () => {
  const file = newFile();
  const pause = { first: 10, longest: 100 };
  const store = openStore(file, { pause });
  apply(store, storing(['P1']), 1e6);
  handedBy(store, 1e6);
  apply(store, { do: 'failed', id: 1, failure: 'unsent', reason: 'no server is up' }, 1e6);
  store.close();
  const next = openStore(file, { pause }, 5000);
  expect(next.nextDue).toBe(5100);
  next.close();
});

test('nor when it is set back while the queue is open', () => {
  const store = openStore(newFile(), { pause: { first: 10, longest: 100 } });
  store.commit([storing(['P1']), storing(['P2'])], 1e6);
  handedBy(store, 1e6);
  const unsent = { do: 'failed', failure: 'unsent', reason: 'no server is up' } as const;
  apply(store, { ...unsent, id: 1 }, 1e6);
  apply(store, { ...unsent, id: 2 }, 1e6 - 1);
  store.commit([], 5000);
  expect(store.nextDue).toBe(5100);
  expect(handedBy(store, 5100)).toMatchObject([{ id: 1 }, { id: 2 }]);
  store.close();
});

test('one transaction does not hand out more bytes than fit into memory with ease', () => {
  const store = openStore(newFile());
  const body = 'x'.repeat(PIECE_BYTES);
  for (let count = 0; count < 40; count++) apply(store, storing([], body));
  expect(handedBy(store)).toHaveLength(32);
  expect(handedBy(store)).toHaveLength(8);
  store.close();
});

test('a server that is back ends the pauses, in order, but for what was refused', () => {
  const store = openStore(newFile());
  store.commit([storing(['P1']), storing(['P2']), storing(['P3'])], 0);
  handedBy(store);
  const reason = 'said by the test';
  store.commit(
    [
      { do: 'failed', id: 3, failure: 'unanswered', reason },
      { do: 'failed', id: 2, failure: 'refused', reason },
      { do: 'failed', id: 1, failure: 'unsent', reason },
    ],
    0,
  );
  expect(handedBy(store, 1)).toEqual([]);
  apply(store, { do: 'hurry' }, 1);
  expect(handedBy(store, 1)).toMatchObject([
    { id: 1, maybeTwice: false },
    { id: 3, maybeTwice: true },
  ]);
  store.close();
});

test('ids are not used again, not even after a crash with an empty queue', () => {
  const folder = scratchFolder();
  const [file, left] = [join(folder, 'queue'), join(folder, 'left')];
  const store = openStore(file);
  const id = apply(store, storing(['P1'])) as number;
  handedBy(store);
  apply(store, { do: 'delivered', id });
  copyAsLeft(file, left);
  store.close();
  const next = openStore(left);
  expect(apply(next, storing(['P1']))).toBeGreaterThan(id);
  next.close();
});

test('fingerprints outlive their messages and restarts, until they are too old or too many', () => {
  const file = newFile();
  const remember = { ms: 1000, entries: 3 };
  const store = openStore(file, { remember });
  for (const at of [0, 500, 900, 950]) {
    const [id] = store.commit(
      [{ ...storing([]), fingerprint: Buffer.from([at / 50]) } as Operation],
      at,
    ).results;
    handedBy(store, at);
    apply(store, { do: 'delivered', id: id as number }, at);
  }
  store.tidy(1000);
  store.close();
  const again = openStore(file, { remember });
  expect([...(apply(again, RECALL) as Recalled).remembered.at]).toEqual([500, 900, 950]);
  again.tidy(1910);
  again.close();
  const last = openStore(file, { remember });
  expect([...unpackFingerprints((apply(last, RECALL) as Recalled).remembered)]).toEqual([
    { at: 950, fingerprint: new Uint8Array([19]) },
  ]);
  last.tidy(1e6);
  last.close();
  expect(countOf(file, 'seen')).toBe(0);
});

test('the file becomes shorter when what it kept has gone', () => {
  const file = newFile();
  const store = openStore(file);
  const body = 'x'.repeat(PIECE_BYTES);
  for (let count = 0; count < 200; count++) apply(store, storing(['P1'], body));
  store.commit([WIDE], 0);
  for (let handed = store.commit([], 0).handed; handed.length > 0; handed = store.commit([], 0).handed)
    store.commit(
      handed.map(({ id }) => ({ do: 'delivered', id })),
      0,
    );
  const before = (apply(store, { do: 'depth' }) as Depth).fileBytes;
  while (store.tidy(0));
  store.close();
  expect(before).toBeGreaterThan(50 * 1024 ** 2);
  expect(statSync(file).size).toBeLessThan(18 * 1024 ** 2);
});

test('the list comes in parts, without bodies', () => {
  const store = openStore(newFile(), { onPoison: 'skip' });
  store.commit(
    [1, 2, 3].map(() => storing(['P1'], 'MSH|Doe^Jane, who does not exist')),
    0,
  );
  for (const id of [1, 2, 3]) {
    handedBy(store);
    apply(store, { do: 'hold', id, reason: 'no rule takes it' });
  }
  const list = apply(store, { do: 'list', after: 1, limit: 1 }) as HeldMessage[];
  expect(list).toEqual([
    {
      id: 2,
      about: { type: 'ADT' },
      size: 32,
      arrived: 0,
      attempts: 1,
      maybeTwice: false,
      reason: 'no rule takes it',
      keepsPlace: false,
    },
  ]);
  store.close();
});

test('a body that changed on the disk is not delivered', () => {
  const file = newFile();
  const store = openStore(file);
  store.commit([storing(['P1'], 'MSH|right'), storing(['P2'])], 0);
  store.close();
  const database = new DatabaseSync(file);
  database.prepare('UPDATE piece SET bytes = ? WHERE id = 4096').run(Buffer.from('MSH|wrong'));
  database.close();
  const next = openStore(file);
  expect(handedBy(next)).toMatchObject([{ id: 2 }]);
  expect(apply(next, LIST)).toMatchObject([{ id: 1, reason: 'its body is damaged on the disk' }]);
  expect(apply(next, { do: 'show', id: 1 })).toBeUndefined();
  next.close();
});
