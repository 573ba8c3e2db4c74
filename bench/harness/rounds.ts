/** Measuring several subjects beside each other: round after round, each in turn, so that noise meets all alike. */

/** What one round of one subject gave: figure name → value. */
export type Sample = Readonly<Record<string, number>>;

export interface Subject {
  readonly name: string;
  /** One round. */
  run(): Promise<Sample>;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Subject → figure → what the rounds gave, in order. */
export type Results = ReadonlyMap<string, readonly Sample[]>;

/** Runs every subject once a round; each round begins with another one. A first round that is not counted warms up. */
export async function interleave(subjects: readonly Subject[], rounds: number): Promise<Results> {
  const results = new Map<string, Sample[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (let turn = 0; turn < subjects.length; turn += 1) {
      const subject = subjects[(round + turn) % subjects.length]!;
      const sample = await subject.run();
      if (round > 0) results.get(subject.name)!.push(sample);
    }
    process.stderr.write(round === 0 ? 'warm' : ` ${round}/${rounds}`);
  }
  process.stderr.write('\n');
  return results;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

export function figure(results: Results, subject: string, name: string): Spread {
  return spread(results.get(subject)!.map((sample) => sample[name]!));
}

/** `subject` divided by `rival`, within each round. */
export function ratio(results: Results, subject: string, rival: string, name: string): Spread {
  const theirs = results.get(rival)!;
  return spread(results.get(subject)!.map((sample, round) => sample[name]! / theirs[round]![name]!));
}

/** `subject` minus `rival`, within each round. */
export function difference(results: Results, subject: string, rival: string, name: string): Spread {
  const theirs = results.get(rival)!;
  return spread(results.get(subject)!.map((sample, round) => sample[name]! - theirs[round]![name]!));
}
