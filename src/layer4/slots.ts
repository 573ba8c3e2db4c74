/**
 * Weights as slots: the kernel counts (or draws, or hashes) a number below the total and looks up whose slot it is.
 * A few hundred elements at most, whatever the weights.
 */
import { hashOf, lotOf, mix } from '../rendezvous.ts';

export interface Slots {
  readonly total: number;
  /** From the first slot to the last one, none missing. */
  readonly ranges: readonly SlotRange[];
}

export interface SlotRange {
  readonly from: number;
  /** Included. */
  readonly to: number;
  /** Place in the list of weights. */
  readonly index: number;
}

/** Turns that the slots of one round are handed out in. */
const TURNS = 256;

/** Slots of a hash: enough for shares to be within a few per cent. */
const HASH_SLOTS = 1024;

/**
 * As many slots as the weights (whole numbers above 0) sum up to, once what they have in common is divided out; each
 * server's are spread evenly. Where that would be too many elements, several slots in a row are one server's.
 */
export function evenSlots(weights: readonly number[]): Slots {
  const common = weights.reduce(commonDivisor);
  const shares = weights.map((weight) => weight / common);
  const total = shares.reduce((sum, share) => sum + share, 0);
  const run = Math.ceil(total / TURNS);
  const given = shares.map(() => 0);
  const ranges: SlotRange[] = [];
  for (let from = 0; from < total; ) {
    const due = (index: number) => {
      const isServed = given[index] === shares[index];
      return isServed ? Number.NEGATIVE_INFINITY : (shares[index]! * (from + run)) / total - given[index]!;
    };
    const index = shares.reduce((best, _, one) => (due(one) > due(best) ? one : best), 0);
    const count = Math.min(run, shares[index]! - given[index]!);
    given[index]! += count;
    append(ranges, from, count, index);
    from += count;
  }
  return { total, ranges };
}

/**
 * Weighted rendezvous: each server draws a lot for each slot, and the best one has it. When a server leaves only its
 * slots move.
 */
export function hashSlots(names: readonly string[], weights: readonly number[]): Slots {
  const seeds = names.map(hashOf);
  const ranges: SlotRange[] = [];
  for (let slot = 0; slot < HASH_SLOTS; slot++) {
    const lots = seeds.map((seed, index) => lotOf(seed, mix(slot + 1), weights[index]!));
    append(ranges, slot, 1, lots.indexOf(Math.max(...lots)));
  }
  return { total: HASH_SLOTS, ranges };
}

function append(ranges: SlotRange[], from: number, count: number, index: number): void {
  const last = ranges.at(-1);
  if (last?.index === index) ranges[ranges.length - 1] = { ...last, to: last.to + count };
  else ranges.push({ from, to: from + count - 1, index });
}

function commonDivisor(one: number, other: number): number {
  return other === 0 ? one : commonDivisor(other, one % other);
}
