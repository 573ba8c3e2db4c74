/** Persistence by cookie, alone and in a chain: what the HTTP front-end gets for a request with a cookie. */
import { describe, expect, test } from 'vitest';
import type { FactValue } from '../../protocols/facts.ts';
import { bringUp, makePool, takeDown } from '../pools/make-pool.ts';
import { clock, direct, type Setting } from './direct.ts';

const CLIENT = { client: '10.1.2.3' };
const ENTRY = 'archive/source-ip=10.1.2.3';

/** A client whose cookie, if any, names these servers. */
function withCookie(...servers: string[]): Record<string, FactValue> {
  return servers.length === 0 ? CLIENT : { ...CLIENT, 'serverCookie.SRV': servers };
}

function byCookie({ by = ['cookie', 'source-ip'], ...setting }: Setting = {}) {
  return direct({ by, shares: { cookie: 'SRV' }, ...setting });
}

/** One piece of work that is taken by the first server asked. */
function work({ choose }: ReturnType<typeof direct>, facts: Record<string, FactValue>) {
  const choice = choose(facts);
  const candidate = choice.next()!;
  choice.settle();
  choice.hold()();
  return { choice, candidate, server: candidate.server.name };
}

describe('cookie', () => {
  test('comes back to its server, whatever the balance would say', () => {
    const setting = byCookie();
    setting.a.load.connections = 50;
    for (let count = 0; count < 5; count++) {
      const { choice, candidate } = work(setting, withCookie('a'));
      expect(candidate).toMatchObject({ server: { name: 'a' }, reason: 'persistence by cookie: its server' });
      expect(choice.persistence).toEqual({ by: 'cookie', key: 'a' });
    }
  });

  test('the choice names the cookie to set, with or without one that came', () => {
    expect(byCookie().choose(withCookie('a')).cookie).toBe('SRV');
    expect(byCookie().choose(CLIENT).cookie).toBe('SRV');
    expect(byCookie({ by: ['cookie'] }).choose({}).cookie).toBe('SRV');
    expect(byCookie({ by: ['source-ip'] }).choose(CLIENT).cookie).toBeUndefined();
    expect(direct().choose(CLIENT).cookie).toBeUndefined();
  });

  test('the first name that is a server of the pool counts', () => {
    expect(work(byCookie(), withCookie('gone', 'b', 'a')).server).toBe('b');
    expect(
      byCookie()
        .choose({ ...CLIENT, 'serverCookie.SRV': 'b' })
        .next()?.server.name,
    ).toBe('b');
  });

  test('a name that is no server of the pool: as without a cookie', () => {
    const { choice, candidate } = work(byCookie(), withCookie('gone'));
    expect(choice.persistence).toEqual({ by: 'source-ip', key: '10.1.2.3' });
    expect(candidate.reason).toBe('least busy of 2');
  });

  test('its server is down or halted: chosen anew, and says so', () => {
    const setting = byCookie({ by: ['cookie'] });
    takeDown(setting.a);
    const { choice, candidate } = work(setting, withCookie('a'));
    expect(candidate).toMatchObject({
      server: { name: 'b' },
      reason: 'persistence by cookie moved from a, which is down; the only one to ask',
    });
    expect([choice.persistence, choice.cookie]).toEqual([undefined, 'SRV']);
    bringUp(setting.a);
    setting.b.halt();
    expect(work(setting, withCookie('b')).server).toBe('a');
  });

  test('its server drains: honoured for the time of the pool, not at all with strict', () => {
    const setting = byCookie({ pool: makePool({ now: clock.now, drain: 5000 }), ttl: 60_000 });
    setting.a.drain();
    expect(work(setting, withCookie('a')).candidate.reason).toBe(
      'persistence by cookie: its server, still honoured while it drains',
    );
    expect(work(setting, CLIENT).server).toBe('b');
    clock.ms += 5000;
    expect(work(setting, withCookie('a')).candidate.reason).toBe(
      'persistence by cookie moved from a, which is drained; persistence by source-ip: its server',
    );
    setting.b.drain(true);
    setting.a.online();
    expect(work(setting, withCookie('b')).server).toBe('a');
  });

  test('weight 0: who has the cookie still comes', () => {
    const setting = byCookie();
    setting.a.weight = 0;
    expect(work(setting, withCookie('a')).server).toBe('a');
  });

  test('its server is full: waited for, never elsewhere', () => {
    const setting = byCookie({ pool: makePool({ servers: { a: { maxConnections: 1 }, b: {} } }) });
    setting.a.acquire();
    const choice = setting.choose(withCookie('a'));
    expect([choice.next(), choice.exhausted]).toEqual([undefined, 'full']);
    setting.a.release();
    expect(choice.next()?.server.name).toBe('a');
  });

  test('its server goes down while it is waited for', () => {
    const setting = byCookie({ pool: makePool({ servers: { a: { maxConnections: 1 }, b: {} } }) });
    setting.a.acquire();
    const choice = setting.choose(withCookie('a'));
    choice.next();
    takeDown(setting.a);
    expect(choice.next()?.server.name).toBe('b');
  });

  test('its server cannot be dialled: the others by balance, each once', () => {
    const setting = byCookie({ by: ['cookie'] });
    const choice = setting.choose(withCookie('b'));
    expect(choice.next()?.server.name).toBe('b');
    expect(choice.next()).toMatchObject({
      server: { name: 'a' },
      reason: 'away from b, its server by cookie, which did not take it; the only one to ask',
    });
    expect([choice.next(), choice.exhausted]).toEqual([undefined, 'all-tried']);
  });

  test('single-active: only the active one counts', () => {
    const setting = byCookie({ pool: makePool({ mode: 'single-active' }) });
    expect(work(setting, withCookie('b')).candidate).toMatchObject({
      server: { name: 'a' },
      reason:
        'persistence by cookie moved from b, which is not the active one; the active one, the first in order',
    });
  });
});

describe('cookie, then source IP', () => {
  test('without a cookie the entry is made and followed', () => {
    const setting = byCookie();
    const { server } = work(setting, CLIENT);
    expect(setting.table.serverOf(ENTRY)).toBe(server);
    expect(work(setting, CLIENT).candidate.reason).toBe('persistence by source-ip: its server');
  });

  test('a cookie goes before the entry, and leaves it alone', () => {
    const setting = byCookie();
    const { server } = work(setting, CLIENT);
    const other = server === 'a' ? 'b' : 'a';
    expect(work(setting, withCookie(other)).server).toBe(other);
    expect(setting.table.serverOf(ENTRY)).toBe(server);
    const fresh = byCookie();
    work(fresh, withCookie('a'));
    expect(fresh.table.size).toBe(0);
  });

  test('a cookie does not renew the entry', () => {
    const setting = byCookie({ ttl: 1000 });
    const { server } = work(setting, CLIENT);
    clock.ms += 900;
    work(setting, withCookie(server));
    clock.ms += 200;
    expect(setting.table.serverOf(ENTRY)).toBeUndefined();
  });

  test('a cookie of a server that is down: the entry decides, and is claimed as usual', () => {
    const setting = byCookie();
    takeDown(setting.a);
    const { candidate, choice } = work(setting, withCookie('a'));
    expect(candidate.server.name).toBe('b');
    expect(choice.persistence).toEqual({ by: 'source-ip', key: '10.1.2.3' });
    expect(setting.table.serverOf(ENTRY)).toBe('b');
    expect(work(setting, withCookie('a')).candidate.reason).toBe(
      'persistence by cookie moved from a, which is down; persistence by source-ip: its server',
    );
  });

  test('parallel first requests without a cookie land on one server', () => {
    const { choose } = byCookie({ pool: makePool({ servers: { a: {}, b: {}, c: {} } }) });
    const servers = Array.from({ length: 8 }, () => choose(CLIENT).next()!.server);
    expect(new Set(servers).size).toBe(1);
  });

  test('its server comes up while another is tried: nothing is kept of that one', () => {
    const setting = byCookie();
    takeDown(setting.a);
    const choice = setting.choose(withCookie('a'));
    expect(choice.next()?.server.name).toBe('b');
    bringUp(setting.a);
    expect(choice.next()?.server.name).toBe('a');
    choice.settle();
    expect(setting.table.serverOf(ENTRY)).toBeUndefined();
    setting.table.confirm(setting.table.claim(ENTRY, 'b'), true);
    choice.hold();
    clock.ms += 1001;
    expect(setting.table.serverOf(ENTRY)).toBeUndefined();
  });

  test('abandoned, nothing is kept', () => {
    const setting = byCookie();
    for (const facts of [CLIENT, withCookie('a')]) {
      const choice = setting.choose(facts);
      choice.next();
      choice.next();
      choice.abandon();
    }
    expect(setting.table.serverOf(ENTRY)).toBeUndefined();
  });

  test('another fact before the cookie goes first', () => {
    const setting = byCookie({ by: ['header.X-User', 'cookie'] });
    const facts = { ...withCookie('a'), 'header.X-User': 'u1' };
    expect(setting.choose(facts).persistence?.by).toBe('header.X-User');
    expect(setting.choose(withCookie('a')).persistence?.by).toBe('cookie');
  });
});

describe('explain', () => {
  test.each([
    ['a cookie', withCookie('a'), false],
    ['a cookie of a server that is down', withCookie('b'), true],
    ['no cookie', CLIENT, false],
  ])('%s: what choose and next would say', (_, facts, isDown) => {
    const setting = byCookie();
    if (isDown) takeDown(setting.b);
    const explained = setting.explain(facts);
    const choice = setting.choose(facts);
    const { server, reason } = choice.next()!;
    expect(explained.candidates[0]).toEqual({ server: server.name, reason });
    expect(explained.persistence).toEqual(choice.persistence);
    expect(explained.candidates).toHaveLength(isDown ? 1 : 2);
  });
});
