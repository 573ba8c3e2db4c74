import { describe, expect, test } from 'vitest';
import { type FactValue, factsFrom } from '../../protocols/facts.ts';
import {
  type Choice,
  type ChooseOptions,
  createDirector,
  type DirectorOptions,
  type Rule,
} from '../../src/director/director.ts';
import { Persistence, type PersistenceOptions } from '../../src/director/persistence.ts';
import type { Pool } from '../../src/pools/pool.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';
import { bringUp, createClock, makePool, takeDown } from '../pools/make-pool.ts';

interface Setting extends Partial<DirectorOptions> {
  readonly by?: string[];
  readonly ttl?: number;
  readonly shares?: Partial<PersistenceOptions>;
}

const clock = createClock();

function direct({ by, ttl = 1000, shares, ...options }: Setting = {}) {
  const table = new Table(createMemoryStore({ ttl, size: 1000, now: clock.now }));
  const pool = options.pool ?? makePool({ now: clock.now });
  const persistence = by && new Persistence({ by, table, ...shares });
  const director = createDirector({
    vip: 'V',
    rules: [],
    persistence,
    now: clock.now,
    random: () => 0.5,
    pool,
    ...options,
  });
  const choose = (facts: Record<string, FactValue> = {}, how?: ChooseOptions) =>
    director.choose(factsFrom(facts), how);
  const explain = (facts: Record<string, FactValue> = {}) => director.explain(factsFrom(facts));
  return { table, pool, choose, explain, a: pool.server('a')!, b: pool.server('b')! };
}

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

describe('persistence', () => {
  const CT1 = { calling: 'CT1' };

  function settled(setting: ReturnType<typeof direct>, facts: Record<string, FactValue> = CT1) {
    const choice = setting.choose(facts);
    const { server } = choice.next()!;
    choice.settle();
    return { server, other: server === setting.a ? setting.b : setting.a };
  }

  test('comes back to its server, and says so without the value', () => {
    const setting = direct({ by: ['calling'] });
    const { server } = settled(setting);
    for (let count = 0; count < 5; count++) {
      const choice = setting.choose(CT1);
      expect(choice.persistence).toEqual({ by: 'calling', key: 'CT1' });
      const candidate = choice.next()!;
      expect([candidate.server, candidate.reason]).toEqual([server, 'persistence by calling: its server']);
    }
  });

  test('8 parallel first associations from one calling AE land on one server', () => {
    const { choose } = direct({ by: ['calling'] });
    const choices = Array.from({ length: 8 }, () => choose(CT1));
    const servers = choices.map((choice) => choice.next()!.server);
    expect(new Set(servers).size).toBe(1);
    for (const choice of choices) choice.settle();
    expect(choose(CT1).next()?.server).toBe(servers[0]);
  });

  test('8 parallel first associations whose server cannot be had all move to one other server', () => {
    const { choose } = direct({
      by: ['calling'],
      pool: makePool({ servers: { a: {}, b: {}, c: {}, d: {} }, balance: 'round-robin' }),
    });
    const choices = Array.from({ length: 8 }, () => choose(CT1));
    const [first] = choices.map((choice) => choice.next()!.server);
    const [second, ...others] = choices.map((choice) => choice.next()!.server);
    expect(second).not.toBe(first);
    expect(new Set(others)).toEqual(new Set([second]));
    choices[0]!.settle();
    expect(choose(CT1).next()?.server).toBe(second);
  });

  test('of parallel ones, whom the server takes keeps the entry there; whom it refuses goes beside', () => {
    const { choose } = direct({ by: ['calling'] });
    const [one, two] = [choose(CT1), choose(CT1)];
    const { server } = one.next()!;
    two.next();
    one.settle();
    expect(two.next()?.server).not.toBe(server);
    two.settle();
    expect(choose(CT1).next()?.server).toBe(server);
  });

  test('a server that is busy keeps the entry that it has', () => {
    const setting = direct({ by: ['calling'] });
    const { server, other } = settled(setting);
    const choice = setting.choose(CT1);
    expect(choice.next()?.server).toBe(server);
    expect(choice.next('busy')?.server).toBe(other);
    choice.settle();
    expect(setting.choose(CT1).next()?.server).toBe(server);
  });

  test('a first server that is busy has no entry to keep: parallel ones move together', () => {
    const { choose } = direct({
      by: ['calling'],
      pool: makePool({ servers: { a: {}, b: {}, c: {}, d: {} }, balance: 'round-robin' }),
    });
    const choices = Array.from({ length: 4 }, () => choose(CT1));
    for (const choice of choices) choice.next();
    expect(new Set(choices.map((choice) => choice.next('busy')!.server)).size).toBe(1);
  });

  test('abandoned, a reservation is dropped', () => {
    const { choose, table } = direct({ by: ['calling'] });
    const choice = choose(CT1);
    choice.next();
    expect(table.serverOf('archive/calling=CT1')).toBeDefined();
    choice.abandon();
    expect(table.serverOf('archive/calling=CT1')).toBeUndefined();
  });

  test('abandoned after a move, the entry is put back', () => {
    const setting = direct({ by: ['calling'] });
    const { server } = settled(setting);
    const choice = setting.choose(CT1);
    choice.next();
    expect(choice.next()?.reason).toContain(`moved from ${server.name}`);
    expect(choice.next()).toBeUndefined();
    choice.abandon();
    expect(setting.choose(CT1).next()?.server).toBe(server);
  });

  test('with nobody else to ask, the candidate before is the one that is settled', () => {
    const setting = direct({ by: ['calling'], pool: makePool({ servers: { a: {} } }) });
    const choice = setting.choose(CT1);
    choice.next();
    expect(choice.next()).toBeUndefined();
    choice.settle();
    expect(setting.table.serverOf('archive/calling=CT1')).toBe('a');
  });

  test('moves when its server is down or halted, and stays there when that one is back', () => {
    const setting = direct({ by: ['calling'] });
    const { server, other } = settled(setting);
    takeDown(server);
    const choice = setting.choose(CT1);
    expect(choice.next()).toMatchObject({
      server: { name: other.name },
      reason: `persistence by calling moved from ${server.name}, which is down; the only one to ask`,
    });
    choice.settle();
    bringUp(server);
    expect(setting.choose(CT1).next()?.server).toBe(other);
    other.halt();
    expect(setting.choose(CT1).next()?.server).toBe(server);
  });

  test('a pinned server that is full: full, never elsewhere', () => {
    const pool = makePool({ servers: { a: { maxConnections: 1 }, b: { maxConnections: 1 } } });
    const setting = direct({ by: ['calling'], pool });
    const { server } = settled(setting);
    server.acquire();
    const choice = setting.choose(CT1);
    expect([choice.next(), choice.exhausted]).toEqual([undefined, 'full']);
    server.release();
    expect(choice.next()?.server).toBe(server);
  });

  test('draining: honoured, but not renewed', () => {
    const setting = direct({ by: ['calling'], ttl: 1000 });
    const { server, other } = settled(setting);
    server.drain();
    clock.ms += 900;
    const choice = setting.choose(CT1);
    expect(choice.next()).toMatchObject({ server: { name: server.name } });
    choice.settle();
    clock.ms += 200;
    expect(setting.choose(CT1).next()?.server).toBe(other);
    expect(setting.choose({ calling: 'CT2' }).next()?.server).toBe(other);
  });

  test('strict drain: moves at once', () => {
    const setting = direct({ by: ['calling'] });
    const { server, other } = settled(setting);
    server.drain(true);
    expect(setting.choose(CT1).next()?.server).toBe(other);
  });

  test('weight 0: what is pinned still comes', () => {
    const setting = direct({ by: ['calling'] });
    const { server } = settled(setting);
    server.weight = 0;
    expect(setting.choose(CT1).next()?.server).toBe(server);
  });

  test('an entry lives for ttl since its last use; while work is held it lives on', () => {
    const setting = direct({ by: ['calling'], ttl: 1000 });
    const choice = setting.choose(CT1);
    const { server } = choice.next()!;
    choice.settle();
    const ended = choice.hold();
    clock.ms += 5000;
    expect(setting.table.serverOf('archive/calling=CT1')).toBe(server.name);
    ended();
    ended();
    clock.ms += 900;
    expect(setting.table.serverOf('archive/calling=CT1')).toBe(server.name);
    clock.ms += 200;
    expect(setting.table.serverOf('archive/calling=CT1')).toBeUndefined();
  });

  test('a server that is gone from the configuration: moved', () => {
    const setting = direct({ by: ['calling'] });
    setting.table.confirm(setting.table.claim('archive/calling=CT1', 'old'), true);
    expect(setting.choose(CT1).next()?.reason).toContain('moved from old, which is gone');
  });

  test('a chain; work without any of its facts has no persistence', () => {
    const { choose } = direct({ by: ['user', 'calling'] });
    expect(choose(CT1).persistence?.by).toBe('calling');
    expect(choose({}).persistence).toBeUndefined();
  });

  test("a pool's own persistence goes before the VIP's, also when it is none", () => {
    const own = new Persistence({
      by: [],
      table: new Table(createMemoryStore({ ttl: 1, size: 1, now: clock.now })),
    });
    const { choose } = direct({ by: ['calling'], persistenceOf: () => own });
    expect(choose(CT1).persistence).toBeUndefined();
    expect(direct({ by: ['calling'], persistenceOf: () => undefined }).choose(CT1).persistence).toBeDefined();
  });

  test('several VIPs share a table', () => {
    const one = direct({ by: ['source-ip'], shares: { isShared: true } });
    const two = direct({
      by: ['source-ip'],
      shares: { isShared: true, table: one.table },
      pool: makePool({ name: 'other' }),
    });
    for (let client = 0; client < 20; client++) {
      const facts = { client: `10.0.0.${client}` };
      expect(two.choose(facts).next()?.server.name).toBe(settled(one, facts).server.name);
    }
  });

  test('hash: the first choice is the same after the table is lost', () => {
    const pool = makePool({ servers: { a: {}, b: {}, c: {} }, balance: 'hash' });
    const place = (calling: string) => settled(direct({ by: ['calling'], pool }), { calling }).server.name;
    for (let index = 0; index < 30; index++) expect(place(`CT${index}`)).toBe(place(`CT${index}`));
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
