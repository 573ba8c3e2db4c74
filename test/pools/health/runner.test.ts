import { describe, expect, test } from 'vitest';
import type { Check, CheckResult } from '../../../src/pools/health/check.ts';
import { HealthRunner } from '../../../src/pools/health/runner.ts';
import type { CheckOutcome } from '../../../src/pools/server.ts';
import { makePool, type TestPoolOptions } from '../make-pool.ts';
import { ManualDeadlines } from './manual-deadlines.ts';

/** A check whose result the test gives. */
class ScriptedCheck implements Check {
  readonly key: string;
  starts = 0;
  cancelled = 0;
  #done: ((result: CheckResult) => void) | undefined;

  constructor(key = 'a check') {
    this.key = key;
  }

  start(done: (result: CheckResult) => void): () => void {
    this.starts++;
    this.#done = done;
    return () => this.cancelled++;
  }

  finds(outcome: CheckOutcome, reason: string = outcome): void {
    const done = this.#done!;
    this.#done = undefined;
    done({ outcome, reason, ms: 1 });
  }
}

const INTERVAL = 5000;

function setUp(options: TestPoolOptions = {}, random = 0) {
  const deadlines = new ManualDeadlines();
  const runner = new HealthRunner({ deadlines, random: () => random });
  const pool = makePool(options);
  return { deadlines, runner, pool, a: pool.server('a')!, b: pool.server('b')! };
}

describe('health runner', () => {
  test('checks at once, and the first result alone decides', () => {
    const { deadlines, runner, a } = setUp();
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL });
    deadlines.pass(0);
    expect(check.starts).toBe(1);
    check.finds('down', 'refuses connections');
    expect([a.state, a.reason]).toEqual(['down', 'refuses connections']);
  });

  test('at its interval, a little early by jitter', () => {
    const { deadlines, runner, a } = setUp({}, 0.5);
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL });
    deadlines.pass(0);
    check.finds('up');
    expect(deadlines.next).toBe(INTERVAL * 0.95);
    deadlines.pass(deadlines.next);
    expect(check.starts).toBe(2);
  });

  test('faster while in doubt; found down within interval × fall', () => {
    const { deadlines, runner, a } = setUp();
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL });
    deadlines.pass(0);
    check.finds('up');
    const dead = deadlines.ms;
    deadlines.pass(deadlines.next);
    check.finds('down');
    expect([a.state, deadlines.next]).toEqual(['up', 1000]);
    deadlines.pass(deadlines.next);
    check.finds('down');
    deadlines.pass(deadlines.next);
    check.finds('down');
    expect(a.state).toBe('down');
    expect(deadlines.ms - dead).toBeLessThanOrEqual(INTERVAL * 3);
    expect(deadlines.next).toBe(INTERVAL);
    deadlines.pass(deadlines.next);
    check.finds('up');
    expect([a.state, deadlines.next]).toEqual(['down', 1000]);
    deadlines.pass(deadlines.next);
    check.finds('up');
    expect(a.state).toBe('up');
  });

  test('a failed dial makes the next check come sooner, once', () => {
    const { deadlines, runner, a } = setUp();
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL });
    deadlines.pass(0);
    check.finds('up');
    a.dialFailed('refused', 0);
    expect(deadlines.next).toBe(1000);
    deadlines.pass(900);
    a.dialFailed('refused', 0);
    expect(deadlines.next).toBe(100);
    deadlines.pass(100);
    expect(check.starts).toBe(2);
    a.dialFailed('refused', 0);
    expect(check.starts).toBe(2);
  });

  test('one check at a time, however long it takes', () => {
    const { deadlines, runner, a } = setUp();
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL });
    deadlines.pass(100_000);
    expect(check.starts).toBe(1);
  });

  test('equal checks of one address run once, whoever asks', () => {
    const { deadlines, runner, a } = setUp();
    const other = makePool({ name: 'other', health: { fall: 1 } }).server('a')!;
    const check = new ScriptedCheck();
    const equal = new ScriptedCheck();
    const stop = runner.watch(a, { check, interval: INTERVAL });
    const stopOther = runner.watch(other, { check: equal, interval: INTERVAL });
    deadlines.pass(0);
    expect([check.starts, equal.starts]).toEqual([1, 0]);
    check.finds('up');
    deadlines.pass(deadlines.next);
    check.finds('down');
    expect([a.state, other.state]).toEqual(['up', 'down']);
    stop();
    deadlines.pass(deadlines.next);
    expect(check.starts).toBe(3);
    stopOther();
    expect(check.cancelled).toBe(1);
  });

  test('other checks, and other intervals, are checks of their own', () => {
    const { deadlines, runner, a, b } = setUp();
    const checks = [new ScriptedCheck('one'), new ScriptedCheck('other'), new ScriptedCheck('one')];
    runner.watch(a, { check: checks[0]!, interval: INTERVAL });
    runner.watch(b, { check: checks[1]!, interval: INTERVAL });
    runner.watch(b, { check: checks[2]!, interval: 1000 });
    deadlines.pass(0);
    expect(checks.map(({ starts }) => starts)).toEqual([1, 1, 1]);
  });

  test("never takes a server's last slot", () => {
    const { deadlines, runner, a } = setUp({ servers: { a: { maxConnections: 2 } } });
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL, takesSlot: true });
    a.acquire();
    deadlines.pass(20_000);
    expect(check.starts).toBe(0);
    a.release();
    deadlines.pass(INTERVAL);
    expect(check.starts).toBe(1);
  });

  test('closed, it checks no more', () => {
    const { deadlines, runner, a, b } = setUp();
    const running = new ScriptedCheck('running');
    const waiting = new ScriptedCheck('waiting');
    runner.watch(a, { check: running, interval: INTERVAL });
    runner.watch(b, { check: waiting, interval: INTERVAL });
    deadlines.pass(0);
    waiting.finds('up');
    runner.close();
    deadlines.pass(100_000);
    expect([running.starts, running.cancelled, waiting.starts]).toEqual([1, 1, 1]);
  });

  test('busy: the weight falls, the server stays in, and the reason says why', () => {
    const { deadlines, runner, a } = setUp();
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL });
    deadlines.pass(0);
    check.finds('up', 'answers');
    deadlines.pass(deadlines.next);
    check.finds('busy', 'busy: rejects for now');
    expect([a.state, a.reason, a.effectiveWeight(0)]).toEqual(['up', 'busy: rejects for now', 0.25]);
    deadlines.pass(deadlines.next);
    check.finds('up', 'answers');
    expect([a.state, a.reason, a.effectiveWeight(0)]).toEqual(['up', 'answers', 1]);
  });
});
