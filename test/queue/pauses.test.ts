import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Order, Place } from '../../src/queue/order.ts';
import { Pauses, pauseAfter } from '../../src/queue/pauses.ts';

test('pauses double up to the longest', () => {
  const pause = { first: 100, longest: 700 };
  expect([1, 2, 3, 4, 5, 5000].map((attempts) => pauseAfter(attempts, pause))).toEqual([
    100, 200, 400, 700, 700, 700,
  ]);
});

test('whenever they are looked at, those that are over have ended, in the order in which they came', () => {
  const dues = fc.array(fc.nat(50), { maxLength: 60, size: 'max' });
  fc.assert(
    fc.property(dues, fc.array(fc.nat(60)), (due, looks) => {
      const order = new Order();
      const pauses = new Pauses(order);
      for (const [id, its] of due.entries()) {
        const place = new Place(id);
        pauses.add(place, its, undefined);
        order.enter(place, []);
      }
      let before = -1;
      for (const now of looks.toSorted((one, other) => one - other)) {
        pauses.wake(now);
        const ids: number[] = [];
        for (let place = order.take(); place; place = order.take()) ids.push(place.id);
        expect(ids).toEqual(due.flatMap((its, id) => (its > before && its <= now ? [id] : [])));
        before = Math.max(before, now);
        expect(pauses.next).toBe(Math.min(Infinity, ...due.filter((its) => its > before)));
      }
    }),
  );
});
