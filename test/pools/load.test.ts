import { describe, expect, test } from 'vitest';
import { Load, PoolLoad } from '../../src/pools/load.ts';
import { createClock } from './make-pool.ts';

function twoServers() {
  const clock = createClock();
  const pool = new PoolLoad(clock.now);
  const answer = (load: Load, ms: number, outcome: 'success' | 'failure' | 'refused' = 'success') => {
    load.operationStarted();
    load.operationEnded(ms, outcome);
  };
  return { clock, a: new Load(pool), b: new Load(pool), answer };
}

describe('load', () => {
  test('counts connections, operations and bytes on their way', () => {
    const { a } = twoServers();
    a.connections = 2;
    a.operationStarted();
    a.bytesInFlight += 3 * 1024 * 1024;
    expect(a.inHand).toBe(6);
    a.operationEnded(5, 'success');
    expect(a.inHand).toBe(5);
  });

  test('slowness compares with the pool, within a factor of 4', () => {
    const { a, b, answer, clock } = twoServers();
    expect(a.slowness(clock.ms)).toBe(1);
    for (let count = 0; count < 50; count++) {
      answer(a, 100);
      answer(b, 10);
    }
    expect(a.slowness(clock.ms)).toBeGreaterThan(1.5);
    expect(b.slowness(clock.ms)).toBeLessThan(0.5);
    for (let count = 0; count < 500; count++) answer(b, 1);
    expect(a.slowness(clock.ms)).toBe(4);
    expect(b.slowness(clock.ms)).toBeGreaterThanOrEqual(0.25);
  });

  test('slowness is forgotten with time, so that a server that was slow gets work again', () => {
    const { a, b, answer, clock } = twoServers();
    answer(a, 1000);
    for (let count = 0; count < 100; count++) answer(b, 10);
    const slow = a.slowness(clock.ms);
    clock.ms += 10_000;
    expect(a.slowness(clock.ms)).toBeCloseTo(1 + (slow - 1) / 2, 1);
    clock.ms += 600_000;
    expect(a.slowness(clock.ms)).toBeCloseTo(1);
  });

  test('a failure counts as the slowest response', () => {
    const { a, b, answer } = twoServers();
    answer(b, 500);
    for (let count = 0; count < 20; count++) answer(a, 1, 'failure');
    expect(a.average).toBeGreaterThan(400);
  });

  test('a response time alone: work that is no operation counts once, by its slot', () => {
    const { a } = twoServers();
    a.connections = 1;
    a.answered(100, 'success');
    expect([a.inHand, a.average]).toEqual([1, 100]);
  });

  test('a run of refusals leaves a trickle, more of it later, all of it after a success', () => {
    const { a, answer, clock } = twoServers();
    answer(a, 1, 'refused');
    answer(a, 1, 'refused');
    expect(a.share(clock.ms)).toBe(1);
    answer(a, 1, 'refused');
    expect(a.share(clock.ms)).toBe(0.01);
    clock.ms += 30_000;
    expect(a.share(clock.ms)).toBe(0.25);
    answer(a, 1, 'refused');
    expect(a.share(clock.ms)).toBe(0.01);
    answer(a, 1);
    expect(a.share(clock.ms)).toBe(1);
  });
});
