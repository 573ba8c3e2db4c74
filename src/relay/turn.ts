/**
 * One turn of the event loop, shared fairly. The system's layer of Node reads a busy socket up to 32 times before it
 * looks at the next one, so that a few connections at full speed would make everybody wait for tens of milliseconds.
 * Here bulk reads spend from a budget of the turn; when it is gone, each connection has one read, then the next turn.
 */

/** Bytes in one turn, of reads behind which there is probably more: about 2 ms of work. */
export const TURN_BYTES = 4 * 1024 * 1024;

let spent = 0;

function nextTurn(): void {
  spent = 0;
}

/** Counts a bulk read; false when the budget is gone and reading should go on in the next turn. */
export function spendTurn(bytes: number): boolean {
  if (spent === 0) setImmediate(nextTurn);
  spent += bytes;
  return spent < TURN_BYTES;
}
