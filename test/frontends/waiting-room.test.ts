import { expect, test } from 'vitest';
import { type Waiting, WaitingRoom } from '../../src/frontends/waiting-room.ts';
import { ManualDeadlines } from '../pools/health/manual-deadlines.ts';

/** Guests that write down what they are told; `onTry` is what trying comes to. */
function makeRoom(patience = 1000) {
  const deadlines = new ManualDeadlines();
  const room = new WaitingRoom<Waiting>(patience, deadlines, () => deadlines.ms);
  const told: string[] = [];
  const guest = (name: string, isUrgent = false, onTry: (self: Waiting) => void = () => {}) => {
    const self: Waiting = {
      isUrgent,
      tryAgain() {
        told.push(name);
        onTry(self);
      },
      waitIsOver: () => void told.push(`${name} is over`),
    };
    return self;
  };
  return { deadlines, room, told, guest };
}

test('the urgent try first, the others in the order they came', () => {
  const { room, told, guest } = makeRoom();
  for (const one of [guest('a'), guest('b', true), guest('c'), guest('d', true)])
    expect(room.enter(one)).toBe(true);
  room.serve();
  expect(told).toEqual(['b', 'd', 'a', 'c']);
});

test('who found something leaves; who did not keeps its place', () => {
  const { room, told, guest } = makeRoom();
  const leave = (self: Waiting) => room.leave(self);
  for (const one of [guest('a', false, leave), guest('b', false, (self) => room.enter(self)), guest('c')])
    room.enter(one);
  room.serve();
  room.serve();
  expect(told).toEqual(['a', 'b', 'c', 'b', 'c']);
  expect(room.size).toBe(2);
});

test('who leaves and comes in again has had its turn', () => {
  const { room, told, guest } = makeRoom();
  const one = guest('a', false, (self) => {
    room.leave(self);
    room.enter(self);
  });
  room.enter(one);
  room.serve();
  expect(told).toEqual(['a']);
});

test('a guest that leaves because of another one is not asked any more', () => {
  const { room, told, guest } = makeRoom();
  const second = guest('b');
  const first = guest('a', false, () => room.leave(second));
  room.enter(first);
  room.enter(second);
  room.serve();
  expect(told).toEqual(['a']);
});

test('patience counts from the first time somebody came in', () => {
  const { room, told, guest, deadlines } = makeRoom();
  const one = guest('a');
  expect(room.enter(one)).toBe(true);
  deadlines.pass(600);
  room.leave(one);
  deadlines.pass(200);
  expect(room.enter(one)).toBe(true);
  deadlines.pass(199);
  expect(told).toEqual([]);
  deadlines.pass(1);
  expect(told).toEqual(['a is over']);
  expect(room.size).toBe(0);
  expect(room.enter(one)).toBe(false);
});

test('another patience counts for those who come from then on', () => {
  const { room, told, guest, deadlines } = makeRoom(1000);
  room.enter(guest('before'));
  room.patience = 10;
  room.enter(guest('after'));
  deadlines.pass(10);
  expect(told).toEqual(['after is over']);
  deadlines.pass(990);
  expect(told).toEqual(['after is over', 'before is over']);
});

test('without patience nobody is let in', () => {
  const { room, guest } = makeRoom(0);
  expect(room.enter(guest('a'))).toBe(false);
  expect(room.size).toBe(0);
});

test('who has left is not told that its time is over', () => {
  const { room, told, guest, deadlines } = makeRoom();
  const one = guest('a');
  room.enter(one);
  room.leave(one);
  deadlines.pass(5000);
  expect(told).toEqual([]);
});
