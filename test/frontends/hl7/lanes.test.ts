import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Lanes, type OrderKeys, type Turn, WHOLE_VIP } from '../../../src/frontends/hl7/lanes.ts';

interface Entry extends Turn<string> {
  readonly id: number;
  gone: boolean;
}

/** A message that only notes when it went. */
function entry(id: number, keys: OrderKeys, went: number[]): Entry {
  return {
    id,
    keys,
    lane: undefined,
    moreLanes: undefined,
    behind: 0,
    gone: false,
    go() {
      this.gone = true;
      went.push(id);
    },
  };
}

function enter(lanes: Lanes<string>, turn: Entry): boolean {
  const now = lanes.enter(turn);
  if (now) turn.go();
  return now;
}

/** Do these two have to keep their order? */
function related(a: OrderKeys, b: OrderKeys): boolean {
  if (a === WHOLE_VIP || b === WHOLE_VIP) return true;
  const left = typeof a === 'string' ? [a] : a;
  const right = typeof b === 'string' ? [b] : b;
  return left.some((key) => right.includes(key));
}

const keys = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('a', 'b', 'c', 'd', 'e') },
  { weight: 2, arbitrary: fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant(WHOLE_VIP) },
);

describe('lanes', () => {
  test('messages of one patient go one after another, others at once', () => {
    const went: number[] = [];
    const lanes = new Lanes<string>();
    const first = entry(1, 'p1', went);
    const second = entry(2, 'p1', went);
    const other = entry(3, 'p2', went);
    expect(enter(lanes, first)).toBe(true);
    expect(enter(lanes, second)).toBe(false);
    expect(enter(lanes, other)).toBe(true);
    expect(went).toEqual([1, 3]);
    lanes.leave(first);
    expect(went).toEqual([1, 3, 2]);
  });

  test('a merge waits for both patients, and both wait for it', () => {
    const went: number[] = [];
    const lanes = new Lanes<string>();
    const [a, b, merge, behindA, behindB, stranger] = [
      entry(1, 'a', went),
      entry(2, 'b', went),
      entry(3, ['a', 'b'], went),
      entry(4, 'a', went),
      entry(5, 'b', went),
      entry(6, 'c', went),
    ] as const;
    for (const turn of [a, b, merge, behindA, behindB, stranger]) enter(lanes, turn);
    expect(went).toEqual([1, 2, 6]);
    lanes.leave(b);
    expect(went).toEqual([1, 2, 6]);
    lanes.leave(a);
    expect(went).toEqual([1, 2, 6, 3]);
    lanes.leave(merge);
    expect(went).toEqual([1, 2, 6, 3, 4, 5]);
  });

  test('a barrier over the whole VIP waits for everything, and everything behind it waits', () => {
    const went: number[] = [];
    const lanes = new Lanes<string>();
    const turns = [entry(1, 'a', went), entry(2, WHOLE_VIP, went), entry(3, 'b', went), entry(4, [], went)];
    for (const turn of turns) enter(lanes, turn);
    expect(went).toEqual([1]);
    lanes.leave(turns[0]!);
    expect(went).toEqual([1, 2]);
    lanes.leave(turns[1]!);
    expect(went).toEqual([1, 2, 3, 4]);
  });

  test('a lane remembers its place until it is empty', () => {
    const lanes = new Lanes<string>();
    const went: number[] = [];
    const [first, second, third] = [entry(1, 'a', went), entry(2, 'a', went), entry(3, 'a', went)] as const;
    enter(lanes, first);
    enter(lanes, second);
    first.lane!.place = 'server-1';
    lanes.leave(first);
    expect(second.lane!.place).toBe('server-1');
    lanes.leave(second);
    enter(lanes, third);
    expect(third.lane!.place).toBeUndefined();
  });

  test('ten thousand messages that leave as soon as they may do not deepen the stack', () => {
    const lanes = new Lanes<string>();
    const went: number[] = [];
    const first = entry(0, 'a', went);
    enter(lanes, first);
    for (let id = 1; id <= 10_000; id++) {
      const turn = entry(id, 'a', went);
      turn.go = () => {
        went.push(id);
        lanes.leave(turn);
      };
      lanes.enter(turn);
    }
    lanes.leave(first);
    expect(went).toHaveLength(10_001);
    expect(went.every((id, index) => id === index)).toBe(true);
    expect(lanes.size).toBe(0);
  });

  test('property: order, exclusion, no needless waiting, nobody is forgotten', () => {
    fc.assert(
      fc.property(fc.array(keys, { maxLength: 60 }), fc.infiniteStream(fc.nat()), (arrivals, choices) => {
        const lanes = new Lanes<string>();
        const went: number[] = [];
        const turns = arrivals.map((arrival, id) => entry(id, arrival, went));
        const left = new Set<Entry>();
        let entered = 0;
        const check = () => {
          for (let index = 0; index < entered; index++) {
            const turn = turns[index]!;
            const before = turns.slice(0, index).filter((one) => !left.has(one));
            const mustWait = before.some((one) => related(one.keys, turn.keys));
            // A barrier that waits at the gate holds back everything behind it: it is related to all.
            expect(turn.gone).toBe(!mustWait);
          }
        };
        while (left.size < turns.length) {
          const choice = choices.next().value;
          const running = turns.filter((turn) => turn.gone && !left.has(turn));
          if (entered < turns.length && (running.length === 0 || choice % 2 === 0)) {
            enter(lanes, turns[entered++]!);
          } else {
            expect(running.length).toBeGreaterThan(0);
            const leaving = running[choice % running.length]!;
            left.add(leaving);
            lanes.leave(leaving);
          }
          check();
        }
        expect(lanes.size).toBe(0);
        expect(new Set(went).size).toBe(turns.length);
      }),
      { numRuns: 300 },
    );
  });
});
