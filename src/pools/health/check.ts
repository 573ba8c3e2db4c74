/** Checks: what each one is, whatever it looks at. */
import type { Deadlines } from '../../relay/deadlines.ts';
import type { CheckOutcome } from '../server.ts';
import { startConnect } from './connect.ts';
import { startEcho } from './dicom-echo.ts';

export interface CheckResult {
  readonly outcome: CheckOutcome;
  /** What was found, a sentence. */
  readonly reason: string;
  /** Milliseconds it took. */
  readonly ms: number;
}

/** What any check needs to know, and what it lives on. */
export interface CheckTarget {
  readonly host: string;
  readonly port: number;
  /** Milliseconds for the whole check. */
  readonly timeout: number;
  readonly deadlines: Deadlines;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** Ends a check at once; its result does not come any more. */
export type Cancel = () => void;

export interface Check {
  /** Checks that would find the same have the same key. */
  readonly key: string;
  /** Calls `done` once, later. */
  start(done: (result: CheckResult) => void): Cancel;
}

export type CheckOptions =
  | { readonly check: 'connect' }
  | { readonly check: 'dicom-echo'; readonly calling: string; readonly called: string };

/** A check of one address. */
export function createCheck(options: CheckOptions, target: CheckTarget): Check {
  const { host, port, timeout } = target;
  if (options.check === 'connect') {
    return {
      key: JSON.stringify(['connect', host, port, timeout]),
      start: (done) => startConnect(target, done),
    };
  }
  const { calling, called } = options;
  return {
    key: JSON.stringify(['dicom-echo', host, port, timeout, calling, called]),
    start: (done) => startEcho({ ...target, calling, called }, done),
  };
}
