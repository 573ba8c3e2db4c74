/** What a server makes of its agent's word, beside an operator's and the checks'. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { onEvent, type ServerEvent } from '../../src/observe/events.ts';
import { heardFrom, NO_AGENT } from '../../src/pools/agent-word.ts';
import { strictest } from '../../src/pools/duty.ts';
import { bringUp, createClock, makePool, takeDown } from './make-pool.ts';

const SAYS = 'its agent says so';

function server(options: Parameters<typeof makePool>[0] = {}) {
  const pool = makePool(options);
  const a = pool.server('a')!;
  a.checked('up', 'answers');
  return { pool, a };
}

describe("an agent's word", () => {
  test('down: down whatever the checks say; up: they decide again', () => {
    const { pool, a } = server();
    a.agent({ health: 'down' }, SAYS);
    expect([a.state, a.reason, a.eligible, a.honoursPersistence]).toEqual(['down', SAYS, false, false]);
    bringUp(a);
    expect([a.state, a.reason, pool.takers.includes(a)]).toEqual(['down', SAYS, false]);
    takeDown(a);
    expect([a.state, a.reason]).toEqual(['down', SAYS]);
    a.agent({ health: 'up' }, SAYS);
    expect([a.state, a.reason]).toEqual(['down', `${SAYS}; refused`]);
    bringUp(a);
    expect([a.state, a.eligible, pool.takers.includes(a)]).toEqual(['up', true, true]);
  });

  test('drain: persistence is honoured; maintenance: not even that; what is open stays', () => {
    const { a } = server();
    a.acquire();
    a.agent({ duty: 'drain' }, SAYS);
    expect([a.state, a.eligible, a.honoursPersistence, a.isDraining]).toEqual([
      'draining',
      false,
      true,
      true,
    ]);
    a.agent({ duty: 'strict-drain' }, SAYS);
    expect([a.state, a.honoursPersistence, a.isHalted]).toEqual(['draining', false, false]);
    a.release();
    expect(a.state).toBe('drained');
    a.agent({ duty: 'online' }, SAYS);
    expect([a.state, a.reason]).toEqual(['up', `${SAYS}; answers`]);
  });

  test('cookies of a server that its agent drains count for the time of the pool', () => {
    const clock = createClock();
    const { a } = server({ now: clock.now, drain: 60_000 });
    a.agent({ duty: 'drain' }, SAYS);
    clock.ms += 59_999;
    expect(a.honoursCookies).toBe(true);
    clock.ms += 1;
    expect(a.honoursCookies).toBe(false);
  });

  test('the stricter word counts: an agent that is ready does not undo an operator, nor the other way', () => {
    const { a } = server();
    a.halt();
    a.agent({ duty: 'drain' }, SAYS);
    a.agent({ duty: 'online' }, SAYS);
    expect([a.state, a.isHalted]).toEqual(['halted', true]);
    a.agent({ duty: 'drain' }, SAYS);
    a.online();
    expect([a.state, a.reason]).toEqual(['drained', `put online by an operator; ${SAYS}; nothing was left`]);
    a.agent({ duty: 'online' }, SAYS);
    expect(a.state).toBe('up');
    expect(strictest('drain', 'halt', 'online')).toBe('halt');
  });

  test('weight: a share of its own; none is nothing new', () => {
    const { pool, a } = server({ servers: { a: { weight: 4 }, b: {} } });
    a.agent({ share: 0.5 }, SAYS);
    expect([a.weight, a.effectiveWeight(0), a.eligible]).toEqual([4, 2, true]);
    a.agent({ share: 0 }, SAYS);
    expect([a.state, a.eligible, a.honoursPersistence, pool.takers.includes(a)]).toEqual([
      'up',
      false,
      true,
      false,
    ]);
    a.agent({ share: 1 }, SAYS);
    expect(pool.takers.includes(a)).toBe(true);
  });

  test('connections: never more than an operator allows; who waits for room is told', () => {
    const { pool, a } = server({ servers: { a: { maxConnections: 4 } } });
    let told = 0;
    pool.watch(() => told++);
    a.agent({ maxConnections: 1 }, SAYS);
    a.acquire();
    expect([a.maxConnections, a.hasRoom, told]).toEqual([1, false, 1]);
    a.agent({ maxConnections: 100 }, SAYS);
    expect([a.maxConnections, a.hasRoom]).toEqual([4, true]);
    a.maxConnections = undefined;
    expect(a.maxConnections).toBe(100);
    a.agent({ maxConnections: Number.POSITIVE_INFINITY }, SAYS);
    expect(a.maxConnections).toBeUndefined();
  });

  test('slow start after its agent said down', () => {
    const clock = createClock();
    const { a } = server({ now: clock.now, slowStart: 10_000 });
    a.agent({ health: 'down' }, SAYS);
    clock.ms += 60_000;
    a.agent({ health: 'up' }, SAYS);
    expect(a.effectiveWeight(clock.ms)).toBeCloseTo(0.1);
    expect(a.effectiveWeight(clock.ms + 10_000)).toBe(1);
  });

  test('the same word again is no news', () => {
    const { pool, a } = server();
    const states: ServerEvent[] = [];
    onTestFinished(onEvent('server', (event) => states.push(event)));
    a.agent({ duty: 'drain' }, SAYS);
    let told = 0;
    pool.watch(() => told++);
    a.agent({ duty: 'drain' }, 'its agent says so again');
    expect([told, states.map(({ state, reason }) => [state, reason])]).toEqual([
      0,
      [['drained', `${SAYS}; nothing was left`]],
    ]);
  });

  test('what a report does not mention stays', () => {
    const drained = heardFrom(NO_AGENT, { duty: 'drain' });
    expect(heardFrom(drained, { share: 0.5 })).toEqual({ ...NO_AGENT, duty: 'drain', share: 0.5 });
    expect(heardFrom(drained, { duty: 'drain' })).toBe(drained);
    expect(heardFrom(drained, {})).toBe(drained);
  });
});
