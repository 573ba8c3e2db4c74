/** What is kept of long messages has a cap for each, and one for all. */
import { expect, test } from 'vitest';
import { RetryBuffer } from '../../../src/frontends/hl7/retry-buffer.ts';

const MIB = 1024 * 1024;

test('parts are kept as they were, whatever becomes of the bytes', () => {
  const kept = new RetryBuffer();
  const part = Buffer.from('first');
  kept.add(part);
  part.fill(0);
  kept.add(Buffer.from('second'));
  expect([kept.part(0)!.toString(), kept.part(1)!.toString(), kept.part(2)]).toEqual([
    'first',
    'second',
    undefined,
  ]);
  expect(kept.isWhole).toBe(true);
  kept.clear();
});

test('a message that is too long is given up, and leaves its room to others', () => {
  const all = Array.from({ length: 5 }, () => new RetryBuffer());
  for (const one of all.slice(0, 4)) one.add(Buffer.alloc(4 * MIB));
  all[4]!.add(Buffer.alloc(1));
  expect(all.map(({ isWhole }) => isWhole)).toEqual([true, true, true, true, false]);
  all[0]!.add(Buffer.alloc(1));
  expect([all[0]!.isWhole, all[0]!.part(0)]).toEqual([false, undefined]);
  const next = new RetryBuffer();
  next.add(Buffer.alloc(4 * MIB));
  expect(next.isWhole).toBe(true);
  for (const one of [...all, next]) one.clear();
});
