/**
 * A clock that stands still while this process does. On a busy machine a process may wait for a processor longer than
 * the short times that tests give, and the peers in it wait as long: they would be given up before their turn to answer.
 * By this clock no time has passed, so that what is over is what nobody did anything about.
 */

/** Milliseconds: when more have passed since the last look, they passed without us. */
const MOST = 20;
const EVERY = 5;

let before = performance.now();
let lived = performance.timeOrigin + before;

/** Milliseconds since 1970, less those in which this process stood still; never goes back. */
export function now(): number {
  const moment = performance.now();
  lived += Math.min(moment - before, MOST);
  before = moment;
  return lived;
}

setInterval(now, EVERY).unref();
