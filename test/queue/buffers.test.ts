import { expect, test } from 'vitest';
import { Buffers, SLAB_BYTES } from '../../src/queue/buffers.ts';
import { PIECE_BYTES } from '../../src/queue/file.ts';

test('what was given back is used again, each for its size', () => {
  const buffers = new Buffers();
  const [slab, piece] = [buffers.take(SLAB_BYTES), buffers.take(PIECE_BYTES)];
  expect([slab.byteLength, piece.byteLength]).toEqual([SLAB_BYTES, PIECE_BYTES]);
  expect(buffers.take(PIECE_BYTES)).not.toBe(piece);
  buffers.giveBack(slab);
  buffers.giveBack(piece);
  expect(buffers.take(PIECE_BYTES)).toBe(piece);
  expect(buffers.take(PIECE_BYTES)).not.toBe(piece);
  expect(buffers.take(SLAB_BYTES)).toBe(slab);
});

test('only a few are kept: the memory of others is free at once', () => {
  const buffers = new Buffers();
  const taken = Array.from({ length: 100 }, () => buffers.take(PIECE_BYTES));
  const odd = buffers.take(1234);
  for (const buffer of [...taken, odd]) buffers.giveBack(buffer);
  expect(taken.filter(({ detached }) => !detached).length).toBe(16);
  expect(odd.detached).toBe(true);
});
