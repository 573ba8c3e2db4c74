import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createDeadlines } from '../../src/relay/deadlines.ts';

/** A clock moved by hand; the timer is vitest's. */
let clock = 0;
const now = () => clock;

/** Up to a tick to the slot's own, up to a tick to the timer's next turn, and the step by which the model moves its clock. */
const LATEST = 300;

function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 10) {
    clock += Math.min(left, 10);
    vi.advanceTimersByTime(Math.min(left, 10));
  }
}

describe('deadlines', () => {
  beforeEach(() => {
    clock = 0;
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setImmediate'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('fires once, never early, within a tick', () => {
    const deadlines = createDeadlines({ now });
    let fired: number | undefined;
    pass(37);
    deadlines.after(1_000, () => {
      expect(fired).toBeUndefined();
      fired = clock;
    });
    pass(999);
    expect(fired).toBeUndefined();
    pass(10_000);
    expect(fired).toBeGreaterThanOrEqual(1_037);
    expect(fired).toBeLessThanOrEqual(1_037 + 110);
  });

  it('cancels and restarts, also what has fired', () => {
    const deadlines = createDeadlines({ now });
    const expire = vi.fn();
    const deadline = deadlines.after(500, expire);
    pass(400);
    deadline.restart();
    pass(400);
    expect(expire).not.toHaveBeenCalled();
    deadline.cancel();
    pass(2_000);
    expect(expire).not.toHaveBeenCalled();
    deadline.restart();
    pass(600);
    expect(expire).toHaveBeenCalledTimes(1);
    deadline.restart(200);
    pass(300);
    expect(expire).toHaveBeenCalledTimes(2);
  });

  it('shortens: a deadline of half an hour that becomes five seconds', () => {
    const deadlines = createDeadlines({ now });
    const expire = vi.fn();
    const deadline = deadlines.after(30 * 60_000, expire);
    pass(1_000);
    deadline.restart(5_000);
    pass(4_900);
    expect(expire).not.toHaveBeenCalled();
    pass(300);
    expect(expire).toHaveBeenCalledTimes(1);
  });

  it('keeps deadlines beyond the horizon of the wheel', () => {
    const deadlines = createDeadlines({ now });
    let fired: number | undefined;
    deadlines.after(200_000, () => {
      fired = clock;
    });
    pass(300_000);
    expect(fired).toBeGreaterThanOrEqual(200_000);
    expect(fired).toBeLessThanOrEqual(200_110);
  });

  it('runs its timer only while something is armed', () => {
    const deadlines = createDeadlines({ now });
    expect(vi.getTimerCount()).toBe(0);
    const deadline = deadlines.after(10_000, () => {});
    expect(vi.getTimerCount()).toBe(1);
    deadline.cancel();
    pass(200);
    expect(vi.getTimerCount()).toBe(0);
    deadline.restart(100);
    expect(vi.getTimerCount()).toBe(1);
    pass(400);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fires everything after the process stood still', () => {
    const deadlines = createDeadlines({ now });
    const fired: number[] = [];
    for (const ms of [100, 5_000, 40_000, 90_000]) deadlines.after(ms, () => fired.push(ms));
    clock += 100_000;
    vi.advanceTimersByTime(110);
    expect(fired.sort((a, b) => a - b)).toEqual([100, 5_000, 40_000, 90_000]);
  });

  it('fires when what had arrived was read, also after the process stood still', async () => {
    vi.useRealTimers();
    const [held, other] = await connectedPair();
    const deadlines = createDeadlines();
    const happened: string[] = [];
    const fired = new Promise<void>((resolve) => {
      deadlines.after(200, () => {
        happened.push('late');
        resolve();
      });
    });
    held.on('data', () => happened.push('answer'));
    // It has arrived when the process goes on, and the deadline is over by then, too.
    other.write('answer');
    const goOn = performance.now() + 500;
    while (performance.now() < goOn);
    await fired;
    expect(happened).toEqual(['answer', 'late']);
    for (const socket of [held, other]) socket.destroy();
    deadlines.close();
  });

  it('lets expiring code cancel, restart and add others', () => {
    const deadlines = createDeadlines({ now });
    const fired: string[] = [];
    const cancelled = deadlines.after(500, () => fired.push('cancelled'));
    const restarted = deadlines.after(500, () => fired.push('restarted'));
    deadlines.after(500, () => {
      fired.push('first');
      cancelled.cancel();
      restarted.restart(1_000);
      deadlines.after(0, () => fired.push('added'));
    });
    pass(800);
    expect(fired).toEqual(['first', 'added']);
    pass(1_000);
    expect(fired).toEqual(['first', 'added', 'restarted']);
  });

  it('stays silent once closed', () => {
    const deadlines = createDeadlines({ now });
    const expire = vi.fn();
    const deadline = deadlines.after(100, expire);
    deadlines.after(100, () => deadlines.close());
    pass(99);
    deadlines.close();
    pass(1_000);
    deadline.restart();
    deadline.cancel();
    pass(1_000);
    expect(expire).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('holds against a plain model, whatever is restarted and cancelled when', () => {
    const action = fc.record({
      who: fc.nat(7),
      what: fc.constantFrom('restart', 'cancel'),
      ms: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 120_000 })),
      wait: fc.oneof(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 0, max: 60_000 })),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
        const deadlines = createDeadlines({ now });
        const due = new Array<number>(8).fill(Infinity);
        const wheel = due.map((_, who) => {
          const deadline = deadlines.after(1, () => {
            expect(clock).toBeGreaterThanOrEqual(due[who]!);
            expect(clock).toBeLessThanOrEqual(due[who]! + LATEST);
            due[who] = Infinity;
          });
          deadline.cancel();
          return deadline;
        });
        for (const { who, what, ms, wait } of actions) {
          if (what === 'cancel') wheel[who]!.cancel();
          else wheel[who]!.restart(ms);
          due[who] = what === 'cancel' ? Infinity : clock + ms;
          for (let left = wait; left > 0; left -= 100) {
            clock += Math.min(left, 100);
            vi.advanceTimersByTime(Math.min(left, 100));
          }
          for (const at of due) expect(at).toBeGreaterThan(clock - LATEST);
        }
        deadlines.close();
      }),
      { numRuns: 60 },
    );
  });
});

/** Two ends of a connection on loopback. */
async function connectedPair(): Promise<[Socket, Socket]> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const other = connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [held] = (await once(listener, 'connection')) as [Socket];
  listener.close();
  return [held, other];
}
