/** What may be kept for replay: per instance, and of all together. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CHUNK_LENGTH,
  giveChunk,
  ReplayBudget,
  takeChunk,
} from '../../../../src/frontends/dicom/study/replay-budget.ts';

test('never more than the total is kept, never more of one than it may', () => {
  const step = fc.record({ instance: fc.nat(3), gives: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.nat(6), fc.nat(12), (steps, perInstance, total) => {
      const limits = { perInstance: perInstance * CHUNK_LENGTH, total: total * CHUNK_LENGTH };
      const budget = new ReplayBudget(limits);
      const kept = [0, 0, 0, 0];
      for (const { instance, gives } of steps) {
        if (gives) {
          budget.give(kept[instance]!);
          kept[instance] = 0;
        } else if (budget.take(kept[instance]!, CHUNK_LENGTH)) {
          kept[instance]! += CHUNK_LENGTH;
        }
        expect(budget.kept).toBe(kept.reduce((sum, one) => sum + one, 0));
        expect(budget.kept).toBeLessThanOrEqual(limits.total);
        // The least there is to keep is a chunk.
        for (const one of kept) expect(one).toBeLessThanOrEqual(Math.max(limits.perInstance, CHUNK_LENGTH));
      }
    }),
  );
});

test('limits that are lowered count for what comes, what is kept stays', () => {
  const budget = new ReplayBudget({ perInstance: 4 * CHUNK_LENGTH, total: 4 * CHUNK_LENGTH });
  expect(budget.take(0, CHUNK_LENGTH)).toBe(true);
  budget.limits = { perInstance: CHUNK_LENGTH, total: CHUNK_LENGTH };
  expect(budget.take(0, CHUNK_LENGTH)).toBe(false);
  expect(budget.kept).toBe(CHUNK_LENGTH);
  budget.give(CHUNK_LENGTH);
  expect(budget.take(0, CHUNK_LENGTH)).toBe(true);
});

test('chunks are used again, one at a time', () => {
  const one = takeChunk();
  expect(one).toHaveLength(CHUNK_LENGTH);
  giveChunk(one);
  const again = takeChunk();
  expect(again).toBe(one);
  expect(takeChunk()).not.toBe(one);
});
