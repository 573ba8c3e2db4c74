/** Pools of `mode: single-active`: one server has all the work. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NoticeEvent, onEvent } from '../../src/observe/events.ts';
import { bringUp, makePool, settings, type TestPoolOptions, takeDown } from './make-pool.ts';

const three = { a: {}, b: {}, c: { backup: true } };

function single(options: TestPoolOptions = {}) {
  const pool = makePool({ servers: three, mode: 'single-active', ...options });
  const left: string[] = [];
  pool.watchLeaving(({ name }, why) => left.push(`${name} ${why}, ${pool.activeServer?.name} is active`));
  const server = (name: string) => pool.server(name)!;
  const active = () => pool.takers.map(({ name }) => name).join();
  return { pool, server, active, left };
}

describe('single-active', () => {
  test('the first in order has all the work; in a shared pool nobody is the active one', () => {
    const { pool, active } = single();
    expect([active(), pool.activeServer?.name, pool.activeReason]).toEqual(['a', 'a', 'the first in order']);
    expect(makePool().activeServer).toBeUndefined();
  });

  test('fails over to the next in order, backups last, and tells that open work has to leave', () => {
    const { pool, server, active, left } = single();
    takeDown(server('a'));
    expect([active(), pool.activeReason]).toEqual(['b', 'took over from a, which is down']);
    takeDown(server('b'));
    expect(active()).toBe('c');
    expect(left).toEqual(['a failed-over, b is active', 'b failed-over, c is active']);
  });

  test('a backup goes after every other, wherever it stands in the configuration', () => {
    expect(single({ servers: { a: { backup: true }, b: {} } }).active()).toBe('b');
  });

  test('does not fall back by itself', () => {
    const { server, active, left } = single();
    takeDown(server('a'));
    bringUp(server('a'));
    expect(active()).toBe('b');
    takeDown(server('b'));
    expect(active()).toBe('a');
    expect(left).toHaveLength(2);
  });

  test('failBack: goes back as soon as an earlier one is up, and sessions to the later one leave', () => {
    const { pool, server, active, left } = single({ failBack: true });
    takeDown(server('a'));
    bringUp(server('a'));
    expect([active(), pool.activeReason]).toEqual(['a', 'took back from b, which comes later in order']);
    expect(left[1]).toBe('b failed-over, a is active');
  });

  test('with nobody to take over it stays the active one, and what is open there is not cut', () => {
    const { pool, server, left } = single({ servers: { a: {}, b: {} } });
    takeDown(server('b'));
    takeDown(server('a'));
    expect([pool.isUp, pool.activeServer, left]).toEqual([false, undefined, []]);
    bringUp(server('a'));
    expect([pool.activeServer?.name, left]).toEqual(['a', []]);
    takeDown(server('a'));
    bringUp(server('b'));
    expect([pool.activeServer?.name, left]).toEqual(['b', ['a failed-over, b is active']]);
  });

  test('the active one drained: new work goes to the next, nothing is cut, and back online it waits', () => {
    const { pool, server, active, left } = single();
    server('a').acquire();
    server('a').drain();
    expect([active(), pool.activeReason, left]).toEqual(['b', 'took over from a, which is draining', []]);
    server('a').online();
    expect(active()).toBe('b');
  });

  test('the active one halted: open work leaves as for any halt', () => {
    const { server, active, left } = single();
    server('a').halt();
    expect([active(), left]).toEqual(['b', ['a halted, b is active']]);
  });

  test('the active one at weight 0: new work goes to the next, nothing is cut', () => {
    const { pool, server, active, left } = single();
    server('a').weight = 0;
    expect([active(), pool.activeReason, left]).toEqual(['b', 'took over from a, which has no weight', []]);
  });

  test('failed connections of the active one count, as there is another', () => {
    const { server, active } = single();
    for (let count = 0; count < 3; count++) server('a').dialFailed('refused', 0);
    expect(active()).toBe('b');
  });

  test('open work leaves before those who wait for a server are told', () => {
    const { pool, server } = single();
    const order: string[] = [];
    pool.watchLeaving(() => order.push('left'));
    pool.watch(() => order.push('told'));
    takeDown(server('a'));
    expect(order).toEqual(['left', 'told']);
  });

  test('every failover is noticed, with its reason', () => {
    const { server } = single();
    const notices: NoticeEvent[] = [];
    const stop = onEvent('notice', (notice) => notices.push(notice));
    takeDown(server('a'));
    server('b').drain();
    stop();
    expect(notices.map(({ level, fields }) => [level, fields])).toEqual([
      ['warn', { pool: 'archive', server: 'b', from: 'a', reason: 'refused' }],
      [
        'info',
        { pool: 'archive', server: 'c', from: 'b', reason: 'drained by an operator; nothing was left' },
      ],
    ]);
  });

  test('a new configuration: the active one stays, whatever the order; gone, the next takes over uncut', () => {
    const { pool, active, left } = single();
    const mode = 'single-active';
    pool.reconfigure(settings({ servers: { b: { host: '10.0.0.12' }, a: { host: '10.0.0.11' } }, mode }));
    expect(active()).toBe('a');
    pool.reconfigure(settings({ servers: { b: { host: '10.0.0.12' } }, mode }));
    expect([active(), left]).toEqual(['b', []]);
    expect(pool.activeReason).toBe('took over from a, which is no longer in the configuration');
  });

  test('the active one with another address is still the active one', () => {
    const { pool, server, active } = single();
    takeDown(server('a'));
    bringUp(server('a'));
    pool.reconfigure(settings({ servers: { ...three, b: { port: 105 } }, mode: 'single-active' }));
    expect([active(), pool.activeServer?.port]).toEqual(['b', 105]);
  });

  test('becomes shared, and single-active again', () => {
    const { pool, server, active } = single();
    takeDown(server('a'));
    bringUp(server('a'));
    pool.reconfigure(settings({ servers: three }));
    expect([active(), pool.activeServer]).toEqual(['a,b,c', undefined]);
    pool.reconfigure(settings({ servers: three, mode: 'single-active' }));
    expect([active(), pool.activeReason]).toEqual(['a', 'the first in order']);
  });

  test('panic: health is ignored, and the active one stays', () => {
    const { server, active } = single({ servers: { a: {}, b: {} }, panic: 0.6 });
    takeDown(server('a'));
    expect(active()).toBe('a');
  });

  test('at most one server at a time, one that may have work, and it changes only when it must (property)', () => {
    const happening = fc.array(
      fc.record({
        what: fc.constantFrom('up', 'down', 'drain', 'halt', 'online', 'weight'),
        name: fc.constantFrom('a', 'b', 'c'),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(happening, (events) => {
        const { pool, server, left } = single();
        for (const { what, name } of events) {
          const before = pool.activeServer;
          const cuts = left.length;
          if (what === 'up') bringUp(server(name));
          else if (what === 'down') takeDown(server(name));
          else if (what === 'weight') server(name).weight = 1 - server(name).weight;
          else server(name)[what]();
          const eligible = pool.servers.filter((one) => one.eligible);
          expect(pool.takers.length).toBe(Math.min(eligible.length, 1));
          expect(pool.takers.every((one) => one.eligible)).toBe(true);
          if (before?.eligible) expect(pool.activeServer).toBe(before);
          if (before && (what === 'drain' || what === 'weight')) expect(left.length).toBe(cuts);
        }
      }),
    );
  });
});
