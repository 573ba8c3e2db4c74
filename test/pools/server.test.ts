import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { events, onEvent, type ServerEvent } from '../../src/observe/events.ts';
import type { Server } from '../../src/pools/server.ts';
import { bringUp, createClock, makePool, type TestPoolOptions, takeDown } from './make-pool.ts';

function pair(options: TestPoolOptions = {}) {
  const clock = createClock();
  const pool = makePool({ now: clock.now, ...options });
  return { clock, pool, a: pool.server('a')!, b: pool.server('b')! };
}

function failDials(server: Server, count: number, now = 0) {
  for (let index = 0; index < count; index++) server.dialFailed('refused', now);
}

describe('server state', () => {
  test('starts as starting and eligible', () => {
    const { a } = pair();
    expect(a).toMatchObject({ state: 'starting', eligible: true, reason: 'waits for its first check' });
  });

  test('startDown: not eligible before its first check', () => {
    const { a } = pair({ health: { startDown: true } });
    expect(a).toMatchObject({ state: 'down', eligible: false });
    a.checked('up', 'answers');
    expect(a).toMatchObject({ state: 'up', eligible: true });
  });

  test('says since when and why', () => {
    const { a, clock } = pair();
    clock.ms += 500;
    a.checked('down', 'connection refused');
    expect(a).toMatchObject({ state: 'down', since: clock.ms, reason: 'connection refused' });
    clock.ms += 500;
    bringUp(a);
    expect(a).toMatchObject({ state: 'up', since: clock.ms, reason: 'answers' });
  });

  test('drain: draining while there is work, then drained; persistence is honoured', () => {
    const { a } = pair();
    a.acquire();
    a.drain();
    expect(a).toMatchObject({
      state: 'draining',
      eligible: false,
      honoursPersistence: true,
      isDraining: true,
    });
    a.release();
    expect(a).toMatchObject({ state: 'drained', reason: 'nothing is left', honoursPersistence: true });
    a.acquire();
    expect(a.state).toBe('draining');
  });

  test('strict drain: persistence is not honoured', () => {
    const { a } = pair();
    a.drain(true);
    expect(a).toMatchObject({ state: 'drained', honoursPersistence: false, isDraining: true });
  });

  test('drain: cookies count until the time of the pool is over, persistence for as long as its entries live', () => {
    const { a, clock } = pair({ drain: 5000 });
    expect(a.honoursCookies).toBe(true);
    clock.ms += 1000;
    a.drain();
    clock.ms += 4999;
    a.drain();
    expect(a.honoursCookies).toBe(true);
    clock.ms += 1;
    expect([a.honoursCookies, a.honoursPersistence]).toEqual([false, true]);
    a.online();
    expect(a.honoursCookies).toBe(true);
    a.drain();
    expect(a.honoursCookies).toBe(true);
    a.drain(true);
    expect(a.honoursCookies).toBe(false);
  });

  test('a server that is down, halted or has weight 0, and its cookies', () => {
    const { a, b } = pair();
    takeDown(a);
    expect(a.honoursCookies).toBe(false);
    bringUp(a);
    a.weight = 0;
    expect(a.honoursCookies).toBe(true);
    b.halt();
    expect(b.honoursCookies).toBe(false);
  });

  test('drained, and what persistence brings comes and goes: told once', () => {
    const { a } = pair();
    const told: string[] = [];
    const stop = onEvent('server', ({ previous, state }) => told.push(`${previous} ${state}`));
    a.acquire();
    a.drain();
    a.release();
    for (let count = 0; count < 3; count++) {
      a.acquire();
      expect(a.state).toBe('draining');
      a.release();
      expect(a.state).toBe('drained');
    }
    a.online();
    a.acquire();
    a.drain();
    a.release();
    stop();
    expect(told).toEqual([
      'starting draining',
      'draining drained',
      'drained starting',
      'starting draining',
      'draining drained',
    ]);
  });

  test('drained, and nothing else is up: nothing new for anybody, what persistence keeps there still comes', () => {
    const { a, b, pool } = pair();
    takeDown(b);
    a.drain();
    expect(pool.isUp).toBe(false);
    expect(a).toMatchObject({ state: 'drained', honoursPersistence: true, honoursCookies: true });
  });

  test('drained twice, halted and drained again: each with its own word', () => {
    const { a } = pair();
    a.acquire();
    a.drain();
    a.halt();
    expect(a).toMatchObject({ state: 'halted', isHalted: true, isDraining: false });
    a.drain(true);
    expect(a).toMatchObject({ state: 'draining', isHalted: false, isDraining: true });
    a.release();
    expect(a.state).toBe('drained');
  });

  test('halt: nothing any more; online: back to what health says', () => {
    const { a } = pair();
    a.checked('up', 'answers');
    a.halt();
    expect(a).toMatchObject({ state: 'halted', eligible: false, honoursPersistence: false });
    takeDown(a);
    expect(a.state).toBe('halted');
    a.online();
    expect(a).toMatchObject({ state: 'down', reason: 'put online by an operator; refused' });
  });

  test('a server that goes down while it drains gets nothing more', () => {
    const { a } = pair();
    a.checked('up', 'answers');
    a.drain();
    takeDown(a);
    expect(a.honoursPersistence).toBe(false);
  });

  test('weight 0 gets nothing new, but what persistence keeps there', () => {
    const { a } = pair();
    a.weight = 0;
    expect(a).toMatchObject({ eligible: false, honoursPersistence: true });
  });

  test('maxConnections', () => {
    const { a } = pair({ servers: { a: { maxConnections: 1 }, b: {} } });
    expect(a.hasRoom).toBe(true);
    a.acquire();
    expect(a).toMatchObject({ hasRoom: false, active: 1, eligible: true });
    a.release();
    expect(a.hasRoom).toBe(true);
  });

  test('a connection that is only kept open is no load', () => {
    const { a } = pair();
    a.acquire(true);
    expect([a.active, a.load.inHand]).toEqual([1, 0]);
    a.release(true);
    a.acquire();
    expect([a.active, a.load.inHand]).toEqual([1, 1]);
  });

  test.each([
    [{ host: '10.0.0.11', port: 104 }, '10.0.0.11:104'],
    [{ host: '10.0.0.11', port: undefined }, '10.0.0.11'],
    [{ host: 'fd00::1', port: 104 }, '[fd00::1]:104'],
    [{ host: 'fd00::1', port: undefined }, 'fd00::1'],
  ])('address of %j', (server, address) => {
    expect(makePool({ servers: { a: server } }).server('a')!.address).toBe(address);
  });
});

describe('effective weight', () => {
  test('slow start after having been down, not at the start', () => {
    const { a, clock } = pair({ slowStart: 10_000 });
    a.checked('up', 'answers');
    expect(a.effectiveWeight(clock.ms)).toBe(1);
    takeDown(a);
    bringUp(a);
    expect(a.effectiveWeight(clock.ms)).toBe(0.1);
    expect(a.effectiveWeight(clock.ms + 5000)).toBe(0.5);
    expect(a.effectiveWeight(clock.ms + 10_000)).toBe(1);
  });

  test('less while a check finds it busy', () => {
    const { a, clock } = pair();
    a.checked('busy', 'rejects for now');
    expect([a.state, a.effectiveWeight(clock.ms)]).toEqual(['up', 0.25]);
    a.checked('up', 'answers');
    expect(a.effectiveWeight(clock.ms)).toBe(1);
  });
});

describe('passive marks', () => {
  test('fall failed dials in a row mark a server down before the next check', () => {
    const { a } = pair();
    failDials(a, 2);
    a.dialAnswered(0);
    failDials(a, 2);
    expect(a.eligible).toBe(true);
    failDials(a, 1);
    expect(a).toMatchObject({ state: 'down', reason: '3 connections in a row failed, the last: refused' });
    bringUp(a);
    expect(a.state).toBe('up');
  });

  test('a client that may be to blame itself counts once, until a dial was good; several speak against the server', () => {
    const { a } = pair();
    const failFor = (...suspects: string[]) => {
      for (const suspect of suspects) a.dialFailed('does not connect', 0, suspect);
    };
    failFor('10.0.0.7', '10.0.0.7', '10.0.0.7', '10.0.0.8', '10.0.0.7');
    expect([a.state, a.isInDoubt, a.totals.failures]).toEqual(['starting', true, 5]);
    a.dialAnswered(0);
    failFor('10.0.0.7', '10.0.0.7', '10.0.0.8');
    failDials(a, 1);
    expect(a).toMatchObject({ state: 'down', reason: '3 connections in a row failed, the last: refused' });
    bringUp(a);
    failFor('10.0.0.7', '10.0.0.8', '10.0.0.9');
    expect(a.state).toBe('down');
  });

  test('never take the last eligible server of a pool', () => {
    const { a, b } = pair();
    failDials(a, 3);
    failDials(b, 10);
    expect([a.state, b.state]).toEqual(['down', 'starting']);
    bringUp(a);
    failDials(b, 1);
    expect(b.state).toBe('down');
  });

  test('without a check a failed dial only moves the server last, for 5 s', () => {
    const { a } = pair({ health: { isChecked: false } });
    failDials(a, 20, 1000);
    expect(a).toMatchObject({ state: 'up', eligible: true });
    expect([a.isAskedLast(1000), a.isAskedLast(5999), a.isAskedLast(6000)]).toEqual([true, true, false]);
    failDials(a, 1, 7000);
    a.dialAnswered(7001);
    expect(a.isAskedLast(7002)).toBe(false);
  });

  test('a failed dial raises doubts, for a check to look into', () => {
    const { a } = pair();
    a.checked('up', 'answers');
    let doubts = 0;
    const stop = a.onDoubt(() => doubts++);
    failDials(a, 1);
    expect([doubts, a.isInDoubt]).toEqual([1, true]);
    stop();
    a.dialAnswered(0);
    failDials(a, 1);
    expect(doubts).toBe(1);
  });
});

describe('events', () => {
  const seen: ServerEvent[] = [];
  const listen = (event: unknown) => seen.push(event as ServerEvent);
  beforeEach(() => {
    seen.length = 0;
    events.server.subscribe(listen);
  });
  afterEach(() => {
    events.server.unsubscribe(listen);
  });

  test('every change of state is published once, with its reason', () => {
    const { a } = pair();
    a.checked('up', 'answers');
    a.checked('up', 'answers');
    a.drain();
    expect(seen.map(({ server, state, previous, reason }) => [server, previous, state, reason])).toEqual([
      ['a', 'starting', 'up', 'answers'],
      ['a', 'up', 'drained', 'drained by an operator; nothing was left'],
    ]);
    expect(seen[0]).toMatchObject({ pool: 'archive', address: '10.0.0.11:104' });
  });
});
