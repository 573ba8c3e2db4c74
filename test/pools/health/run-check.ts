/** Runs checks by hand: on the test's own deadlines, or on real ones. */
import { onTestFinished } from 'vitest';
import {
  type CheckOptions,
  type CheckResult,
  type CheckTarget,
  createCheck,
} from '../../../src/pools/health/check.ts';
import { createDeadlines } from '../../../src/relay/deadlines.ts';

const NOBODY = { host: '127.0.0.1', port: 9 };

/** A check that has 20 s unless told otherwise. */
export function checkOf(options: CheckOptions, target: Partial<CheckTarget> = {}) {
  const deadlines = target.deadlines ?? createDeadlines({ tickMs: 5 });
  onTestFinished(() => deadlines.close());
  return createCheck(options, {
    ...NOBODY,
    timeout: 20_000,
    now: () => performance.timeOrigin + performance.now(),
    ...target,
    deadlines,
  });
}

export function resultOf(options: CheckOptions, target: Partial<CheckTarget> = {}): Promise<CheckResult> {
  return new Promise((resolve) => checkOf(options, target).start(resolve));
}
