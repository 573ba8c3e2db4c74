import { describe, expect, test } from 'vitest';
import type { Choice, Rule } from '../../src/director/director.ts';
import type { Pool } from '../../src/pools/pool.ts';
import { makePool, takeDown } from '../pools/make-pool.ts';
import { clock, direct } from './direct.ts';

const STAT: Rule = { when: { facts: [{ name: 'called', patterns: ['STAT'] }] }, urgent: true };

/** The server of the next candidate, or why there is none. */
function next(choice: Choice): string | undefined {
  return choice.next()?.server.name ?? choice.exhausted;
}

function fill(pool: Pool, name: string, slots: number): void {
  for (let count = 0; count < slots; count++) pool.server(name)!.acquire();
}

describe('never against', () => {
  test('the active one of a pool with single-active, however busy it is', () => {
    const pool = makePool({ mode: 'single-active', servers: { a: {}, b: {} } });
    const { choose } = direct({ pool });
    pool.server('a')!.load.connections = 50;
    expect(next(choose({ urgent: 'true' }))).toBe('a');
  });

  test("an order that a rule sets instead of the pool's", () => {
    const pool = makePool();
    pool.server('a')!.load.connections = 50;
    for (const balance of ['first', 'hash'] as const) {
      const { choose } = direct({ pool, rules: [{ ...STAT, balance }] });
      const reason = choose({ called: 'STAT', client: '10.0.0.1' }).next()!.reason;
      expect(reason).toContain(balance === 'first' ? 'first in order' : 'by hash');
    }
  });

  test('the hash by which a study in independent archives finds its server', () => {
    const pool = makePool({ servers: { a: {}, b: {}, c: {} }, balance: 'round-robin' });
    const { choose } = direct({ pool, by: ['study'], shares: { isFixed: true } });
    const studies = Array.from({ length: 12 }, (_, index) => ({ study: `1.2.${index}` }));
    const homes = studies.map((facts) => next(choose(facts)));
    expect(new Set(homes).size).toBeGreaterThan(1);
    for (const name of new Set(homes)) pool.server(name!)!.load.connections = 50;
    const others = direct({ pool, by: ['study'], shares: { isFixed: true } });
    expect(studies.map((facts) => next(others.choose({ ...facts, urgent: 'true' })))).toEqual(homes);
  });

  test('a pin whose server is full: it waits for that one', () => {
    const pool = makePool({ servers: { a: { maxConnections: 1 }, b: {} }, balance: 'round-robin' });
    const { choose } = direct({ pool, by: ['study'] });
    const first = choose({ study: '1.2.3' });
    expect(next(first)).toBe('a');
    first.settle();
    fill(pool, 'a', 1);
    expect(next(choose({ study: '1.2.3', urgent: 'true' }))).toBe('full');
  });

  test('backups: they sleep while another is up, full or silent as it may be', () => {
    const pool = makePool({
      servers: { a: { maxConnections: 1 }, b: { backup: true }, c: { backup: true } },
      health: { isChecked: false },
    });
    const { choose } = direct({ pool });
    fill(pool, 'a', 1);
    expect(next(choose({ urgent: 'true' }))).toBe('full');
    pool.server('b')!.dialFailed('refused', clock.ms);
    expect(next(choose({ urgent: 'true' }))).toBe('full');
  });
});

describe('least busy', () => {
  test('goes by what is in hand and how fast it is, whatever the weights of routine work', () => {
    const pool = makePool({ servers: { a: { weight: 1 }, b: { weight: 1 }, c: { weight: 1 } } });
    const [a, b, c] = pool.servers;
    a!.load.connections = 1;
    b!.load.connections = 1;
    c!.load.connections = 1;
    b!.load.operations = 4;
    c!.load.bytesInFlight = 8 * 1024 * 1024;
    expect(next(direct({ pool }).choose({ urgent: 'true' }))).toBe('a');
  });

  test('ties go round', () => {
    const { choose } = direct({
      pool: makePool({ servers: { a: {}, b: {}, c: {} }, balance: 'round-robin' }),
    });
    const order = Array.from({ length: 6 }, () => next(choose({ urgent: 'true' }))).join('');
    expect(order).toBe('abcabc');
  });

  test('a server that refuses for want of space is not the least busy, though it answers fast and has nothing in hand', () => {
    const pool = makePool();
    const [a, b] = pool.servers;
    for (let count = 0; count < 3; count++) {
      a!.load.operationStarted();
      a!.load.operationEnded(1, 'refused');
    }
    b!.load.connections = 10;
    const { choose } = direct({ pool });
    for (let count = 0; count < 20; count++) expect(next(choose({ urgent: 'true' }))).toBe('b');
  });
});

describe('reserved slots', () => {
  const limited = () => makePool({ servers: { a: { maxConnections: 3 }, b: {} }, balance: 'first' });

  test('are not for routine work', () => {
    const pool = limited();
    const { choose } = direct({ pool, reserve: 1, rules: [STAT] });
    fill(pool, 'a', 1);
    expect(next(choose())).toBe('a');
    fill(pool, 'a', 1);
    expect(next(choose())).toBe('b');
    expect(next(choose({ called: 'STAT' }))).toBe('a');
    fill(pool, 'a', 1);
    expect(next(choose({ called: 'STAT' }))).toBe('b');
  });

  test('are for all that is urgent: by a rule, by a fact, by the caller', () => {
    const pool = makePool({ servers: { a: { maxConnections: 1, weight: 1 } } });
    pool.server('a')!.maxConnections = 2;
    fill(pool, 'a', 1);
    const { choose } = direct({ pool, reserve: 1, rules: [STAT] });
    expect(next(choose())).toBe('full');
    expect(next(choose({ called: 'STAT' }))).toBe('a');
    expect(next(choose({ urgent: 'true' }))).toBe('a');
    expect(next(choose({}, { urgent: true }))).toBe('a');
  });

  test('of a server without a limit there are none', () => {
    const pool = limited();
    fill(pool, 'b', 1000);
    fill(pool, 'a', 3);
    expect(next(direct({ pool, reserve: 5 }).choose())).toBe('b');
  });

  test('leave routine work one slot, when a limit is lowered at run time', () => {
    const pool = makePool({ servers: { a: { maxConnections: 8 } } });
    const { choose } = direct({ pool, reserve: 4 });
    pool.server('a')!.maxConnections = 2;
    expect(next(choose())).toBe('a');
    fill(pool, 'a', 1);
    expect(next(choose())).toBe('full');
    expect(next(choose({ urgent: 'true' }))).toBe('a');
    pool.server('a')!.maxConnections = 0;
    expect(next(choose({ urgent: 'true' }))).toBe('full');
  });

  test('hold against a pin too: what is routine waits for its server', () => {
    const pool = limited();
    const { choose } = direct({ pool, reserve: 1, by: ['study'] });
    const first = choose({ study: '1.2.3' });
    first.next();
    first.settle();
    fill(pool, 'a', 2);
    expect(next(choose({ study: '1.2.3' }))).toBe('full');
    expect(choose({ study: '1.2.3', urgent: 'true' }).next()?.reason).toBe(
      'persistence by study: its server, in a slot kept for urgent work',
    );
  });

  test('make no backup stand in', () => {
    const pool = makePool({ servers: { a: { maxConnections: 2 }, b: { backup: true } } });
    fill(pool, 'a', 1);
    expect(next(direct({ pool, reserve: 1 }).choose())).toBe('full');
  });

  test('do not count where room does not', () => {
    const pool = makePool({ servers: { a: { maxConnections: 1 } } });
    fill(pool, 'a', 1);
    expect(direct({ pool, reserve: 1 }).choose({}, { ignoreRoom: true }).next()?.reason).toBe(
      'the only one to ask',
    );
  });

  test('are told when they decide', () => {
    const pool = limited();
    fill(pool, 'a', 2);
    const { choose } = direct({ pool, reserve: 1 });
    expect(choose().next()?.reason).toBe('the only one to ask; what is free on a is kept for urgent work');
    expect(choose({ urgent: 'true' }).next()?.reason).toBe(
      'first in order of 2, in a slot kept for urgent work',
    );
    const pinned = direct({ pool, reserve: 1, by: ['study'] });
    const first = pinned.choose({ study: '1.2.3' });
    first.next();
    first.settle();
    expect(pinned.choose({ study: '1.2.3' }).next()?.reason).toBe('persistence by study: its server');
    pool.server('a')!.release();
    expect(choose().next()?.reason).toBe('first in order of 2');
    expect(choose({ urgent: 'true' }).next()?.reason).toBe('first in order of 2');
  });
});

describe('explain', () => {
  test('why it is urgent', () => {
    const { explain } = direct({ rules: [STAT], pool: makePool({ servers: { a: {}, b: {}, c: {} } }) });
    expect(explain({}).urgent).toBeUndefined();
    expect(explain({ called: 'STAT', urgent: 'true' }).urgent).toBe('rule routes[1]');
    expect(explain({ urgent: 'true', priority: 'high' }).urgent).toBe('priority high');
    expect(explain({ urgent: 'true', priority: 'low' })).toMatchObject({
      urgent: 'fact urgent, as of a STAT order',
      candidates: [
        { server: 'a', reason: 'urgent, the least busy of 3' },
        { server: 'b', reason: 'urgent, the least busy of 2' },
        { server: 'c', reason: 'the only one to ask' },
      ],
    });
  });

  test('why there is no candidate', () => {
    const pool = makePool({
      servers: { a: { maxConnections: 3 }, b: { maxConnections: 3 } },
      balance: 'first',
    });
    const { explain, choose } = direct({ pool, reserve: 2, by: ['study'] });
    const first = choose({ study: '1.2.3' });
    first.next();
    first.settle();
    expect(explain({}).exhausted).toBeUndefined();
    fill(pool, 'a', 1);
    fill(pool, 'b', 1);
    const kept = 'full: the last 2 slots of each server are kept for urgent work';
    expect(explain({}).exhausted).toBe(kept);
    expect(explain({ study: '1.2.3' }).exhausted).toBe(kept);
    fill(pool, 'a', 2);
    expect(explain({ study: '1.2.3' }).exhausted).toBe('full: its server has no free slot');
    fill(pool, 'b', 2);
    expect(explain({ urgent: 'true' }).exhausted).toBe('full: no server has a free slot');
    for (const server of pool.servers) takeDown(server);
    expect(explain({}).exhausted).toBe('no server is up');
  });
});
