import { expect, test } from 'vitest';
import { Departures, watchDepartures } from '../../src/frontends/departures.ts';
import { ManualDeadlines } from '../pools/health/manual-deadlines.ts';
import { makePool } from '../pools/make-pool.ts';

const HALTED = 'its server was halted, and the time to finish is over';

function watch() {
  const deadlines = new ManualDeadlines();
  const told: string[] = [];
  const departures = new Departures(
    {
      leave: (server) => void told.push(`leave ${server.name}`),
      cut: (server, why) => void told.push(`cut ${server.name}: ${why}`),
    },
    deadlines,
  );
  return { deadlines, told, departures };
}

test('halt: what is between two pieces of work leaves now, the rest when the time of the pool is over', () => {
  const { deadlines, told, departures } = watch();
  const pool = makePool({ drain: 5000 });
  departures.watch([pool]);
  pool.server('a')!.halt();
  expect(told).toEqual(['leave a']);
  deadlines.pass(4999);
  expect(told).toEqual(['leave a']);
  deadlines.pass(1);
  expect(told).toEqual(['leave a', `cut a: ${HALTED}`]);
});

test('a server that is online again in time keeps its work', () => {
  const { deadlines, told, departures } = watch();
  const pool = makePool({ drain: 5000 });
  departures.watch([pool]);
  pool.server('a')!.halt();
  pool.server('a')!.online();
  deadlines.pass(10_000);
  expect(told).toEqual(['leave a']);
});

test('halted twice: the time counts from the second one', () => {
  const { deadlines, told, departures } = watch();
  const pool = makePool({ drain: 5000 });
  const server = pool.server('a')!;
  departures.watch([pool]);
  server.halt();
  deadlines.pass(3000);
  server.online();
  server.halt();
  deadlines.pass(4000);
  expect(told).toEqual(['leave a', 'leave a']);
  deadlines.pass(1000);
  expect(told).toHaveLength(3);
});

test('drain moves nobody', () => {
  const { deadlines, told, departures } = watch();
  const pool = makePool({ drain: 5000 });
  departures.watch([pool]);
  pool.server('a')!.drain();
  deadlines.pass(10_000);
  expect(told).toEqual([]);
});

test('a failover cuts at once', () => {
  const { told, departures } = watch();
  const pool = makePool({ drain: 5000 });
  departures.watch([pool]);
  pool.hasToLeave(pool.server('a')!, 'failed-over');
  expect(told).toEqual(['cut a: another server of its pool has taken over']);
});

test('a halt before a reload is remembered, whether the pool is still there or not', () => {
  const { deadlines, told, departures } = watch();
  const [stays, goes] = [makePool({ drain: 5000 }), makePool({ drain: 5000 })];
  departures.watch([stays, goes]);
  stays.server('a')!.halt();
  goes.server('b')!.halt();
  departures.watch([stays]);
  deadlines.pass(5000);
  expect(told.slice(2)).toEqual([`cut a: ${HALTED}`, `cut b: ${HALTED}`]);
});

test('a pool that is no longer wanted is watched for as long as work is open there', () => {
  const { told, departures } = watch();
  const pool = makePool();
  const server = pool.server('a')!;
  departures.watch([pool]);
  server.acquire();
  departures.watch([]);
  server.halt();
  expect(told).toEqual(['leave a']);
  server.online();
  server.release();
  departures.watch([]);
  server.halt();
  expect(told).toEqual(['leave a']);
});

test('after the end nothing is told any more', () => {
  const deadlines = new ManualDeadlines();
  const told: string[] = [];
  const pool = makePool({ drain: 5000 });
  const note = { leave: () => void told.push('leave'), cut: () => void told.push('cut') };
  const stop = watchDepartures([pool], note, deadlines);
  pool.server('a')!.halt();
  stop();
  pool.server('b')!.halt();
  deadlines.pass(10_000);
  expect(told).toEqual(['leave']);
});
