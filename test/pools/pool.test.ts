import { describe, expect, test } from 'vitest';
import { makePool, takeDown } from './make-pool.ts';

const names = (servers: readonly { name: string }[]) => servers.map(({ name }) => name).join('');

describe('pool', () => {
  test('takers are the servers that may get new work', () => {
    const pool = makePool({ servers: { a: {}, b: { weight: 0 }, c: { backup: true } } });
    expect(names(pool.takers)).toBe('ac');
    takeDown(pool.server('a')!);
    expect([names(pool.takers), pool.isUp]).toEqual(['c', true]);
    pool.server('b')!.weight = 1;
    pool.server('c')!.halt();
    expect(names(pool.takers)).toBe('b');
    takeDown(pool.server('b')!);
    expect([names(pool.takers), pool.isUp]).toEqual(['', false]);
  });

  test('panic: with too small a share of servers up, health is ignored', () => {
    const pool = makePool({ servers: { a: {}, b: {}, c: {}, d: {} }, panic: 0.5 });
    pool.server('d')!.halt();
    takeDown(pool.server('a')!);
    expect(names(pool.takers)).toBe('bc');
    takeDown(pool.server('b')!);
    expect(names(pool.takers)).toBe('abc');
  });

  test('tells who watches when a state, a weight or the room has changed', () => {
    const pool = makePool();
    const a = pool.server('a')!;
    const told: string[] = [];
    const stop = pool.watch(({ name, state, active }) => told.push(`${name} ${state} ${active}`));
    a.acquire();
    a.checked('up', 'answers');
    a.release();
    a.maxConnections = 3;
    a.weight = 2;
    stop();
    a.halt();
    expect(told).toEqual(['a up 1', 'a up 0', 'a up 0', 'a up 0']);
  });
});
