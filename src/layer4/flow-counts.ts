/**
 * How many flows each server has. Only a listing of whole maps tells, and that of a full one takes many seconds, since
 * the kernel walks it anew for each part. So it is asked for as often as it is cheap - no more than a hundredth of the
 * time is spent on it, a twentieth while somebody waits for flows to end -, and counters of what began and ended since
 * tell the rest: all but flows that lapsed.
 */
import { notice } from '../observe/events.ts';
import { written } from './names.ts';
import { Missing, type Nft } from './nft.ts';
import type { Plan } from './plan.ts';
import { endsCounter, flowMaps } from './ruleset.ts';
import { ElementReader, type KernelTable } from './tables.ts';

/** Mark → open flows. A mark that is not in it has none, one with 0 has some that are closing or silent. */
export type FlowsByMark = ReadonlyMap<number, number>;

/**
 * Counts the flows of services, those left out that a FIN or RST was seen of, or whose clients have been silent for long,
 * or since before their server was last away: it may have forgotten them. `back`: milliseconds since a mark's server is
 * not gone any more.
 */
export async function countFlows(
  nft: Nft,
  plans: readonly Plan[],
  back: (mark: number) => number = () => Number.POSITIVE_INFINITY,
): Promise<FlowsByMark> {
  const counts = new Map<number, number>();
  const byTable = new Map(plans.map((plan) => [written(plan.table), plan]));
  const { push: onOutput } = new ElementReader(({ family, table, map, value, expires = 0 }) => {
    const mark = Number(value);
    const isClosing = map.startsWith('closing');
    const isSilent = !isClosing && isQuiet(byTable.get(`${family} ${table}`)!, expires, back(mark));
    counts.set(mark, (counts.get(mark) ?? 0) + (isClosing ? -1 : isSilent ? 0 : 1));
  });
  const maps = plans.flatMap((plan) =>
    Object.values(flowMaps(plan)).map((map) => `${written(plan.table)} ${map}`),
  );
  await nft.maps(maps, onOutput);
  // The two maps are not listed at one moment.
  for (const [mark, count] of counts) if (count < 0) counts.set(mark, 0);
  return counts;
}

/** `expires`: what is left of `idle` since the client's last packet; less than the short times: a flow that began or ends. */
function isQuiet({ service: { idle }, lifetimes }: Plan, expires: number, back: number): boolean {
  const { opening, closing, quiet } = lifetimes;
  return expires > Math.max(opening, closing) && idle - expires > Math.min(quiet, back);
}

/** Mark → what its counters say. */
export type Tallies = ReadonlyMap<number, Tally>;

export interface Tally {
  /** Flows that began. */
  readonly began: number;
  /** Flows that a FIN or RST was seen of. */
  readonly ended: number;
}

const NONE: Tally = { began: 0, ended: 0 };

/** What the counters of servers say. */
export function talliesOf(tables: Iterable<KernelTable>): Tallies {
  const tallies = new Map<number, Tally>();
  for (const { counters } of tables) {
    for (const [name, { packets: began }] of counters) {
      const hex = /^connections_([0-9a-f]+)$/.exec(name)?.[1];
      if (hex === undefined) continue;
      const mark = Number.parseInt(hex, 16);
      tallies.set(mark, { began, ended: counters.get(endsCounter(mark))?.packets ?? 0 });
    }
  }
  return tallies;
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
  /** The last count, and what the counters said when it began. */
  #last: { readonly flows: FlowsByMark; readonly tallies: Tallies } | undefined;
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

  /** Flows of a mark by the last count and the counters of now; undefined: nothing was counted yet. Rather too many. */
  flowsOf(mark: number, tallies: Tallies): number | undefined {
    if (!this.#last) return undefined;
    const then = this.#last.tallies.get(mark) ?? NONE;
    const now = tallies.get(mark) ?? NONE;
    const since = now.began - then.began - (now.ended - then.ended);
    return Math.max(0, (this.#last.flows.get(mark) ?? 0) + since);
  }

  /** Is there no flow of the mark, not even one that is closing? */
  isUnused(mark: number, tallies: Tallies): boolean {
    if (!this.#last || this.#last.flows.has(mark)) return false;
    return (tallies.get(mark)?.began ?? 0) === (this.#last.tallies.get(mark)?.began ?? 0);
  }

  /** Counts, if it is time to. `leaving`: marks of servers whose flows are to end. A count that takes long goes on. */
  async refresh(tallies: Tallies, leaving: readonly number[] = []): Promise<void> {
    const isAwaited = leaving.some((mark) => this.flowsOf(mark, tallies) !== 0);
    const next = this.#began + this.#took * (isAwaited ? SHARE_WHEN_AWAITED : SHARE);
    if (this.#now() >= next) this.#counting ??= this.#countNow(tallies);
    if (this.#counting) await withPatience(this.#counting);
  }

  async #countNow(tallies: Tallies): Promise<void> {
    const began = this.#now();
    // Before it counts: what begins to drain meanwhile is counted anew.
    this.#began = began;
    try {
      this.#last = { flows: await this.#count(), tallies };
    } catch (error) {
      // Tables that went away meanwhile are nothing to tell of.
      if (!(error instanceof Missing)) {
        notice('warn', 'flows of layer 4 VIPs could not be counted', { reason: (error as Error).message });
      }
    } finally {
      this.#took = this.#now() - began;
      this.#counting = undefined;
    }
  }
}

async function withPatience(work: Promise<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, PATIENCE);
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
