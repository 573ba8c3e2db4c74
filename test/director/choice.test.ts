import { describe, expect, test } from 'vitest';
import type { FactValue } from '../../protocols/facts.ts';
import { Persistence } from '../../src/director/persistence.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';
import { bringUp, makePool, settings, takeDown } from '../pools/make-pool.ts';
import { clock, direct } from './direct.ts';

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

  test('work that ends on a server that was lost does not bring back the entry, while others are on their way elsewhere', () => {
    const setting = direct({ by: ['calling'] });
    const choice = setting.choose(CT1);
    const { server } = choice.next()!;
    choice.settle();
    const ended = choice.hold();
    takeDown(server);
    const second = setting.choose(CT1);
    const moved = second.next()!.server;
    expect(moved).not.toBe(server);
    ended();
    expect(setting.table.serverOf('archive/calling=CT1')).toBe(moved.name);
    second.settle();
    bringUp(server);
    expect(setting.choose(CT1).next()?.server).toBe(moved);
  });

  test('drained, and nothing else is up: what is pinned still comes, new work does not', () => {
    const setting = direct({ by: ['calling'] });
    const { server, other } = settled(setting);
    takeDown(other);
    server.drain();
    expect(setting.choose(CT1).next()?.server).toBe(server);
    const choice = setting.choose({ calling: 'CT2' });
    expect([choice.next(), choice.exhausted]).toEqual([undefined, 'none-up']);
  });

  test('single-active: entries to other servers do not count', () => {
    const setting = direct({ by: ['calling'], pool: makePool({ mode: 'single-active' }) });
    setting.table.confirm(setting.table.claim('archive/calling=CT1', 'b'), true);
    const choice = setting.choose(CT1);
    expect(choice.next()).toMatchObject({
      server: { name: 'a' },
      reason:
        'persistence by calling moved from b, which is not the active one; the active one, the first in order',
    });
    choice.settle();
    setting.a.drain();
    expect(setting.choose(CT1).next()?.reason).toContain('moved from a, which is drained; the active one');
  });

  test('a retired server: moved, and what a new one of its name has is its', () => {
    const setting = direct({ by: ['calling'] });
    const { server, other } = settled(setting);
    setting.pool.reconfigure(settings({ servers: { [other.name]: { host: other.host } } }));
    const moved = setting.choose(CT1);
    expect(moved.next()?.reason).toContain(`moved from ${server.name}, which is gone`);
    moved.abandon();
    setting.pool.reconfigure(settings({ servers: { a: { port: 105 }, b: { port: 105 } } }));
    const next = setting.choose(CT1).next()!.server;
    expect([next.name, next.port]).toEqual([server.name, 105]);
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
