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
    expect([...store.entries()].map(([key]) => key)).toEqual(['n', 'k', 'm']);
    expect(store.size).toBe(3);
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
