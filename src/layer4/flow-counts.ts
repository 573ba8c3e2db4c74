/**
 * How many flows each server has. Only a listing of whole maps tells, so it is asked for as often as it is cheap: no
 * more than a hundredth of the time is spent on it, a twentieth while somebody waits for flows to end.
 */

import { written } from './names.ts';
import type { Nft } from './nft.ts';
import type { Plan } from './plan.ts';
import { flowMaps } from './ruleset.ts';
import { ElementReader } from './tables.ts';

/** Mark → open flows. A mark that is not in it has none. */
export type FlowsByMark = ReadonlyMap<number, number>;

/** Counts the flows of services, those left out that a FIN or RST was seen of. */
export async function countFlows(nft: Nft, plans: readonly Plan[]): Promise<FlowsByMark> {
  const counts = new Map<number, number>();
  const { push: onOutput } = new ElementReader(({ map, value }) => {
    const mark = Number(value);
    counts.set(mark, (counts.get(mark) ?? 0) + (map.startsWith('closing') ? -1 : 1));
  });
  const maps = plans.flatMap((plan) =>
    Object.values(flowMaps(plan)).map((map) => `${written(plan.table)} ${map}`),
  );
  await nft.maps(maps, onOutput);
  // The two maps are not listed at one moment.
  for (const [mark, count] of counts) if (count < 0) counts.set(mark, 0);
  return counts;
}

export interface FlowCountsOptions {
  readonly count: () => Promise<FlowsByMark>;
  /** Milliseconds of a clock. */
  readonly now: () => number;
}

/** Part of the time that may be spent on counting. */
const SHARE = 100;
const SHARE_WHEN_AWAITED = 20;

/** Milliseconds that an answer waits for a count. */
const PATIENCE = 250;

export class FlowCounts {
  readonly #count: () => Promise<FlowsByMark>;
  readonly #now: () => number;
  #last: FlowsByMark | undefined;
  #began = Number.NEGATIVE_INFINITY;
  #took = 0;
  #counting: Promise<void> | undefined;

  constructor({ count, now }: FlowCountsOptions) {
    this.#count = count;
    this.#now = now;
  }

  /** Something begins to drain: the next answer is a fresh one. */
  expire(): void {
    this.#began = Number.NEGATIVE_INFINITY;
  }

  /**
   * The latest count; undefined: there is none yet. `leaving`: marks of servers whose flows are to end. Rejects when
   * counting fails.
   */
  async latest(leaving: readonly number[]): Promise<FlowsByMark | undefined> {
    const isAwaited = leaving.some((mark) => (this.#last?.get(mark) ?? 0) > 0);
    const next = this.#began + this.#took * (isAwaited ? SHARE_WHEN_AWAITED : SHARE);
    if (this.#now() >= next) this.#counting ??= this.#countNow();
    if (this.#counting) await withPatience(this.#counting);
    return this.#last;
  }

  async #countNow(): Promise<void> {
    const began = this.#now();
    try {
      this.#last = await this.#count();
    } finally {
      this.#took = this.#now() - began;
      this.#began = began;
      this.#counting = undefined;
    }
  }
}

async function withPatience(work: Promise<void>): Promise<void> {
  // When it is not waited for, nobody else hears of its failure.
  work.catch(() => {});
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, PATIENCE);
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
