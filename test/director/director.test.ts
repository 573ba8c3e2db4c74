import { describe, expect, test } from 'vitest';
import type { Choice, Rule } from '../../src/director/director.ts';
import type { Pool } from '../../src/pools/pool.ts';
import { makePool, takeDown } from '../pools/make-pool.ts';
import { clock, direct } from './direct.ts';

/** The names of all candidates that are left. */
function names(choice: Choice): string {
  let text = '';
  for (let next = choice.next(); next; next = choice.next()) text += next.server.name;
  return text;
}

function when(name: string, ...patterns: string[]) {
  return { facts: [{ name, patterns }] };
}

describe('rules', () => {
  const ct = makePool({ name: 'ct', servers: { x: {} } });
  const rules: Rule[] = [
    { when: when('called', 'STAT*'), urgent: true },
    { when: when('modality', 'CT'), pool: ct },
    { when: when('called', 'OLD'), reject: 'called-ae-not-recognized' },
    { when: when('calling', 'ER'), balance: 'first' },
  ];

  test('a rule says pool, urgency, balance or rejection; it is named as the operator counts', () => {
    const { choose, pool } = direct({ rules });
    expect(choose({ called: 'STAT' })).toMatchObject({ rule: 'routes[1]', urgent: true, reject: undefined });
    expect(choose({ called: 'STAT' }).pool).toBe(pool);
    expect(choose({ modality: 'CT' })).toMatchObject({ rule: 'routes[2]', urgent: false });
    expect(choose({ modality: 'CT' }).pool).toBe(ct);
    expect(choose({ calling: 'ER' }).next()?.reason).toContain('first in order');
    expect(choose({})).toMatchObject({ rule: 'default', urgent: false, reject: undefined });
  });

  test('says which of the rules it was, names of others beside the routes or not', () => {
    const { choose } = direct({
      rules: [{ name: 'clients', when: when('called', 'X'), reject: 'r' }, ...rules],
    });
    expect(choose({ called: 'X' })).toMatchObject({ rule: 'clients', ruleIndex: 0, reject: 'r' });
    expect(choose({ modality: 'CT' })).toMatchObject({ rule: 'routes[2]', ruleIndex: 2 });
    expect(choose({})).toMatchObject({ rule: 'default', ruleIndex: -1 });
  });

  test('a path by glob or regular expression; redirect, respond and statuses are rejections', () => {
    const { choose } = direct({
      rules: [
        { when: when('path', '/chat/*'), pool: ct },
        { when: when('path', '~^/(old|older)/'), reject: 'redirect' },
        { when: when('host', 'down.example'), reject: '503' },
      ],
    });
    expect(choose({ path: '/chat/1' }).pool).toBe(ct);
    expect(choose({ path: '/older/x' })).toMatchObject({ reject: 'redirect', ruleIndex: 1, pool: undefined });
    expect(choose({ path: '/new', host: 'down.example' })).toMatchObject({ reject: '503', ruleIndex: 2 });
  });

  test('a rejection has no pool and no candidate', () => {
    const choice = direct({ rules }).choose({ called: 'OLD' });
    expect(choice).toMatchObject({ rule: 'routes[3]', reject: 'called-ae-not-recognized', pool: undefined });
    expect(choice.next()).toBeUndefined();
    choice.settle();
    choice.abandon();
    choice.hold()();
  });

  test('no rule and no pool: no-route', () => {
    const { choose } = direct({ rules, pool: undefined });
    expect(choose({})).toMatchObject({ rule: 'default', reject: 'no-route' });
    expect(choose({ called: 'STAT' })).toMatchObject({ rule: 'routes[1]', reject: 'no-route' });
  });

  test('AE titles without regard to case', () => {
    const { choose } = direct({ rules, ignoreCase: ['called'] });
    expect(choose({ called: 'stat1' }).rule).toBe('routes[1]');
  });
});

describe('candidates', () => {
  test('every server once, then all-tried', () => {
    const choice = direct().choose();
    expect(names(choice)).toMatch(/^(ab|ba)$/);
    expect(choice.exhausted).toBe('all-tried');
    expect(choice.next()).toBeUndefined();
  });

  test('only those that are up; none-up when there is none', () => {
    const { choose, a, b } = direct();
    takeDown(a);
    expect(names(choose())).toBe('b');
    b.halt();
    const choice = choose();
    expect([names(choice), choice.exhausted]).toEqual(['', 'none-up']);
  });

  test('full when somebody is up, but without room; asked again when there is room', () => {
    const { choose, a, b } = direct({ pool: makePool({ servers: { a: { maxConnections: 1 }, b: {} } }) });
    takeDown(b);
    a.acquire();
    const choice = choose();
    expect([choice.next(), choice.exhausted]).toEqual([undefined, 'full']);
    expect(names(choose({}, { ignoreRoom: true }))).toBe('a');
    a.release();
    expect(choice.next()?.server).toBe(a);
    expect(choice.exhausted).toBeUndefined();
  });

  test("a caller's own limit counts beside the server's", () => {
    const { choose, b } = direct();
    const choice = choose({}, { hasRoom: (server) => server === b });
    expect([names(choice), choice.exhausted]).toEqual(['b', 'full']);
  });

  test('backups only when no other is up, never because the others are full', () => {
    const pool = makePool({ servers: { a: { maxConnections: 1 }, b: { backup: true } } });
    const { choose, a } = direct({ pool });
    const choice = choose();
    expect(choice.next()?.server.name).toBe('a');
    expect(choice.next()).toMatchObject({
      server: { name: 'b' },
      reason: expect.stringContaining('no other is up'),
    });
    a.acquire();
    const second = choose();
    expect([second.next(), second.exhausted]).toEqual([undefined, 'full']);
    const urgent = choose({}, { urgent: true });
    expect([urgent.next(), urgent.exhausted]).toEqual([undefined, 'full']);
    takeDown(a);
    expect(choose().next()?.server.name).toBe('b');
  });

  test('weight 0 gets nothing new', () => {
    const { choose, a } = direct();
    a.weight = 0;
    expect(names(choose())).toBe('b');
  });

  test('without a check: a server that could not be dialled is asked last', () => {
    const pool = makePool({
      servers: { a: {}, b: { backup: true } },
      health: { isChecked: false },
      balance: 'first',
    });
    const { choose, a } = direct({ pool });
    a.dialFailed('refused', clock.ms);
    expect(names(choose())).toBe('ba');
    clock.ms += 5000;
    expect(names(choose())).toBe('ab');
  });

  test('each has its reason', () => {
    const { choose, b } = direct();
    expect(choose().next()?.reason).toBe('least busy of 2');
    takeDown(b);
    expect(choose().next()?.reason).toBe('the only one to ask');
  });
});

describe('urgent', () => {
  const three = { a: {}, b: {}, c: {} };

  function busy(pool: Pool): Pool {
    pool.server('a')!.load.connections = 3;
    pool.server('b')!.load.connections = 3;
    return pool;
  }

  test.each(['least-busy', 'round-robin', 'random-two'] as const)(
    'goes to the least busy in %s',
    (balance) => {
      const pool = busy(makePool({ servers: three, balance }));
      const { choose } = direct({ pool });
      for (let count = 0; count < 3; count++) {
        expect(choose({}, { urgent: true }).next()).toMatchObject({
          server: { name: 'c' },
          reason: expect.stringContaining('urgent'),
        });
      }
    },
  );

  test.each(['first', 'hash'] as const)('never against %s', (balance) => {
    const pool = busy(makePool({ servers: three, balance }));
    const { choose } = direct({ pool });
    for (let client = 0; client < 10; client++) {
      const facts = { client: `10.0.0.${client}` };
      const routine = choose(facts).next()?.server.name;
      expect(choose(facts, { urgent: true }).next()?.server.name).toBe(routine);
    }
  });

  test('never against a pin', () => {
    const pool = makePool({ servers: three });
    const { choose } = direct({ pool, by: ['calling'] });
    const first = choose({ calling: 'CT1' });
    const { server } = first.next()!;
    first.settle();
    server.load.connections = 50;
    expect(choose({ calling: 'CT1' }, { urgent: true }).next()?.server).toBe(server);
  });

  test('is also a fact', () => {
    expect(direct().choose({ urgent: 'true' }).urgent).toBe(true);
  });
});

describe('explain', () => {
  test('says what choose and next would', () => {
    const setting = direct({ by: ['calling'], rules: [{ when: when('called', 'STAT'), urgent: true }] });
    const facts = { calling: 'CT1', called: 'STAT' };
    const explained = setting.explain(facts);
    const again = setting.explain(facts);
    expect(again).toEqual(explained);
    expect(explained).toMatchObject({
      vip: 'V',
      rule: 'routes[1]',
      persistence: { by: 'calling', key: 'CT1' },
      reject: undefined,
    });
    const choice = setting.choose(facts);
    const candidates = [choice.next()!, choice.next()!];
    expect(explained.candidates.map(({ server }) => server)).toEqual(
      candidates.map(({ server }) => server.name),
    );
    expect(explained.candidates[0]!.reason).toBe(candidates[0]!.reason);
  });

  test('the pinned server first, with the reason of a choice', () => {
    const setting = direct({ by: ['calling'] });
    const choice = setting.choose({ calling: 'CT1' });
    const { server } = choice.next()!;
    choice.settle();
    expect(setting.explain({ calling: 'CT1' }).candidates[0]).toEqual({
      server: server.name,
      reason: 'persistence by calling: its server',
    });
    takeDown(server);
    expect(setting.explain({ calling: 'CT1' }).candidates).toEqual(
      [setting.choose({ calling: 'CT1' }).next()].map((candidate) => ({
        server: candidate!.server.name,
        reason: candidate!.reason,
      })),
    );
  });

  test('a rejection', () => {
    expect(direct({ pool: undefined }).explain()).toEqual({
      vip: 'V',
      rule: 'default',
      persistence: undefined,
      candidates: [],
      reject: 'no-route',
    });
  });
});
