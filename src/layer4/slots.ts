/**
 * Weights as slots: the kernel counts (or draws, or hashes) a number below the total and looks up whose slot it is.
 * A few hundred elements at most, whatever the weights.
 */

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
    const lots = seeds.map((seed, index) => lotOf(seed, slot, weights[index]!));
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

/** -weight / ln(u) with u between 0 and 1: a server of twice the weight wins twice as often. */
function lotOf(seed: number, slot: number, weight: number): number {
  return -weight / Math.log((mix(seed ^ mix(slot + 1)) + 0.5) / 2 ** 32);
}

/** FNV-1a over UTF-16 code units, well mixed. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mix(hash);
}

/** The finalizer of MurmurHash3: each bit of the input turns half the bits of the output. */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
