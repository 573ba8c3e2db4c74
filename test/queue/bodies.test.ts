/** Bodies that come in pieces, and that are read in pieces. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { PIECE_BYTES } from '../../src/queue/file.ts';
import type { Depth } from '../../src/queue/message.ts';
import { apply, copyAsLeft, countOf, handedBy, openStore, scratchFolder, storing } from './scratch.ts';

function newFile(): string {
  return join(scratchFolder(), 'queue');
}

test('a body longer than a piece is stored as it comes, and read piece by piece', () => {
  const file = newFile();
  const store = openStore(file);
  const whole = Buffer.alloc(PIECE_BYTES * 2 + 1234, 'invented ');
  const pieces = [0, 1, 2].map((number) => whole.subarray(number * PIECE_BYTES, (number + 1) * PIECE_BYTES));
  for (const [number, bytes] of pieces.entries()) apply(store, { do: 'piece', incoming: 7, number, bytes });
  const about = { type: 'ORU' };
  const content = { incoming: 7, pieces: 3 };
  apply(store, { do: 'store', keys: ['P1'], about, fingerprint: undefined, content });
  const [message] = handedBy(store);
  expect(message).toMatchObject({ content: undefined, size: whole.length, about });
  const { id } = message!;
  const into = new ArrayBuffer(PIECE_BYTES);
  for (const [number, piece] of pieces.entries())
    expect(piece.equals(apply(store, { do: 'read', id, number, into }) as Uint8Array)).toBe(true);
  expect(apply(store, { do: 'read', id, number: 3, into })).toBeUndefined();
  expect(whole.equals(apply(store, { do: 'show', id }) as Uint8Array)).toBe(true);
  apply(store, { do: 'delivered', id });
  store.close();
  expect(countOf(file, 'piece')).toBe(0);
});

test('a body given at once is cut into pieces too; an empty one is a message', () => {
  const store = openStore(newFile());
  const whole = 'invented '.repeat(60_000);
  const [long, empty] = store.commit([storing(['P1'], whole), storing(['P2'], '')], 0).results as number[];
  expect(Buffer.from(apply(store, { do: 'show', id: long! }) as Uint8Array).toString()).toBe(whole);
  expect(apply(store, { do: 'show', id: empty! })).toEqual(new Uint8Array());
  expect(handedBy(store)).toMatchObject([{ content: undefined }, { content: new Uint8Array() }]);
  store.close();
});

test('a body of which a piece is missing is not stored', () => {
  const file = newFile();
  const store = openStore(file);
  const piece = (incoming: number, number: number) =>
    apply(store, { do: 'piece', incoming, number, bytes: Buffer.alloc(PIECE_BYTES) });
  const whole = (incoming: number, pieces: number) => {
    const content = { incoming, pieces };
    return apply(store, { do: 'store', keys: [], about: {}, fingerprint: undefined, content });
  };
  expect([piece(1, 0), piece(1, 2), piece(1, 3)]).toEqual([
    undefined,
    { refusal: 'unavailable' },
    { refusal: 'unavailable' },
  ]);
  expect(piece(2, 1)).toEqual({ refusal: 'unavailable' });
  expect(piece(3, 0)).toBeUndefined();
  expect([whole(1, 4), whole(2, 2), whole(3, 2)]).toEqual(Array(3).fill({ refusal: 'unavailable' }));
  expect(apply(store, { do: 'depth' })).toMatchObject({ messages: 0, bytes: 0 });
  store.close();
  expect(countOf(file, 'piece')).toBe(0);
});

test('what is left of bodies that were not received to their end is removed', () => {
  const folder = scratchFolder();
  const [file, left] = [join(folder, 'queue'), join(folder, 'left')];
  const store = openStore(file);
  for (const incoming of [1, 2])
    apply(store, { do: 'piece', incoming, number: 0, bytes: Buffer.alloc(PIECE_BYTES, 'invented ') });
  expect((apply(store, { do: 'depth' }) as Depth).bytes).toBe(2 * PIECE_BYTES);
  apply(store, { do: 'discard', incoming: 1 });
  store.commit([], 0);
  copyAsLeft(file, left);
  store.close();
  expect(countOf(file, 'piece')).toBe(1);
  openStore(left).close();
  expect(countOf(left, 'piece')).toBe(0);
  expect(countOf(left, 'arriving')).toBe(0);
});
