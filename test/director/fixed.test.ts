/** Fixed persistence: studies in independent archives. UIDs are invented. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { factsFrom } from '../../protocols/facts.ts';
import { type Choice, createDirector } from '../../src/director/director.ts';
import { Persistence } from '../../src/director/persistence.ts';
import type { BalanceName } from '../../src/pools/pool.ts';
import type { Server } from '../../src/pools/server.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';
import { bringUp, createClock, makePool, settings, takeDown } from '../pools/make-pool.ts';

const SERVERS = { a: {}, b: {}, c: {} };

function setUp({
  balance = 'least-busy' as BalanceName,
  isShared = false,
  servers = SERVERS as object,
} = {}) {
  const clock = createClock();
  const pool = makePool({ servers: { ...servers }, balance, now: clock.now });
  const newTable = () => new Table(createMemoryStore({ ttl: Infinity, size: 1000, now: clock.now }));
  const newDirector = (table: Table) =>
    createDirector({
      vip: 'V',
      rules: [{ when: { facts: [{ name: 'calling', patterns: ['STAT'] }] }, urgent: true }],
      pool,
      persistence: new Persistence({ by: ['study'], table, isFixed: true, isShared }),
      now: clock.now,
      random: () => 0.5,
    });
  let table = newTable();
  let director = newDirector(table);
  return {
    clock,
    pool,
    get table() {
      return table;
    },
    choose: (study = '1.2.3', more = {}, how = {}) => director.choose(factsFrom({ study, ...more }), how),
    whereabouts: (study = '1.2.3') => director.whereabouts(factsFrom({ study })),
    explain: (study = '1.2.3') => director.explain(factsFrom({ study })),
    /** The balancer starts again, from what the table had; `lost`: from nothing. */
    restart({ lost = false } = {}) {
      const entries = lost ? [] : [...table.entries()];
      table = newTable();
      for (const entry of entries) table.restore(entry);
      director = newDirector(table);
    },
  };
}

/** The study has been taken by a server: which. */
function settled({ choose }: ReturnType<typeof setUp>, study?: string): Server {
  const choice = choose(study);
  const { server } = choice.next()!;
  choice.settle();
  return server;
}

describe('a study in separate archives', () => {
  test('the first choice is by hash, whatever the balance, load and urgency', () => {
    for (const balance of ['least-busy', 'round-robin', 'random-two', 'hash'] as const) {
      const one = setUp({ balance });
      const [first] = [one.choose('1.2.3').next()!];
      expect(first.reason).toBe('by hash of 3');
      first.server.load.operationStarted();
      for (const calling of ['CT1', 'STAT']) {
        expect(setUp({ balance }).choose('1.2.3', { calling }).next()?.server.name).toBe(first.server.name);
      }
      const names = Array.from({ length: 50 }, (_, index) => one.choose(`1.2.${index}`).next()!.server.name);
      expect(new Set(names)).toEqual(new Set(['a', 'b', 'c']));
    }
  });

  test('`balance: first` stays the order that the operator wants', () => {
    const setting = setUp({ balance: 'first' });
    const [a, b] = setting.pool.servers;
    expect(settled(setting, '1.2.3')).toBe(a);
    takeDown(a!);
    expect(settled(setting, '1.2.4')).toBe(b);
    bringUp(a!);
    expect(settled(setting, '1.2.4')).toBe(b);
  });

  test('work without a study is spread as the pool says', () => {
    const { choose } = setUp({ balance: 'round-robin' });
    const names = [1, 2, 3].map(() => choose('').next()?.server.name);
    expect(new Set(names).size).toBe(1);
    const free = setUp({ balance: 'round-robin' });
    const spread = [1, 2, 3].map(() => free.choose(undefined, { study: undefined }).next()?.server.name);
    expect(new Set(spread).size).toBe(3);
  });

  test('its server is lost: away, and nowhere else, until it is back', () => {
    const setting = setUp();
    const server = settled(setting);
    const choice = setting.choose();
    expect(choice.next()?.server).toBe(server);
    expect([choice.next('lost'), choice.exhausted]).toEqual([undefined, 'away']);
    takeDown(server);
    const later = setting.choose();
    expect([later.next(), later.exhausted, later.next(), later.exhausted]).toEqual([
      ...[undefined, 'away'],
      ...[undefined, 'away'],
    ]);
    expect(setting.whereabouts()).toEqual({ pool: setting.pool, server: undefined });
    bringUp(server);
    expect(later.next()?.server).toBe(server);
    expect([later.exhausted, setting.whereabouts()?.server]).toEqual([undefined, server]);
  });

  test('its server is full, or busy: it waits there', () => {
    const setting = setUp();
    const server = settled(setting);
    server.maxConnections = 0;
    const choice = setting.choose();
    expect([choice.next(), choice.exhausted]).toEqual([undefined, 'full']);
    server.maxConnections = 1;
    expect(choice.next()?.server).toBe(server);
    expect([choice.next('busy'), choice.exhausted]).toEqual([undefined, 'away']);
  });

  test('nothing was sent yet: it moves, and who is taken first decides', () => {
    const setting = setUp();
    const [one, two, three] = [setting.choose(), setting.choose(), setting.choose()];
    const first = one.next()!.server;
    expect([two.next()!.server, three.next()!.server]).toEqual([first, first]);
    const moved = one.next()!;
    expect(moved.server).not.toBe(first);
    expect(moved.reason).toBe(
      `persistence by study moved from ${first.name}, which did not take it; by hash of 2`,
    );
    expect([one.stands, two.stands, two.isConfirmed]).toEqual([true, false, false]);
    two.settle();
    expect([one.stands, two.stands, three.stands, three.isConfirmed]).toEqual([false, true, true, true]);
    expect([one.next(), one.exhausted]).toEqual([undefined, 'away']);
    expect([three.next(), three.exhausted]).toEqual([undefined, 'away']);
    expect(settled(setting)).toBe(first);
  });

  test('it was taken, its work is over, and others begin: whoever was elsewhere before that comes too late', () => {
    const setting = setUp();
    const [one, two] = [setting.choose(), setting.choose()];
    const first = one.next()!.server;
    expect(two.next()!.server).toBe(first);
    const taker = one.next()!.server;
    one.settle();
    one.hold()();
    expect(setting.choose().next()!.server).toBe(taker);
    two.settle();
    expect([two.stands, setting.whereabouts()?.server]).toEqual([false, taker]);
    expect(settled(setting)).toBe(taker);
  });

  test('however they move while nothing was sent, there is one place at a time', () => {
    const { choose } = setUp();
    const [one, two] = [choose(), choose()];
    const first = one.next()!.server;
    const second = one.next()!.server;
    expect(two.next()?.server).toBe(second);
    expect(two.next()?.server).toBe(first);
    expect([one.stands, two.stands]).toEqual([false, true]);
    const third = one.next()!.server;
    expect([first, second]).not.toContain(third);
    expect([one.stands, two.stands]).toEqual([true, false]);
    expect(two.next()?.server).toBe(third);
    expect([one.stands, two.stands]).toEqual([true, true]);
    expect([one.next(), one.exhausted]).toEqual([undefined, 'all-tried']);
  });

  test('nobody was taken: it is free again', () => {
    const setting = setUp();
    const choice = setting.choose();
    const { server } = choice.next()!;
    expect(setting.whereabouts()?.server).toBe(server);
    choice.abandon();
    expect(setting.whereabouts()).toBeUndefined();
    takeDown(server);
    expect(settled(setting)).not.toBe(server);
  });

  test('a server that drains keeps its studies, also one that it took while it began to drain', () => {
    const setting = setUp();
    const choice = setting.choose();
    const { server } = choice.next()!;
    server.drain();
    choice.settle();
    const end = choice.hold();
    end();
    expect(setting.choose().next()?.server).toBe(server);
    expect([...setting.table.entries()]).toEqual([
      { key: 'archive/study=1.2.3', server: server.name, remaining: Infinity },
    ]);
    server.halt();
    expect(setting.choose().next()).toBeUndefined();
    server.online();
    expect(setting.choose().next()?.server).toBe(server);
  });

  test('a server that a reload removes takes its studies with it; back by its name it has them', () => {
    const setting = setUp();
    const { name } = settled(setting);
    const others = Object.fromEntries(Object.entries(SERVERS).filter(([key]) => key !== name));
    setting.pool.reconfigure(settings({ servers: others }));
    const choice = setting.choose();
    expect([choice.next(), choice.exhausted]).toEqual([undefined, 'away']);
    setting.pool.reconfigure(settings({ servers: SERVERS }));
    expect(setting.choose().next()?.server.name).toBe(name);
  });

  test('cleared by an operator: it is placed anew', () => {
    const setting = setUp();
    const server = settled(setting);
    takeDown(server);
    setting.table.delete('archive/study=1.2.3');
    expect(settled(setting)).not.toBe(server);
  });

  test('in a table that VIPs share the pool stays in the key: a server that is gone is not in another pool', () => {
    const setting = setUp({ isShared: true });
    settled(setting);
    expect([...setting.table.entries()].map(({ key }) => key)).toEqual(['archive/study=1.2.3']);
  });

  test('ten years pass, and a restart', () => {
    const setting = setUp();
    const server = settled(setting);
    setting.clock.ms += 10 * 365 * 24 * 3_600_000;
    setting.restart();
    takeDown(setting.pool.servers.find((one) => one !== server)!);
    expect(setting.choose().next()?.server).toBe(server);
  });

  test('a table that is lost: the same servers are found again by hash', () => {
    const setting = setUp();
    const studies = Array.from({ length: 40 }, (_, index) => `1.2.${index}`);
    const before = studies.map((study) => settled(setting, study));
    setting.restart({ lost: true });
    expect(studies.map((study) => settled(setting, study))).toEqual(before);
  });
});

describe('explain', () => {
  test('its server and no other, and why it is away', () => {
    const setting = setUp();
    expect(setting.explain().candidates.map(({ reason }) => reason)).toEqual([
      'by hash of 3',
      'by hash of 2',
      'the only one to ask',
    ]);
    const server = settled(setting);
    const { name } = server;
    expect(setting.explain()).toMatchObject({
      persistence: { by: 'study', key: '1.2.3' },
      candidates: [{ server: name, reason: 'persistence by study: its server' }],
    });
    takeDown(server);
    expect(setting.explain()).toMatchObject({
      persistence: { by: 'study', key: '1.2.3' },
      candidates: [],
      exhausted: `away: by study it is on ${name} and stays there, and ${name} is down`,
      reject: undefined,
    });
    setting.pool.reconfigure(settings({ servers: { x: {} } }));
    expect(setting.explain().exhausted).toMatch(
      new RegExp(`and ${name} is gone; .gantry persistence --clear. with its key has it placed anew$`),
    );
  });
});

describe('random failures', () => {
  const kinds = ['choose', 'choose', 'dial', 'dial', 'send', 'send', 'abandon', 'end'] as const;
  const changes = ['down', 'up', 'drain', 'online', 'full', 'roomy', 'reload', 'restart'] as const;
  const events = fc.array(
    fc.record({ kind: fc.constantFrom(...kinds, ...kinds, ...changes), which: fc.nat({ max: 7 }) }),
    { maxLength: 120 },
  );
  const balances = fc.constantFrom<BalanceName>('least-busy', 'round-robin', 'first', 'hash');

  test('a study whose first byte was sent somewhere is never sent anywhere else', () => {
    fc.assert(
      fc.property(balances, events, (balance, happening) => {
        const setting = setUp({ balance });
        const { pool } = setting;
        const sent = new Map<string, string>();
        let placing: { choice: Choice; study: string; server: Server }[] = [];
        let working: (() => void)[] = [];
        for (const { kind, which } of happening) {
          const server = pool.servers[which % pool.servers.length]!;
          const index = which % Math.max(placing.length, 1);
          const work = placing[index];
          if (kind === 'choose') {
            const study = `1.2.${which % 2}`;
            const choice = setting.choose(study);
            const candidate = choice.next();
            if (candidate) placing.push({ choice, study, server: candidate.server });
          } else if (kind === 'down') takeDown(server);
          else if (kind === 'up') bringUp(server);
          else if (kind === 'drain') server.drain();
          else if (kind === 'online') server.online();
          else if (kind === 'full') server.maxConnections = 0;
          else if (kind === 'roomy') server.maxConnections = undefined;
          else if (kind === 'reload') {
            const left = which < 4 ? { a: {}, c: {}, d: {} } : SERVERS;
            pool.reconfigure(settings({ servers: left, balance }));
          } else if (kind === 'restart') {
            placing = [];
            working = [];
            setting.restart();
          } else if (kind === 'end') working.splice(index, 1)[0]?.();
          else if (work) {
            if (kind === 'abandon' || (kind === 'dial' && !tried(work))) {
              work.choice.abandon();
              placing.splice(index, 1);
            } else if (kind === 'send') {
              // As a caller does: the reservation may have moved, and what was settled by others goes before.
              work.choice.settle();
              placing.splice(index, 1);
              if (!work.choice.stands) continue;
              expect(sent.get(work.study) ?? work.server.name).toBe(work.server.name);
              sent.set(work.study, work.server.name);
              working.push(work.choice.hold());
            }
          }
          for (const [study, name] of sent) {
            const [entry] = [setting.table.entry(`archive/study=${study}`)];
            expect(entry).toMatchObject({ server: name, remaining: Infinity });
          }
        }
      }),
      { numRuns: 1000 },
    );
  });

  /** Its server could not be had: the next one. */
  function tried(work: { choice: Choice; server: Server }): boolean {
    const candidate = work.choice.next();
    if (candidate) work.server = candidate.server;
    return candidate !== undefined;
  }
});
