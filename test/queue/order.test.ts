import { expect, test } from 'vitest';
import type { OrderKeys } from '../../src/queue/message.ts';
import { Order, Place, Standing } from '../../src/queue/order.ts';

function enter(order: Order, id: number, keys: OrderKeys): Place {
  const place = new Place(id);
  order.enter(place, keys);
  return place;
}

/** Takes all that may go now. */
function takeAll(order: Order): number[] {
  const ids: number[] = [];
  for (let place = order.take(); place; place = order.take()) ids.push(place.id);
  return ids;
}

test('a merge message waits for both patients, and both wait for it', () => {
  const order = new Order();
  const first = enter(order, 1, ['P1']);
  const merge = enter(order, 2, ['P1', 'P2']);
  enter(order, 3, ['P2']);
  enter(order, 4, ['P3']);
  expect(takeAll(order)).toEqual([1, 4]);
  order.leave(first);
  expect(takeAll(order)).toEqual([2]);
  order.leave(merge);
  expect(takeAll(order)).toEqual([3]);
});

test('a key that is named twice counts once', () => {
  const order = new Order();
  const twice = enter(order, 1, ['P1', 'P1']);
  enter(order, 2, ['P1']);
  expect(takeAll(order)).toEqual([1]);
  order.leave(twice);
  expect(takeAll(order)).toEqual([2]);
});

test('a message for the whole queue waits for all before it, and all behind it wait', () => {
  const order = new Order();
  const [one, two] = [enter(order, 1, ['P1']), enter(order, 2, [])];
  const whole = enter(order, 3, 'whole');
  enter(order, 4, ['P4']);
  const last = enter(order, 5, 'whole');
  expect(takeAll(order)).toEqual([1, 2]);
  order.leave(one);
  expect(takeAll(order)).toEqual([]);
  order.leave(two);
  expect(takeAll(order)).toEqual([3]);
  order.leave(whole);
  expect(takeAll(order)).toEqual([4]);
  expect(last.isAtGate).toBe(true);
});

test('one that comes back gets before those that came later, but not before one that is taken', () => {
  const order = new Order();
  const taken = enter(order, 5, ['P1']);
  enter(order, 6, ['P1']);
  enter(order, 7, ['P2']);
  expect(order.take()).toBe(taken);
  const back = enter(order, 2, ['P1', 'P2']);
  expect(takeAll(order)).toEqual([]);
  order.leave(taken);
  expect(takeAll(order)).toEqual([2]);
  order.leave(back);
  expect(takeAll(order)).toEqual([6, 7]);
});

test('one that is given back gets behind those that came back meanwhile', () => {
  const order = new Order();
  const [taken, whole] = [enter(order, 5, ['P1', 'P2']), new Place(9)];
  expect(order.take()).toBe(taken);
  const back = enter(order, 2, ['P2']);
  order.wake(taken);
  expect(takeAll(order)).toEqual([2]);
  order.leave(back);
  expect(takeAll(order)).toEqual([5]);
  order.leave(taken);
  order.enter(whole, 'whole');
  expect(order.take()).toBe(whole);
  enter(order, 3, ['P1']);
  order.rest(whole);
  expect(takeAll(order)).toEqual([3]);
});

test('one that comes back gets before a message for the whole queue that was about to go', () => {
  const order = new Order();
  enter(order, 5, 'whole');
  enter(order, 6, ['P1']);
  const back = enter(order, 2, ['P1']);
  expect(takeAll(order)).toEqual([2]);
  order.leave(back);
  expect(takeAll(order)).toEqual([5]);
});

test('one for the whole queue that comes back waits for those that are before the gate', () => {
  const order = new Order();
  const [taken, waiting] = [enter(order, 5, ['P1']), enter(order, 6, ['P1'])];
  expect(order.take()).toBe(taken);
  enter(order, 2, 'whole');
  enter(order, 7, ['P2']);
  order.leave(taken);
  expect(takeAll(order)).toEqual([6]);
  order.leave(waiting);
  expect(takeAll(order)).toEqual([2]);
});

test('one that rests holds its patients up, and nobody else', () => {
  const order = new Order();
  const resting = enter(order, 1, ['P1']);
  enter(order, 2, ['P1']);
  enter(order, 3, ['P2']);
  order.rest(order.take()!);
  expect(takeAll(order)).toEqual([3]);
  order.wake(resting);
  expect(takeAll(order)).toEqual([1]);
});

test('one that rests may leave from behind another one, and from the gate', () => {
  const order = new Order();
  const [one, two] = [enter(order, 1, ['P1']), enter(order, 2, ['P1'])];
  const whole = enter(order, 3, 'whole');
  enter(order, 4, ['P1']);
  order.rest(two);
  order.leave(two);
  order.rest(whole);
  order.leave(whole);
  expect(takeAll(order)).toEqual([1]);
  order.leave(one);
  expect(takeAll(order)).toEqual([4]);
});

test('a standing goes when it is first, and whoever comes back gets before it until then', () => {
  const order = new Order();
  const first = enter(order, 3, ['P1']);
  const standing = new Standing(4, 77);
  order.enter(standing, ['P1']);
  enter(order, 5, ['P1']);
  expect(takeAll(order)).toEqual([3]);
  const back = enter(order, 2, ['P1']);
  order.leave(first);
  expect([takeAll(order), order.takeStandings()]).toEqual([[2], []]);
  order.leave(back);
  expect([takeAll(order), order.takeStandings()]).toEqual([[], [standing]]);
  enter(order, 1, ['P1']);
  expect([takeAll(order), order.takeStandings()]).toEqual([[], []]);
  order.leave(standing);
  expect(takeAll(order)).toEqual([1]);
});

test('a hundred thousand messages of one patient go one by one', () => {
  const order = new Order();
  for (let id = 1; id <= 100_000; id++) enter(order, id, ['P1']);
  for (let id = 1; id <= 100_000; id++) {
    const place = order.take()!;
    if (place.id !== id || order.take()) expect.unreachable();
    order.leave(place);
  }
  expect(order.take()).toBeUndefined();
});
