import { expect, test } from 'vitest';
import { PoolWatch } from '../../src/frontends/pool-watch.ts';
import { ManualDeadlines } from '../pools/health/manual-deadlines.ts';
import { makePool } from '../pools/make-pool.ts';

const HALTED = 'its server was halted, and the time to finish is over';

function watch() {
  const deadlines = new ManualDeadlines();
  const told: string[] = [];
  const changed: string[] = [];
  const poolWatch = new PoolWatch(
    {
      changed: (server) => void changed.push(server.name),
      leave: (server) => void told.push(`leave ${server.name}`),
      cut: (server, why) => void told.push(`cut ${server.name}: ${why}`),
    },
    deadlines,
  );
  return { deadlines, told, changed, poolWatch };
}

test('halt: what is between two pieces of work leaves now, the rest when the time of the pool is over', () => {
  const { deadlines, told, poolWatch } = watch();
  const pool = makePool({ drain: 5000 });
  poolWatch.watch([pool]);
  pool.server('a')!.halt();
  expect(told).toEqual(['leave a']);
  deadlines.pass(4999);
  expect(told).toEqual(['leave a']);
  deadlines.pass(1);
  expect(told).toEqual(['leave a', `cut a: ${HALTED}`]);
});

test('a server that is online again in time keeps its work', () => {
  const { deadlines, told, poolWatch } = watch();
  const pool = makePool({ drain: 5000 });
  poolWatch.watch([pool]);
  pool.server('a')!.halt();
  pool.server('a')!.online();
  deadlines.pass(10_000);
  expect(told).toEqual(['leave a']);
});

test('halted twice: the time counts from the second one', () => {
  const { deadlines, told, poolWatch } = watch();
  const pool = makePool({ drain: 5000 });
  const server = pool.server('a')!;
  poolWatch.watch([pool]);
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
  const { deadlines, told, poolWatch } = watch();
  const pool = makePool({ drain: 5000 });
  poolWatch.watch([pool]);
  pool.server('a')!.drain();
  deadlines.pass(10_000);
  expect(told).toEqual([]);
});

test('a failover cuts at once', () => {
  const { told, poolWatch } = watch();
  const pool = makePool({ drain: 5000 });
  poolWatch.watch([pool]);
  pool.hasToLeave(pool.server('a')!, 'failed-over');
  expect(told).toEqual(['cut a: another server of its pool has taken over']);
});

test('a halt before a reload is remembered, whether the pool is still there or not', () => {
  const { deadlines, told, poolWatch } = watch();
  const [stays, goes] = [makePool({ drain: 5000 }), makePool({ drain: 5000 })];
  poolWatch.watch([stays, goes]);
  stays.server('a')!.halt();
  goes.server('b')!.halt();
  poolWatch.watch([stays]);
  deadlines.pass(5000);
  expect(told.slice(2)).toEqual([`cut a: ${HALTED}`, `cut b: ${HALTED}`]);
});

test('a pool that is no longer wanted is watched for as long as work is open there', () => {
  const { told, poolWatch } = watch();
  const pool = makePool();
  const server = pool.server('a')!;
  poolWatch.watch([pool]);
  server.acquire();
  poolWatch.watch([]);
  server.halt();
  expect(told).toEqual(['leave a']);
  server.online();
  server.release();
  poolWatch.watch([]);
  server.halt();
  expect(told).toEqual(['leave a']);
});

test('after the end nothing is told any more', () => {
  const { deadlines, told, changed, poolWatch } = watch();
  const pool = makePool({ drain: 5000 });
  poolWatch.watch([pool]);
  pool.server('a')!.halt();
  poolWatch.close();
  changed.length = 0;
  pool.server('b')!.halt();
  deadlines.pass(10_000);
  expect(told).toEqual(['leave a']);
  expect(changed).toEqual([]);
});

test('a change of a server is told once for each pool that is watched, however often that was asked for', () => {
  const { changed, poolWatch } = watch();
  const pool = makePool();
  poolWatch.watch([pool]);
  poolWatch.watch([pool]);
  pool.server('a')!.weight = 3;
  expect(changed).toEqual(['a']);
  poolWatch.watch([]);
  pool.server('a')!.weight = 2;
  expect(changed).toEqual(['a']);
});
