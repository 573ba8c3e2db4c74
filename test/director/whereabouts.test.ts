/** Where work is while others place work with the same key: does a reservation stand, who has taken it, where is it? */
import { describe, expect, test } from 'vitest';
import { factsFrom } from '../../protocols/facts.ts';
import { createDirector } from '../../src/director/director.ts';
import { Persistence } from '../../src/director/persistence.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';
import { bringUp, makePool, takeDown } from '../pools/make-pool.ts';
import { clock, direct } from './direct.ts';

const CT1 = { calling: 'CT1' };

function setUp() {
  return direct({ by: ['calling'], pool: makePool({ servers: { a: {}, b: {}, c: {} } }) });
}

describe('a reservation', () => {
  test('stands for its candidate, until others who could not have that server move it', () => {
    const { choose } = setUp();
    const [one, two] = [choose(CT1), choose(CT1)];
    expect(one.stands).toBe(false);
    const first = one.next()!.server;
    two.next();
    expect([one.stands, two.stands]).toEqual([true, true]);
    const second = two.next()!.server;
    expect(second).not.toBe(first);
    expect([one.stands, two.stands]).toEqual([false, true]);
    expect(one.next()?.server).toBe(second);
    expect(one.stands).toBe(true);
    one.settle();
    expect([one.stands, two.stands]).toEqual([true, true]);
    one.abandon();
    expect(one.stands).toBe(false);
  });

  test('beside the entry it does not stand until it is taken there first', () => {
    const { choose } = setUp();
    const [one, two] = [choose(CT1), choose(CT1)];
    one.next();
    two.next();
    one.settle();
    two.next();
    expect(two.stands).toBe(false);
    two.settle();
    expect([one.stands, two.stands]).toEqual([true, false]);
  });

  test('of work without persistence always stands, and so does the server that a cookie names', () => {
    const { choose } = direct({ by: ['cookie', 'source-ip'], shares: { cookie: 'SRV' } });
    const plain = choose({});
    plain.next();
    const named = choose({ client: '10.1.2.3', 'serverCookie.SRV': ['a'] });
    expect(named.next()?.server.name).toBe('a');
    expect([plain.stands, named.stands, named.isConfirmed]).toEqual([true, true, true]);
    expect(named.next()?.server.name).toBe('b');
    expect([named.stands, named.isConfirmed]).toEqual([true, false]);
  });

  test('is confirmed when that server took such work before', () => {
    const { choose } = setUp();
    const [one, two] = [choose(CT1), choose(CT1)];
    one.next();
    two.next();
    expect([one.isConfirmed, two.isConfirmed]).toEqual([false, false]);
    one.settle();
    expect([one.isConfirmed, two.isConfirmed]).toEqual([true, true]);
    const later = choose(CT1);
    later.next();
    expect(later.isConfirmed).toBe(true);
    later.next();
    expect(later.isConfirmed).toBe(false);
  });

  test('of a server that is lost moves, though others were taken there meanwhile', () => {
    const { choose } = setUp();
    const [one, two, three] = [choose(CT1), choose(CT1), choose(CT1)];
    const first = one.next()!.server;
    two.next();
    three.next();
    two.settle();
    const moved = one.next('lost')!;
    expect(moved.server).not.toBe(first);
    expect(moved.reason).toContain(`persistence by calling moved from ${first.name}`);
    expect([one.stands, two.stands]).toEqual([true, false]);
    expect(three.next('lost')?.server).toBe(moved.server);
    one.settle();
    expect(choose(CT1).next()?.server).toBe(moved.server);
  });
});

describe('whereabouts', () => {
  const whereabouts = (
    setting: ReturnType<typeof setUp>,
    facts: Record<string, string> = CT1,
    inAnyPool = false,
  ) =>
    createDirector({
      vip: 'V',
      rules: [
        { when: { facts: [{ name: 'called', patterns: ['OLD'] }] }, reject: 'no-reason-given' },
        { when: { facts: [{ name: 'called', patterns: ['OTHER'] }] }, pool: makePool({ name: 'other' }) },
      ],
      pool: setting.pool,
      persistence: new Persistence({ by: ['calling'], table: setting.table }),
      now: clock.now,
      random: () => 0.5,
    }).whereabouts(factsFrom(facts), { inAnyPool });

  test('where work is, reserved or taken; nothing is reserved or renewed by asking', () => {
    const setting = setUp();
    expect(whereabouts(setting)).toBeUndefined();
    expect([...setting.table.entries()]).toEqual([]);
    const choice = setting.choose(CT1);
    const { server } = choice.next()!;
    expect(whereabouts(setting)).toEqual({ pool: setting.pool, server });
    choice.settle();
    clock.ms += 900;
    expect(whereabouts(setting)?.server).toBe(server);
    clock.ms += 101;
    expect(whereabouts(setting)).toBeUndefined();
  });

  test('its server may not have work now: it is there, and not to be had', () => {
    const setting = setUp();
    const choice = setting.choose(CT1);
    const { server } = choice.next()!;
    choice.settle();
    takeDown(server);
    expect(whereabouts(setting)).toEqual({ pool: setting.pool, server: undefined });
    bringUp(server);
    server.drain();
    expect(whereabouts(setting)?.server).toBe(server);
    server.halt();
    expect(whereabouts(setting)).toEqual({ pool: setting.pool, server: undefined });
  });

  test('in any pool, whichever the facts lead to', () => {
    const setting = setUp();
    const choice = setting.choose(CT1);
    const { server } = choice.next()!;
    choice.settle();
    const facts = { ...CT1, called: 'OTHER' };
    expect(whereabouts(setting, facts)).toBeUndefined();
    expect(whereabouts(setting, facts, true)).toEqual({ pool: setting.pool, server });
    expect(whereabouts(setting, { calling: 'NOBODY' }, true)).toBeUndefined();
  });

  test('nowhere: another pool, no pool, no value, no persistence', () => {
    const setting = setUp();
    const choice = setting.choose(CT1);
    choice.next();
    choice.settle();
    for (const facts of [{ ...CT1, called: 'OTHER' }, { ...CT1, called: 'OLD' }, { called: 'X' }]) {
      expect(whereabouts(setting, facts)).toBeUndefined();
    }
    const none = new Persistence({
      by: [],
      table: new Table(createMemoryStore({ ttl: 1, size: 1, now: clock.now })),
    });
    const director = createDirector({
      ...{ vip: 'V', rules: [], pool: setting.pool, persistence: none, now: clock.now, random: () => 0.5 },
    });
    expect(director.whereabouts(factsFrom(CT1))).toBeUndefined();
  });
});
