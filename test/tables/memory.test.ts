import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMemoryStore } from '../../src/tables/memory.ts';

function makeStore({ ttl = 1000, size = 100 } = {}) {
  const clock = { ms: 1_000_000 };
  return { clock, store: createMemoryStore({ ttl, size, now: () => clock.ms }) };
}

describe('memory store', () => {
  test('an entry lives for ttl since it was put, reading does not renew it', () => {
    const { store, clock } = makeStore();
    store.put('k', 'a');
    clock.ms += 900;
    expect(store.get('k')).toBe('a');
    clock.ms += 101;
    expect(store.get('k')).toBeUndefined();
    store.put('k', 'a');
    clock.ms += 900;
    store.put('k', 'a');
    clock.ms += 900;
    expect(store.get('k')).toBe('a');
  });

  test('the least recently used goes when there are too many', () => {
    const { store } = makeStore({ size: 3 });
    for (const key of ['k', 'l', 'm']) store.put(key, 'a');
    store.put('k', 'a');
    store.put('n', 'a');
    expect([...store.keys()]).toEqual(['n', 'k', 'm']);
    expect(store.size).toBe(3);
  });

  test('an entry may be put for less than ttl, never for more, and lives for ttl once it is put again', () => {
    const { store, clock } = makeStore();
    store.put('k', 'a', 300);
    store.put('l', 'a', 5000);
    expect([store.remaining('k'), store.remaining('l'), store.remaining('m')]).toEqual([300, 1000, 0]);
    clock.ms += 301;
    expect([store.get('k'), store.remaining('k')]).toEqual([undefined, 0]);
    store.put('k', 'a');
    expect(store.remaining('k')).toBe(1000);
  });

  test('new limits: what is there stays as it is, too many go by and by, the least recently used first', () => {
    const { store, clock } = makeStore({ ttl: 1000, size: 6 });
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) store.put(key, 'x');
    store.setLimits({ ttl: 200, size: 3 });
    expect([store.size, store.remaining('a'), store.ttl]).toEqual([6, 1000, 200]);
    store.put('f', 'x');
    store.put('g', 'x');
    expect([...store.keys()]).toEqual(['g', 'f', 'e']);
    clock.ms += 201;
    expect([...store.keys()]).toEqual(['e']);
    store.setLimits({ ttl: 1000, size: 100 });
    for (let index = 0; index < 50; index++) store.put(`k${index}`, 'x');
    expect([...store.keys()]).toHaveLength(51);
  });

  test('for ever: nothing runs out, whatever an entry is put for', () => {
    const { store, clock } = makeStore({ ttl: Infinity });
    store.put('k', 'a');
    store.put('l', 'a', 300);
    clock.ms += 100 * 365 * 24 * 3_600_000;
    expect([store.get('k'), store.get('l')]).toEqual(['a', 'a']);
    expect([store.remaining('k'), store.remaining('l'), store.remaining('m')]).toEqual([
      Infinity,
      Infinity,
      0,
    ]);
    expect([store.ttl, [...store.keys()]]).toEqual([Infinity, ['l', 'k']]);
  });

  test('from some time to for ever, and back: what is there too, in its order', () => {
    const { store, clock } = makeStore({ ttl: 1000, size: 4 });
    for (const key of ['a', 'b', 'c', 'd']) store.put(key, 'x');
    store.setLimits({ ttl: Infinity, size: 3 });
    clock.ms += 5000;
    expect([...store.keys()]).toEqual(['d', 'c', 'b', 'a']);
    store.put('e', 'x');
    expect([...store.keys()]).toEqual(['e', 'd', 'c']);
    store.setLimits({ ttl: 1000, size: 3 });
    expect([store.ttl, store.remaining('c')]).toEqual([1000, 1000]);
    clock.ms += 1001;
    expect([...store.keys()]).toEqual([]);
  });

  test('what was to live for ever goes only when there are too many, and that is said once', () => {
    const said: string[] = [];
    const forgets = () => said.push('forgets');
    const store = createMemoryStore({ ttl: Infinity, size: 2, now: () => 1, forgets });
    store.put('a', 'x');
    store.put('b', 'x');
    store.put('a', 'x');
    expect(said).toEqual([]);
    for (const key of ['c', 'd', 'e']) store.put(key, 'x');
    expect([said, [...store.keys()]]).toEqual([['forgets'], ['e', 'd']]);
    const usual = createMemoryStore({ ttl: 1000, size: 1, now: () => 1, forgets });
    for (const key of ['a', 'b']) usual.put(key, 'x');
    expect(said).toHaveLength(1);
  });

  test('a walk goes from the least recently used on, passes what is put meanwhile once more, and nothing goes', () => {
    const { store } = makeStore({ size: 4 });
    for (const key of ['a', 'b', 'c', 'd']) store.put(key, 'x');
    const walk = store.walk();
    expect(walk.next().value).toBe('a');
    store.put('a', 'y');
    store.put('b', 'y');
    store.delete('c');
    store.put('e', 'y');
    store.put('f', 'y');
    expect(store.size).toBe(5);
    expect([...walk]).toEqual(['c', 'd', 'a', 'b', 'e', 'f']);
    store.put('f', 'y');
    expect([...store.keys()]).toEqual(['f', 'e', 'b', 'a']);
  });

  test('a walk ends, however much is put meanwhile', () => {
    const { store } = makeStore();
    for (const key of ['a', 'b', 'c', 'd']) store.put(key, 'x');
    let steps = 0;
    for (const _ of store.walk()) {
      steps++;
      for (const key of ['d', 'c', 'b', 'a', `new ${steps}`]) store.put(key, 'y');
    }
    expect(steps).toBeLessThan(12);
  });

  test('a walk that is given up does not hold up anything', () => {
    const { store } = makeStore({ size: 2 });
    store.put('a', 'x');
    for (const _ of store.walk()) break;
    for (const key of ['b', 'c', 'd']) store.put(key, 'x');
    expect(store.size).toBe(2);
  });

  test('a walk over a table that is used meets every entry that is there all the time (property)', () => {
    const key = fc.nat({ max: 12 }).map((number) => `k${number}`);
    const event = fc.oneof(
      { weight: 3, arbitrary: fc.constant({ what: 'step', key: '' }) },
      { weight: 3, arbitrary: key.map((key) => ({ what: 'put', key })) },
      { weight: 1, arbitrary: key.map((key) => ({ what: 'delete', key })) },
      { weight: 1, arbitrary: fc.constant({ what: 'step of another', key: '' }) },
    );
    fc.assert(
      fc.property(fc.uniqueArray(key), fc.array(event, { maxLength: 60 }), (first, events) => {
        const { store } = makeStore({ size: 4 });
        store.setLimits({ ttl: 1000, size: 100 });
        for (const one of first) store.put(one, 'x');
        store.setLimits({ ttl: 1000, size: 4 });
        const walk = store.walk();
        const other = store.walk();
        const met = new Set<string>();
        const staying = new Set(first);
        const step = () => {
          const { value, done } = walk.next();
          if (!done) met.add(value);
          return !done;
        };
        // A walk begins with its first step.
        step();
        for (const { what, key: one } of events) {
          if (what === 'step') step();
          else if (what === 'step of another') other.next();
          else if (what === 'put') store.put(one, 'y');
          else if (store.delete(one)) staying.delete(one);
        }
        while (step());
        for (const one of staying) expect(met).toContain(one);
      }),
      { numRuns: 500 },
    );
  });

  test('delete and clear', () => {
    const { store } = makeStore();
    store.put('k', 'a');
    store.put('l', 'a');
    expect([store.delete('k'), store.delete('k'), store.size]).toEqual([true, false, 1]);
    store.clear();
    expect(store.size).toBe(0);
  });
});
