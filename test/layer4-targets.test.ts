/** What the kernel is told of a pool's servers. */
import { describe, expect, test } from 'vitest';
import { targetName, targetsOf } from '../src/layer4-targets.ts';
import type { Pool } from '../src/pools/pool.ts';
import type { Server } from '../src/pools/server.ts';
import { bringUp, createClock, makePool, takeDown } from './pools/make-pool.ts';

const NOBODY = () => false;

/** Duty and weight by server; a whole weight of 1 is 16 here. */
function told(
  pool: Pool,
  { now = 1_000_000, isCut = NOBODY, share = () => 1 }: Partial<Parameters<typeof targetsOf>[1]> = {},
) {
  return Object.fromEntries(
    targetsOf(pool, { now, isCut, share }).map(({ name, duty, weight }) => [
      name.replace(/^archive\//, ''),
      `${duty} ${weight}`,
    ]),
  );
}

function up(pool: Pool): Server[] {
  for (const server of pool.servers) bringUp(server);
  return [...pool.servers];
}

test('a target is called POOL/SERVER and is where its server is', () => {
  const [first] = targetsOf(makePool(), { now: 0, isCut: NOBODY, share: () => 1 });
  expect(first).toEqual({ name: 'archive/a', address: '10.0.0.11', port: 104, weight: 16, duty: 'open' });
});

describe('duties', () => {
  test('before the first check, and up: everything', () => {
    const pool = makePool();
    expect(told(pool)).toEqual({ a: 'open 16', b: 'open 16' });
    up(pool);
    expect(told(pool)).toEqual({ a: 'open 16', b: 'open 16' });
  });

  test('down: nothing, whatever an operator said before', () => {
    const pool = makePool();
    const [a] = up(pool);
    takeDown(a!);
    expect(told(pool)).toEqual({ a: 'gone 0', b: 'open 16' });
    a!.drain();
    expect(told(pool).a).toBe('gone 0');
  });

  test('drained: open flows and what persistence brings; strictly: open flows; back again: everything', () => {
    const pool = makePool();
    const [a] = up(pool);
    a!.drain();
    expect(told(pool).a).toBe('sticky 0');
    a!.drain(true);
    expect(told(pool).a).toBe('flows 0');
    a!.online();
    expect(told(pool).a).toBe('open 16');
  });

  test('halted: open flows, until they have had their time', () => {
    const pool = makePool();
    const [a] = up(pool);
    a!.halt();
    expect(told(pool).a).toBe('flows 0');
    expect(told(pool, { isCut: (server) => server === a }).a).toBe('gone 0');
  });

  test('weight 0: nothing by balance, but what persistence brings', () => {
    const pool = makePool();
    const [a] = up(pool);
    a!.weight = 0;
    expect(told(pool).a).toBe('open 0');
  });

  test('more down than `panic` allows: health is ignored', () => {
    const pool = makePool({ panic: 0.6 });
    const [a] = up(pool);
    takeDown(a!);
    expect(told(pool)).toEqual({ a: 'open 16', b: 'open 16' });
  });

  test('single-active: one has it all, persistence brings the others nothing', () => {
    const pool = makePool({ mode: 'single-active' });
    const [a] = up(pool);
    expect(told(pool)).toEqual({ a: 'open 16', b: 'flows 0' });
    takeDown(a!);
    expect(told(pool)).toEqual({ a: 'gone 0', b: 'open 16' });
  });
});

describe('weights', () => {
  test('are those of the servers, in sixteenths', () => {
    const pool = makePool({ servers: { a: { weight: 3 }, b: {} } });
    expect(told(pool)).toEqual({ a: 'open 48', b: 'open 16' });
  });

  test('backups have theirs when nobody else is up', () => {
    const pool = makePool({ servers: { a: {}, b: { backup: true } } });
    const [a] = up(pool);
    expect(told(pool)).toEqual({ a: 'open 16', b: 'open 0' });
    takeDown(a!);
    expect(told(pool)).toEqual({ a: 'gone 0', b: 'open 16' });
  });

  test('balance `first`: the first that may', () => {
    const pool = makePool({ balance: 'first' });
    const [a] = up(pool);
    expect(told(pool)).toEqual({ a: 'open 16', b: 'open 0' });
    a!.drain();
    expect(told(pool)).toEqual({ a: 'sticky 0', b: 'open 16' });
  });

  test('a server with as many flows as it may have gets no more', () => {
    const pool = makePool({ servers: { a: { maxConnections: 10 }, b: {} } });
    const [a] = up(pool);
    a!.forwarded = 10;
    expect(told(pool)).toEqual({ a: 'open 0', b: 'open 16' });
    a!.forwarded = 9;
    expect(told(pool).a).toBe('open 16');
  });

  test('grow through a slow start, and are never 0 in it', () => {
    const clock = createClock();
    const pool = makePool({ now: clock.now, slowStart: 10_000 });
    const [a] = up(pool);
    takeDown(a!);
    bringUp(a!);
    expect(told(pool, { now: clock.ms }).a).toBe('open 2');
    expect(told(pool, { now: clock.ms + 5000 }).a).toBe('open 8');
    expect(told(pool, { now: clock.ms + 10_000 }).a).toBe('open 16');
  });

  test('follow the shares of least-busy', () => {
    const pool = makePool();
    const share = (server: Server) => (targetName(server) === 'archive/a' ? 0.25 : 2);
    expect(told(pool, { share })).toEqual({ a: 'open 4', b: 'open 32' });
  });
});

describe('flows that the kernel has', () => {
  test('are the work of a server: it drains until none is left', () => {
    const pool = makePool();
    const [a] = up(pool);
    a!.forwarded = 2;
    expect(a!.active).toBe(2);
    a!.drain();
    expect(a!.state).toBe('draining');
    a!.forwarded = 0;
    expect(a!.state).toBe('drained');
    // Persistence still brings it some.
    a!.forwarded = 1;
    expect(a!.state).toBe('draining');
  });
});
