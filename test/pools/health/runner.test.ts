import { describe, expect, test } from 'vitest';
import { type AgentResult, parseAgentLine } from '../../../src/pools/health/agent.ts';
import type { Check, CheckResult } from '../../../src/pools/health/check.ts';
import { HealthRunner, keyOf } from '../../../src/pools/health/runner.ts';
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

  get isRunning(): boolean {
    return this.#done !== undefined;
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

describe('all and any', () => {
  /** Two parts of one server; both answer when asked. */
  function twoParts(mode: 'all' | 'any', random = 0) {
    const { deadlines, runner, a, b } = setUp({}, random);
    const [http, echo] = [new ScriptedCheck('http'), new ScriptedCheck('echo')];
    const parts = [http, echo].map((check) => ({ check, interval: INTERVAL }));
    const unwatch = runner.watch(a, { mode, parts });
    /** Lets time pass until both are under way. */
    const begin = () => {
      while (!http.isRunning || !echo.isRunning) deadlines.pass(deadlines.next);
    };
    const find = (first: CheckOutcome, second: CheckOutcome) => {
      begin();
      http.finds(first, `http ${first}`);
      echo.finds(second, `echo ${second}`);
    };
    return { deadlines, runner, a, b, http, echo, begin, find, unwatch };
  }

  test('all: one part that fails `fall` times takes the server down, and the reason is its own', () => {
    const { a, find } = twoParts('all');
    find('up', 'up');
    expect([a.state, a.reason]).toEqual(['up', 'http up; echo up']);
    find('down', 'up');
    find('down', 'up');
    expect(a.state).toBe('up');
    find('down', 'up');
    expect([a.state, a.reason]).toEqual(['down', 'http down']);
  });

  test('any: down when every part is', () => {
    const { a, find } = twoParts('any');
    find('down', 'up');
    expect([a.state, a.reason]).toEqual(['up', 'echo up']);
    for (let count = 0; count < 3; count++) find('down', 'down');
    expect([a.state, a.reason]).toEqual(['down', 'http down; echo down']);
  });

  test('in doubt every part is checked faster, also one that had been scheduled before', () => {
    const { deadlines, http, echo, begin, find } = twoParts('all');
    find('up', 'up');
    begin();
    echo.finds('up');
    http.finds('down');
    expect([http.isRunning, echo.isRunning]).toEqual([false, false]);
    deadlines.pass(1000);
    expect([http.isRunning, echo.isRunning]).toEqual([true, true]);
  });

  test('a part runs once, also for somebody who asks for nothing else', () => {
    const { deadlines, runner, b, http, begin, find, unwatch } = twoParts('all');
    find('up', 'up');
    begin();
    const equal = new ScriptedCheck('http');
    runner.watch(b, { check: equal, interval: INTERVAL });
    http.finds('down', 'http down');
    expect([b.state, b.reason]).toEqual(['down', 'http down']);
    begin();
    unwatch();
    const { starts } = http;
    http.finds('up');
    deadlines.pass(INTERVAL);
    expect([http.starts, equal.starts]).toEqual([starts + 1, 0]);
  });

  test('all inside any', () => {
    const { deadlines, runner, a } = setUp();
    const checks = ['ping', 'http', 'echo'].map((key) => new ScriptedCheck(key));
    const [ping, http, echo] = checks.map((check) => ({ check, interval: INTERVAL }));
    runner.watch(a, { mode: 'any', parts: [ping!, { mode: 'all', parts: [http!, echo!] }] });
    deadlines.pass(0);
    checks[0]!.finds('down', 'no ping');
    checks[1]!.finds('up', 'http up');
    checks[2]!.finds('down', 'no echo');
    expect([a.state, a.reason]).toEqual(['down', 'no ping; no echo']);
  });

  test('a part that leaves the last slot to work does not hold up the others', () => {
    const { deadlines, runner, a } = setUp({ servers: { a: { maxConnections: 2 } } });
    const [http, echo] = [new ScriptedCheck('http'), new ScriptedCheck('echo')];
    runner.watch(a, {
      mode: 'all',
      parts: [
        { check: http, interval: INTERVAL },
        { check: echo, interval: INTERVAL, takesSlot: true },
      ],
    });
    a.acquire();
    deadlines.pass(0);
    http.finds('down', 'http down');
    expect([a.state, a.reason, echo.starts]).toEqual(['down', 'http down', 0]);
  });

  test('what is equal has the same key', () => {
    const part = (key: string, interval = INTERVAL) => ({ check: new ScriptedCheck(key), interval });
    const all = { mode: 'all', parts: [part('a'), part('b')] } as const;
    expect(keyOf(all)).toBe(keyOf({ mode: 'all', parts: [part('a'), part('b')] }));
    const others = [
      all,
      { ...all, mode: 'any' as const },
      { ...all, parts: [part('a')] },
      part('a'),
      part('a', 1),
    ];
    expect(new Set(others.map((each) => keyOf(each))).size).toBe(others.length);
  });
});

describe('agents', () => {
  class ScriptedAgent implements Check<AgentResult> {
    readonly key = 'an agent';
    starts = 0;
    says: (line: string) => void = () => {};

    start(done: (result: AgentResult) => void): () => void {
      this.starts++;
      this.says = (line) => done({ report: parseAgentLine(line), reason: `its agent says: ${line}` });
      return () => {};
    }
  }

  test('an agent is asked besides the check, once for all, and its word holds until it says otherwise', () => {
    const { deadlines, runner, a, b } = setUp();
    const agent = new ScriptedAgent();
    const check = new ScriptedCheck();
    runner.watch(a, { check, interval: INTERVAL });
    runner.listen(a, { check: agent, interval: 2000 });
    runner.listen(b, { check: new ScriptedAgent(), interval: 2000 });
    deadlines.pass(0);
    check.finds('up', 'answers');
    agent.says('drain 50%');
    expect([a.state, a.reason, b.state]).toEqual([
      'drained',
      'its agent says: drain 50%; nothing was left',
      'drained',
    ]);
    expect(agent.starts).toBe(1);
    deadlines.pass(deadlines.next);
    agent.says('hello?');
    expect(a.state).toBe('drained');
    deadlines.pass(deadlines.next);
    agent.says('ready');
    expect([a.state, a.reason, a.effectiveWeight(0)]).toEqual(['up', 'its agent says: ready; answers', 0.5]);
  });

  test('what an agent has said is forgotten with it', () => {
    const { deadlines, runner, a } = setUp();
    const agent = new ScriptedAgent();
    const stop = runner.listen(a, { check: agent, interval: 2000 });
    deadlines.pass(0);
    agent.says('down#backup 10% maxconn:1');
    expect([a.state, a.reason]).toEqual(['down', 'its agent says: down#backup 10% maxconn:1']);
    stop();
    expect([a.state, a.reason]).toEqual(['starting', 'has no agent any more; waits for its first check']);
    deadlines.pass(100_000);
    expect(agent.starts).toBe(1);
  });

  test('closed, no agent is asked any more', () => {
    const { deadlines, runner, a } = setUp();
    const agent = new ScriptedAgent();
    runner.listen(a, { check: agent, interval: 2000 });
    deadlines.pass(0);
    agent.says('up');
    runner.close();
    deadlines.pass(100_000);
    expect(agent.starts).toBe(1);
  });
});
