import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evenSlots, hashSlots, type Slots } from '../../src/layer4/slots.ts';

const weights = fc.array(fc.integer({ min: 1, max: 16_000 }), { minLength: 1, maxLength: 12 });

/** Slots of each, after it was looked at whether every slot is somebody's. */
function sharesOf({ total, ranges }: Slots, servers: number): number[] {
  const shares = new Array<number>(servers).fill(0);
  let next = 0;
  for (const { from, to, index } of ranges) {
    expect(from).toBe(next);
    expect(to).toBeGreaterThanOrEqual(from);
    shares[index]! += to - from + 1;
    next = to + 1;
  }
  expect(next).toBe(total);
  return shares;
}

test('slots are in proportion to the weights, whatever these are, and not too many elements', () => {
  fc.assert(
    fc.property(weights, (given) => {
      const slots = evenSlots(given);
      const shares = sharesOf(slots, given.length);
      for (const [index, share] of shares.entries()) {
        expect(share * given[0]!).toBe(shares[0]! * given[index]!);
      }
      expect(slots.ranges.length).toBeLessThanOrEqual(256 + 2 * given.length);
    }),
  );
});

test('slots of small weights are spread evenly', () => {
  expect(evenSlots([1]).ranges).toEqual([{ from: 0, to: 0, index: 0 }]);
  const places = (given: number[]) =>
    evenSlots(given).ranges.flatMap(({ from, to, index }) => {
      return new Array<number>(to - from + 1).fill(index);
    });
  expect(places([2, 2])).toEqual([0, 1]);
  expect(places([48, 16]).join('')).toBe('0010');
  expect(places([5, 1, 1]).join('')).toMatch(/^0+10+20+$/);
  // Within any stretch, nobody is more than one slot away from what is due.
  for (const given of [
    [7, 5, 3],
    [20, 1, 1],
    [9, 8],
  ]) {
    const order = places(given);
    const total = order.length;
    const counts = given.map(() => 0);
    for (const [slot, index] of order.entries()) {
      counts[index]!++;
      for (const [one, weight] of given.entries()) {
        expect(Math.abs(counts[one]! - (weight * (slot + 1)) / total)).toBeLessThan(1.5);
      }
    }
  }
});

test('slots of a hash: shares come near the weights, and only those of a server that leaves move', () => {
  const names = ['pool/one', 'pool/two', 'pool/three', 'pool/four'];
  const shares = sharesOf(hashSlots(names, [1, 1, 1, 1]), 4);
  for (const share of shares) expect(Math.abs(share - 256)).toBeLessThan(60);
  const [heavy, light] = sharesOf(hashSlots(names.slice(0, 2), [3, 1]), 2);
  expect(Math.abs(heavy! / light! - 3)).toBeLessThan(0.6);
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 2, maxLength: 8 }), (servers) => {
      const ownersOf = (some: readonly string[]) => {
        const { ranges } = hashSlots(
          some,
          some.map(() => 2),
        );
        return ranges.flatMap(({ from, to, index }) => new Array<string>(to - from + 1).fill(some[index]!));
      };
      const after = ownersOf(servers.slice(1));
      for (const [slot, owner] of ownersOf(servers).entries()) {
        if (owner !== servers[0]) expect(after[slot]).toBe(owner);
      }
    }),
    { numRuns: 20 },
  );
});
