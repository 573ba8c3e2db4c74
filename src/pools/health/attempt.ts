/** One run of a check: it ends once, with a finding, at its time-out or by being cancelled. */
import type { CheckOutcome } from '../server.ts';
import type { CheckResult, CheckTiming } from './check.ts';

export interface Attempt {
  readonly isOver: boolean;
  /** Says what was found, unless it is over already. */
  finish(outcome: CheckOutcome, reason: string): void;
  /** Over, and nothing is said any more. */
  cancel(): void;
}

/** `timeUp` is called when the time is over and nothing was found: it calls `finish`. */
export function beginAttempt(
  { timeout, deadlines, now }: CheckTiming,
  done: (result: CheckResult) => void,
  timeUp: () => void,
): Attempt {
  const started = now();
  let isOver = false;
  const deadline = deadlines.after(timeout, timeUp);
  return {
    get isOver() {
      return isOver;
    },
    finish(outcome, reason) {
      if (isOver) return;
      isOver = true;
      deadline.cancel();
      done({ outcome, reason, ms: now() - started });
    },
    cancel() {
      isOver = true;
      deadline.cancel();
    },
  };
}
