/** `least-busy` at layer 4: weights that follow the counters. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ServerShares } from '../src/layer4-shares.ts';

const SECOND = 1000;

/** Counts so many bytes a second of each server (weight 1 unless said) for a while. */
function after(
  seconds: number,
  rates: Readonly<Record<string, number>>,
  weights: Record<string, number> = {},
) {
  const shares = new ServerShares();
  for (let second = 0; second <= seconds; second++) {
    const servers = Object.entries(rates).map(([name, rate]) => ({
      name,
      weight: weights[name] ?? 1,
      traffic: { packets: 0, connections: 0, flows: undefined, bytes: rate * second },
    }));
    shares.counted(servers, second * SECOND);
  }
  return Object.fromEntries(Object.keys(rates).map((name) => [name, shares.of(name)]));
}

test('nothing is known, or nothing is going on: everybody has its weight', () => {
  expect(new ServerShares().of('a')).toBe(1);
  expect(after(10, { a: 0, b: 0 })).toEqual({ a: 1, b: 1 });
});

test('hardly any traffic: a few connections say nothing of who is busy', () => {
  expect(after(30, { a: 50_000, b: 0 })).toEqual({ a: 1, b: 1 });
});

test('as much to do: everybody has its weight', () => {
  expect(after(20, { a: 100_000, b: 110_000, c: 95_000 })).toEqual({ a: 1, b: 1, c: 1 });
});

test('a busy server gets less of what is new, an idle one more', () => {
  expect(after(30, { a: 1_000_000, b: 200_000, c: 0 })).toEqual({ a: 0.5, b: 2, c: 4 });
});

test('as busy as its weight says is not too busy', () => {
  expect(after(30, { a: 300_000, b: 100_000 }, { a: 3, b: 1 })).toEqual({ a: 1, b: 1 });
});

test('a server of weight 0 is nobody to compare with', () => {
  expect(after(30, { a: 100_000, b: 100_000, old: 90_000_000 }, { old: 0 })).toMatchObject({ a: 1, b: 1 });
});

test('counters that begin anew are no traffic that was taken back', () => {
  const shares = new ServerShares();
  const count = (second: number, a: number, b: number) =>
    shares.counted(
      [
        { name: 'a', weight: 1, traffic: { packets: 0, connections: 0, flows: undefined, bytes: a } },
        { name: 'b', weight: 1, traffic: { packets: 0, connections: 0, flows: undefined, bytes: b } },
      ],
      second * SECOND,
    );
  for (let second = 0; second < 20; second++) count(second, second * 100_000, second * 100_000);
  count(20, 0, 0);
  expect([shares.of('a'), shares.of('b')]).toEqual([1, 1]);
});

test('whatever is counted, a share is between a quarter and four', () => {
  const counts = fc.array(fc.array(fc.nat(2 ** 40), { minLength: 3, maxLength: 3 }), { maxLength: 30 });
  fc.assert(
    fc.property(counts, (rounds) => {
      const shares = new ServerShares();
      for (const [second, bytes] of rounds.entries()) {
        const servers = bytes.map((each, index) => ({
          name: `s${index}`,
          weight: index,
          traffic: { packets: 0, connections: 0, flows: undefined, bytes: each },
        }));
        shares.counted(servers, second * SECOND);
        for (const { name } of servers) expect([0.25, 0.5, 1, 2, 4]).toContain(shares.of(name));
      }
    }),
  );
});
