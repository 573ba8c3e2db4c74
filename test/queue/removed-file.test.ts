/** A file that somebody removes or replaces while it is in use: what goes into it then would be gone with the process. */
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openQueue } from '../../src/queue/queue.ts';
import { createGate, within } from '../peers/waiting.ts';
import { openStore, scratchFolder, storing } from './scratch.ts';
import { SETTINGS } from './settings.ts';

const REFUSED = { results: [{ refusal: 'unavailable' }], trouble: expect.stringContaining('removed') };

test.each(['', '-wal'])(
  'the file%s is removed while it is in use: nothing more is taken in, and what was goes out',
  (suffix) => {
    const file = join(scratchFolder(), 'queue');
    const store = openStore(file);
    const [stored] = store.commit([storing(['P1'])], 0).results;
    expect(stored).toBeTypeOf('number');
    rmSync(file + suffix);
    expect(store.commit([storing(['P2'])], 0)).toMatchObject(REFUSED);
    store.commit([{ do: 'window', size: 10 }], 0);
    expect(store.commit([], 0).handed).toMatchObject([{ id: stored }]);
    expect(store.commit([{ do: 'delivered', id: stored as number }], 0).trouble).toBeUndefined();
    expect(store.commit([{ do: 'depth' }], 0).results).toMatchObject([{ messages: 0 }]);
    store.close();
  },
);

test('a copy is put in the place of the file: nothing is taken in until the file is back', () => {
  const file = join(scratchFolder(), 'queue');
  const store = openStore(file);
  renameSync(file, `${file}.real`);
  copyFileSync(`${file}.real`, file);
  expect(store.commit([storing(['P2'])], 0)).toMatchObject(REFUSED);
  renameSync(`${file}.real`, file);
  expect(store.commit([storing(['P2'])], 0).results).toEqual([expect.any(Number)]);
  store.close();
});

test('however many come and are refused, what is there goes out', async () => {
  const file = join(scratchFolder(), 'queue');
  const handed = createGate();
  const listener = { handed: () => handed.open(), quarantined: () => {}, lost: () => {} };
  const queue = await openQueue({ file, settings: SETTINGS, listener });
  const { promise: stored, resolve } = Promise.withResolvers<number | undefined>();
  queue.store({ keys: ['P1'], about: {} }, Buffer.from('invented'), resolve);
  expect(await stored).toBeTypeOf('number');
  rmSync(file);
  let isOver = false;
  const again = () => {
    if (!isOver) queue.store({ keys: ['P2'], about: {} }, Buffer.from('invented'), again);
  };
  again();
  queue.window(10);
  await within(handed.opened, 'the message');
  isOver = true;
  await queue.close();
});
