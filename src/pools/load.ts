/**
 * Live load: what a server has in hand and how fast it answers, against the other servers of its pool. A count of
 * associations alone would not tell one that waits at a console from one that sends a CT series.
 */

/** Part of a new response time in the moving average. */
const SMOOTHING = 1 / 8;
/** What the pool's slowest response loses with each response. */
const FORGETTING = 0.99;
/** Bytes in flight that weigh as much as one operation. */
const BYTES_PER_OPERATION = 1024 * 1024;
/** How far response times may move the score, as a factor either way. */
const MOST_SLOWNESS = 4;
/** A response time is half forgotten after this many milliseconds, so that a server that was slow gets work again. */
const HALF_LIFE_MS = 10_000;
/** So many refusals in a row are a run. */
const RUN = 3;
/** The part of its weight that a server has in a run of refusals: a full disk answers fast. */
const TRICKLE = 0.01;
/** When the last refusal of a run is this old, the server may try a little more of its weight. */
const TRICKLE_MS = 30_000;
const AFTER_TRICKLE = 0.25;

/** success, failure (any other status, or no answer), refused (out of resources, 0xA7xx). */
export type OperationOutcome = 'success' | 'failure' | 'refused';

/** Response times of a whole pool: what its servers are measured against. */
export class PoolLoad {
  readonly now: () => number;
  /** Moving average, milliseconds; 0: nothing measured yet. */
  average = 0;
  /** The slowest response of late, milliseconds. */
  slowest = 0;

  constructor(now: () => number) {
    this.now = now;
  }

  responded(ms: number): void {
    this.average = this.average === 0 ? ms : this.average + (ms - this.average) * SMOOTHING;
    this.slowest = Math.max(ms, this.slowest * FORGETTING);
  }
}

export class Load {
  /** Associations, connections or HTTP requests that are work. */
  connections = 0;
  /** Operations or messages without their answer; what is work by itself already is not counted here again. */
  operations = 0;
  /** Bytes of operations in flight, kept by whoever moves them. */
  bytesInFlight = 0;
  readonly #pool: PoolLoad;
  #average = 0;
  #respondedAt = 0;
  #refusals = 0;
  #refusedAt = 0;

  constructor(pool: PoolLoad) {
    this.#pool = pool;
  }

  /** Moving average of its response times, milliseconds; 0: nothing measured yet. */
  get average(): number {
    return this.#average;
  }

  operationStarted(): void {
    this.operations++;
  }

  /** `ms`: from the request to its answer. A failure counts as the slowest response. */
  operationEnded(ms: number, outcome: OperationOutcome): void {
    this.operations--;
    this.answered(ms, outcome);
  }

  /** A response time, of work that is no operation: an HTTP request, which holds its slot until its body has gone. */
  answered(ms: number, outcome: OperationOutcome): void {
    const now = this.#pool.now();
    const counted = outcome === 'success' ? ms : Math.max(ms, this.#pool.slowest);
    this.#average = this.#average === 0 ? counted : this.#average + (counted - this.#average) * SMOOTHING;
    this.#respondedAt = now;
    this.#pool.responded(counted);
    if (outcome === 'success') this.#refusals = 0;
    if (outcome === 'refused') {
      this.#refusals++;
      this.#refusedAt = now;
    }
  }

  /** How much slower (above 1) or faster (below 1) it answers than its pool, from 1/4 to 4. */
  slowness(now: number): number {
    const pool = this.#pool.average;
    if (this.#average === 0 || pool === 0) return 1;
    const ratio = Math.min(Math.max(this.#average / pool, 1 / MOST_SLOWNESS), MOST_SLOWNESS);
    return 1 + (ratio - 1) * 0.5 ** ((now - this.#respondedAt) / HALF_LIFE_MS);
  }

  /** The part of its weight that refusals leave it: 1 without a run of them. */
  share(now: number): number {
    if (this.#refusals < RUN) return 1;
    return now - this.#refusedAt < TRICKLE_MS ? TRICKLE : AFTER_TRICKLE;
  }

  /** What it has in hand, in operations: an association counts as one, and so does each MiB on its way. */
  get inHand(): number {
    return this.connections + this.operations + this.bytesInFlight / BYTES_PER_OPERATION;
  }
}
