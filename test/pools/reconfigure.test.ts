/** A new configuration under live work: what is unchanged is not touched. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { onEvent, type ServerEvent } from '../../src/observe/events.ts';
import type { Server } from '../../src/pools/server.ts';
import { bringUp, createClock, makePool, settings, type TestPoolOptions, takeDown } from './make-pool.ts';

const names = (servers: readonly Server[]) => servers.map(({ name }) => name).join('');

describe('reconfigure', () => {
  test('unchanged servers stay the same ones, with state, load and what they have in hand', () => {
    const pool = makePool();
    const [a, b] = pool.servers as [Server, Server];
    a.acquire();
    a.load.operationStarted();
    takeDown(b);
    pool.reconfigure(settings({}));
    expect(pool.servers).toEqual([a, b]);
    expect([a.active, a.load.inHand, b.state, names(pool.takers)]).toEqual([1, 2, 'down', 'a']);
  });

  test('new servers come in order', () => {
    const pool = makePool({ servers: { b: { host: '10.0.0.12' } } });
    const b = pool.server('b');
    pool.reconfigure(settings({ servers: { a: {}, b: {}, c: {} } }));
    expect([names(pool.servers), names(pool.takers)]).toEqual(['abc', 'abc']);
    expect(pool.servers[1]).toBe(b);
    expect(pool.server('c')).toMatchObject({ state: 'starting', reason: 'waits for its first check' });
  });

  test('one that is gone is retired: never handed out again, its work finishes', () => {
    const pool = makePool();
    const a = pool.server('a')!;
    a.checked('up', 'answers');
    a.acquire();
    const events: ServerEvent[] = [];
    const stop = onEvent('server', (event) => events.push(event));
    pool.reconfigure(settings({ servers: { b: { host: '10.0.0.12' } } }));
    expect([names(pool.servers), names(pool.takers), pool.server('a')]).toEqual(['b', 'b', undefined]);
    expect(a).toMatchObject({
      isRetired: true,
      eligible: false,
      isWanted: false,
      honoursPersistence: false,
      honoursCookies: false,
      isDraining: true,
      state: 'draining',
      reason: 'no longer in the configuration',
    });
    a.checked('down', 'refused');
    a.release();
    expect(a).toMatchObject({ state: 'drained', active: 0 });
    stop();
    expect(events.map(({ server, state }) => [server, state])).toEqual([
      ['a', 'draining'],
      ['a', 'drained'],
    ]);
  });

  test('nothing brings a retired one back', () => {
    const pool = makePool();
    const a = pool.server('a')!;
    pool.reconfigure(settings({ servers: {} }));
    a.online();
    a.weight = 5;
    bringUp(a);
    expect([a.eligible, pool.isUp, pool.hasOther(pool.server('b') ?? a)]).toEqual([false, false, false]);
  });

  test('a halted one that is removed stays halted until its work has gone', () => {
    const pool = makePool();
    const a = pool.server('a')!;
    a.acquire();
    a.halt();
    pool.reconfigure(settings({ servers: {} }));
    expect(a).toMatchObject({ isHalted: true, isRetired: true, state: 'halted' });
  });

  test.each([{ host: '10.9.9.9' }, { port: 105 }, { ae: 'OTHER' }, { backup: true }])(
    'another %j is another server',
    (change) => {
      const pool = makePool();
      const a = pool.server('a')!;
      takeDown(a);
      pool.reconfigure(settings({ servers: { a: change, b: {} } }));
      expect(pool.server('a')).not.toBe(a);
      expect([a.isRetired, pool.server('a')!.state]).toEqual([true, 'starting']);
    },
  );

  test('a changed weight or maxConnections is taken over in place', () => {
    const pool = makePool();
    const a = pool.server('a')!;
    pool.reconfigure(settings({ servers: { a: { weight: 3, maxConnections: 7 }, b: {} } }));
    expect(pool.server('a')).toBe(a);
    expect([a.weight, a.maxConnections]).toEqual([3, 7]);
    pool.reconfigure(settings({}));
    expect([a.weight, a.maxConnections]).toEqual([1, undefined]);
  });

  test('what an operator has set stays until the configuration itself says something else', () => {
    const pool = makePool({ servers: { a: { weight: 2, maxConnections: 4 }, b: {} } });
    const a = pool.server('a')!;
    a.weight = 0;
    a.maxConnections = 9;
    pool.reconfigure(settings({ servers: { a: { weight: 2, maxConnections: 4 }, b: {} } }));
    expect([a.weight, a.maxConnections]).toEqual([0, 9]);
    pool.reconfigure(settings({ servers: { a: { weight: 5, maxConnections: 4 }, b: {} } }));
    expect([a.weight, a.maxConnections]).toEqual([5, 9]);
  });

  test("an operator's drain and halt stay", () => {
    const pool = makePool();
    const [a, b] = pool.servers as [Server, Server];
    a.drain();
    b.halt();
    pool.reconfigure(settings({ slowStart: 5 }));
    expect([a.state, b.state, names(pool.takers)]).toEqual(['drained', 'halted', '']);
  });

  test('balance, slow start, panic, drain time are taken over', () => {
    const pool = makePool({ servers: { a: {}, b: {}, c: {} } });
    const a = pool.server('a')!;
    takeDown(a);
    takeDown(pool.server('b')!);
    expect(names(pool.takers)).toBe('c');
    pool.reconfigure(
      settings({
        servers: { a: {}, b: {}, c: {} },
        balance: 'hash',
        panic: 0.5,
        slowStart: 10_000,
        drain: 7000,
      }),
    );
    expect([names(pool.takers), pool.balance, pool.drain]).toEqual(['abc', 'hash', 7000]);
    bringUp(a);
    expect(a.effectiveWeight(1_000_000)).toBe(0.1);
  });

  test('rise and fall hold from now on; the verdict stays until a check says otherwise', () => {
    const pool = makePool();
    const [a, b] = pool.servers as [Server, Server];
    a.checked('up', 'answers');
    takeDown(b);
    pool.reconfigure(settings({ health: { rise: 1, fall: 1 } }));
    expect([a.state, b.state]).toEqual(['up', 'down']);
    a.checked('down', 'refused');
    b.checked('up', 'answers');
    expect([a.state, b.state]).toEqual(['down', 'up']);
  });

  test('startDown is for servers that are new', () => {
    const pool = makePool();
    pool.reconfigure(settings({ servers: { a: {}, b: {}, c: {} }, health: { startDown: true } }));
    expect(pool.servers.map(({ state }) => state)).toEqual(['starting', 'starting', 'down']);
  });

  test('checks that end bring servers up; those that begin decide with their first result', () => {
    const pool = makePool();
    const [a, b] = pool.servers as [Server, Server];
    takeDown(a);
    b.checked('busy', 'rejects for now');
    pool.reconfigure(settings({ health: { isChecked: false } }));
    expect(a).toMatchObject({ state: 'up', reason: 'its health is not checked', eligible: true });
    expect(b.effectiveWeight(1_000_000)).toBe(1);
    pool.reconfigure(settings({}));
    expect(a).toMatchObject({ state: 'up', reason: 'waits for its first check', eligible: true });
    a.checked('up', 'answers');
    b.checked('down', 'refused');
    expect(a).toMatchObject({ state: 'up', reason: 'answers' });
    expect(b).toMatchObject({ state: 'down', reason: 'refused' });
  });

  test('those who watch are told at the end, once for each server that there is something to tell about', () => {
    const pool = makePool({ servers: { a: { maxConnections: 1 }, b: {}, c: {} } });
    pool.server('a')!.acquire();
    const told: string[] = [];
    pool.watch(({ name }) => told.push(`${name} of ${names(pool.takers)}`));
    pool.reconfigure(settings({ servers: { a: { maxConnections: 2 }, b: {}, d: {} } }));
    expect(told.sort()).toEqual(['a of abd', 'c of abd', 'd of abd']);
    told.length = 0;
    pool.reconfigure(settings({ servers: { a: { maxConnections: 2 }, b: {}, d: {} } }));
    expect(told).toEqual([]);
  });

  test('those who may have work only now are told of, though nothing about themselves has changed', () => {
    const servers = { a: {}, b: {}, c: {} };
    const pool = makePool({ servers });
    takeDown(pool.server('a')!);
    takeDown(pool.server('b')!);
    const told: string[] = [];
    pool.watch(({ name }) => told.push(name));
    pool.reconfigure(settings({ servers, panic: 0.5 }));
    expect(told.sort()).toEqual(['a', 'b']);
  });

  test('a retired server with room does not let anybody in who waits', () => {
    const pool = makePool();
    const a = pool.server('a')!;
    a.acquire();
    pool.reconfigure(settings({ servers: {} }));
    const told: boolean[] = [];
    pool.watch(() => told.push(pool.isUp));
    a.release();
    expect(told.every((isUp) => !isUp)).toBe(true);
  });
});

describe('random sequences (property)', () => {
  const server = fc.record(
    {
      port: fc.constantFrom(104, 105),
      weight: fc.nat({ max: 2 }),
      maxConnections: fc.constantFrom(undefined, 1, 2),
      backup: fc.boolean(),
    },
    { requiredKeys: [] },
  );
  const configuration = fc.record({
    servers: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), server, { maxKeys: 4 }),
    mode: fc.constantFrom('shared' as const, 'single-active' as const),
    failBack: fc.boolean(),
    panic: fc.constantFrom(0, 0.5),
    health: fc.record({ isChecked: fc.boolean(), rise: fc.constantFrom(1, 2), fall: fc.constantFrom(1, 3) }),
  });
  const event = fc.oneof(
    { weight: 1, arbitrary: fc.record({ what: fc.constant('reconfigure' as const), configuration }) },
    {
      weight: 6,
      arbitrary: fc.record({
        what: fc.constantFrom(
          'drain',
          'strict',
          'halt',
          'online',
          'up',
          'down',
          'dial',
          'acquire',
          'acquire',
        ),
        which: fc.nat({ max: 3 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ what: fc.constant('release' as const), which: fc.nat({ max: 9 }) }) },
  );

  const ACTIONS: Readonly<Record<string, (server: Server) => void>> = {
    drain: (one) => one.drain(),
    strict: (one) => one.drain(true),
    halt: (one) => one.halt(),
    online: (one) => one.online(),
    up: (one) => one.checked('up', 'answers'),
    down: (one) => one.checked('down', 'refused'),
    dial: (one) => one.dialFailed('refused', 0),
  };

  test('counts add up, only those who may have work get it, and who is retired never does', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const clock = createClock();
        const pool = makePool({ now: clock.now });
        let panic = 0;
        const working: Server[] = [];
        const everybody = new Set<Server>(pool.servers);
        for (const happening of events) {
          clock.ms += 100;
          if ('configuration' in happening) {
            const wanted: TestPoolOptions = happening.configuration;
            panic = wanted.panic!;
            pool.reconfigure(settings(wanted));
            for (const one of pool.servers) everybody.add(one);
          } else if (happening.what === 'release') {
            working.splice(happening.which, 1)[0]?.release();
          } else if (happening.what === 'acquire') {
            const one = pool.takers[happening.which];
            one?.acquire();
            if (one) working.push(one);
          } else {
            const one = pool.servers[happening.which];
            if (one) ACTIONS[happening.what]!(one);
          }

          for (const one of everybody) {
            expect(one.active).toBe(working.filter((other) => other === one).length);
            expect(one.load.inHand).toBe(one.active);
            expect(one.isRetired).toBe(!pool.servers.includes(one));
            expect(pool.server(one.name) === one).toBe(!one.isRetired);
            if (one.isRetired)
              expect(one.eligible || one.honoursPersistence || one.honoursCookies).toBe(false);
            if (one.state === 'drained') expect(one.active).toBe(0);
            if (one.state === 'draining') expect(one.active).toBeGreaterThan(0);
          }
          const inOrder = pool.servers.filter((one) => pool.takers.includes(one));
          expect(inOrder).toEqual(pool.takers);
          expect(pool.takers.every((one) => (panic > 0 ? one.isWanted : one.eligible))).toBe(true);
          const able = pool.servers.filter((one) => one.eligible).length;
          if (pool.mode === 'single-active') expect(pool.takers.length).toBeLessThanOrEqual(1);
          else if (panic === 0) expect(pool.takers.length).toBe(able);
          if (able > 0) expect(pool.isUp).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('whoever waits for a server that may have work is told whenever there is one more', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const pool = makePool();
        const openings = () => new Set(pool.takers.filter(({ hasRoom }) => hasRoom));
        let known = openings();
        const working: Server[] = [];
        pool.watch(() => (known = openings()));
        for (const happening of events) {
          if ('configuration' in happening) {
            pool.reconfigure(settings(happening.configuration));
          } else if (happening.what === 'release') {
            working.splice(happening.which, 1)[0]?.release();
          } else if (happening.what === 'acquire') {
            const one = [...openings()][happening.which];
            one?.acquire();
            if (one) working.push(one);
          } else {
            const one = pool.servers[happening.which];
            if (one) ACTIONS[happening.what]!(one);
          }
          // Taking a slot tells nobody; every opening there is was told of.
          for (const one of openings()) expect(known.has(one)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });
});
