/** Parallel work with one persistence key, in any order of events: it stays together. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { factsFrom } from '../../protocols/facts.ts';
import { type Choice, createDirector } from '../../src/director/director.ts';
import { Persistence } from '../../src/director/persistence.ts';
import type { BalanceName } from '../../src/pools/pool.ts';
import type { Server } from '../../src/pools/server.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';
import { createClock, makePool, takeDown } from '../pools/make-pool.ts';

const TTL = 1000;
const balances = fc.constantFrom<BalanceName>('least-busy', 'round-robin', 'random-two', 'first');

function setUp(balance: BalanceName) {
  const clock = createClock();
  const pool = makePool({ servers: { a: {}, b: {}, c: {}, d: {} }, balance, now: clock.now });
  const table = new Table(createMemoryStore({ ttl: TTL, size: 10, now: clock.now }));
  let drawn = 0;
  const director = createDirector({
    vip: 'V',
    rules: [],
    pool,
    persistence: new Persistence({ by: ['calling'], table }),
    now: clock.now,
    random: () => (drawn = (drawn + 0.37) % 1),
  });
  const choose = () => director.choose(factsFrom({ calling: 'CT1' }));
  return { clock, pool, table, choose };
}

/** One event: what happens, and to which of the pieces of work in hand. */
function event<const T extends string>(...kinds: T[]) {
  return fc.record({ kind: fc.constantFrom(...kinds), which: fc.nat({ max: 7 }) });
}

describe('random interleavings on one key', () => {
  test('while its server is up, everything that is in flight at one time is on one server', () => {
    const events = fc.array(event('choose', 'choose', 'settle', 'abandon', 'end', 'wait'), { maxLength: 60 });
    fc.assert(
      fc.property(balances, events, (balance, happening) => {
        const { clock, choose } = setUp(balance);
        const placing: { choice: Choice; server: Server }[] = [];
        const working: { end: () => void; server: Server }[] = [];
        let confirmed: { server: Server; at: number } | undefined;
        for (const { kind, which } of happening) {
          if (kind === 'choose') {
            const choice = choose();
            const { server } = choice.next()!;
            const inFlight = [...placing, ...working];
            for (const other of inFlight) expect(server).toBe(other.server);
            if (confirmed && clock.ms - confirmed.at <= TTL) expect(server).toBe(confirmed.server);
            placing.push({ choice, server });
          } else if (kind === 'wait') {
            clock.ms += which * 200;
          } else if (kind === 'end') {
            const [work] = working.splice(which, 1);
            work?.end();
            if (work) confirmed = { server: work.server, at: clock.ms };
          } else {
            const [work] = placing.splice(which, 1);
            if (!work) continue;
            const { choice, server } = work;
            if (kind === 'abandon') {
              choice.abandon();
            } else {
              choice.settle();
              confirmed = { server, at: clock.ms };
              working.push({ server, end: choice.hold() });
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('servers that cannot be dialled: everything that is taken is taken by one server', () => {
    const events = fc.array(event('choose', 'dial', 'dial', 'dial'), { maxLength: 60 });
    const dead = fc.subarray(['a', 'b', 'c', 'd'], { maxLength: 3 });
    fc.assert(
      fc.property(balances, dead, events, (balance, deadOnes, happening) => {
        const { choose } = setUp(balance);
        const placing: { choice: Choice; server: Server }[] = [];
        const taken = new Set<Server>();
        const dial = (index: number) => {
          const work = placing[index];
          if (!work) return;
          if (deadOnes.includes(work.server.name)) {
            work.server = work.choice.next()!.server;
          } else {
            placing.splice(index, 1);
            work.choice.settle();
            taken.add(work.server);
          }
        };
        for (const { kind, which } of happening) {
          if (kind === 'dial') {
            dial(which);
          } else {
            const choice = choose();
            placing.push({ choice, server: choice.next()!.server });
          }
        }
        while (placing.length > 0) dial(0);
        expect(taken.size).toBeLessThanOrEqual(1);
      }),
      { numRuns: 500 },
    );
  });

  test('servers that go down: whatever is chosen next is chosen for a server that is up, and all agree on it', () => {
    const events = fc.array(event('choose', 'choose', 'settle', 'abandon', 'down'), { maxLength: 40 });
    fc.assert(
      fc.property(balances, events, (balance, happening) => {
        const { pool, choose, table } = setUp(balance);
        let placing: { choice: Choice; server: Server }[] = [];
        for (const { kind, which } of happening) {
          if (kind === 'choose') {
            const choice = choose();
            const server = choice.next()?.server;
            if (!server) continue;
            expect(server.eligible).toBe(true);
            for (const other of placing) if (other.server.eligible) expect(server).toBe(other.server);
            placing.push({ choice, server });
          } else if (kind === 'down') {
            const server = pool.servers[which % 4]!;
            takeDown(server);
            // Work that was being placed there fails, and gives up.
            for (const work of placing) if (work.server === server) work.choice.abandon();
            placing = placing.filter((work) => work.server !== server);
          } else {
            const [work] = placing.splice(which, 1);
            if (kind === 'settle') work?.choice.settle();
            else work?.choice.abandon();
          }
        }
        for (const { choice } of placing) choice.abandon();
        expect([...table.entries()].length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 500 },
    );
  });
});
