import { describe, expect, test } from 'vitest';
import { bringUp, makePool, takeDown } from './make-pool.ts';

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

  test('a halt tells that open work has to leave, once; a drain does not', () => {
    const pool = makePool();
    const a = pool.server('a')!;
    const told: string[] = [];
    const stop = pool.watchLeaving(({ name, state }, why) => told.push(`${name} ${state} ${why}`));
    a.drain();
    a.halt();
    a.halt();
    expect(told).toEqual(['a halted halted']);
    a.online();
    a.halt();
    expect(told).toHaveLength(2);
    stop();
    pool.server('b')!.halt();
    expect(told).toHaveLength(2);
  });

  test('who waits for a slot is told: more room, a server that is up, put online or given weight', () => {
    const pool = makePool({ servers: { a: { maxConnections: 1 }, b: { weight: 0 } } });
    const [a, b] = [pool.server('a')!, pool.server('b')!];
    a.acquire();
    let told: string[] = [];
    pool.watch(({ name, hasRoom, eligible }) => told.push(`${name} ${hasRoom && eligible}`));
    const toldBy = (change: () => void) => {
      told = [];
      change();
      return told.join();
    };
    expect(toldBy(() => (a.maxConnections = 2))).toBe('a true');
    expect(toldBy(() => takeDown(a))).toBe('a false');
    expect(toldBy(() => bringUp(a))).toBe('a true');
    expect(toldBy(() => (b.weight = 1))).toBe('b true');
    b.halt();
    expect(toldBy(() => b.online())).toBe('b true');
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
