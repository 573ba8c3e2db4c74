/** The HL7 runs as `npm run faults -- hl7` does them: in their full counts, with what came of them printed. */
import { parseArgs } from 'node:util';
import { fuzzDecoder } from '../protocols/hl7/decoder-fuzz.ts';
import { LIMIT, runAway } from './hl7-away.ts';
import type { Delivery } from './hl7-balancer.ts';
import { runHuge } from './hl7-huge.ts';
import { runKills } from './hl7-kills.ts';
import { runLate } from './hl7-late.ts';
import { describe, type Verdict } from './hl7-ledger.ts';
import { runMerges, runMergesOverKill } from './hl7-merge.ts';
import type { Outcome } from './hl7-scene.ts';
import { runStall } from './hl7-stall.ts';
import { describeTimes } from './hl7-times.ts';

interface Counts {
  readonly deliveries: readonly Delivery[];
  readonly seed: number;
  readonly kills: number;
  readonly pipeline: number;
  readonly messages: number;
  readonly merges: number;
  readonly frames: number;
  readonly chunks: number;
  /** Seconds. */
  readonly stall: number;
  readonly away: number;
  /** Messages a second. */
  readonly rate: number;
}

/** Bytes that the balancer may grow by while huge frames go through it. */
export const MOST_GROWN = 128 * 1024 * 1024;

const print = (line: string) => console.log(line);

/** What runs there are. Each prints what came of it; false: that was not good. */
const RUNS: Readonly<Record<string, (counts: Counts) => Promise<boolean>>> = {
  relay: (counts) => kills('relay', counts),
  store: (counts) => kills('store', counts),
  async late({ messages, seed }) {
    let good = true;
    const ways = [
      { ackMatch: 'strict', pipeline: 1 },
      { ackMatch: 'prefix20', pipeline: 1 },
      { ackMatch: 'position', pipeline: 1 },
      { ackMatch: 'strict', pipeline: 4 },
    ] as const;
    for (const way of ways) {
      const result = await runLate({ ...way, messages, seed });
      print(`ackMatch ${way.ackMatch}, pipeline ${way.pipeline}: ${result.late} answers after the time-out`);
      good = report({ ...result, overlaps: [] }) && good;
    }
    return good;
  },
  stall: ({ stall, seed, ...counts }) =>
    inEach(counts, async (delivery) => {
      const result = await runStall({ delivery, stall: stall * 1000, seed });
      print(`others before the stall: ${describeTimes(result.before)}`);
      print(`others during the stall: ${describeTimes(result.during)}`);
      print(`${result.heldUp.length} of them waited for its end`);
      return report(result) && result.heldUp.length === 0;
    }),
  merge: ({ merges, seed, ...counts }) =>
    inEach(counts, async (delivery) => {
      const isGood = report(await runMerges({ delivery, merges, seed }));
      if (delivery === 'relay') return isGood;
      print('over a kill of the balancer:');
      return report(await runMergesOverKill({ merges: Math.ceil(merges / 10), seed })) && isGood;
    }),
  huge: ({ frames, seed, ...counts }) =>
    inEach(counts, async (delivery) => {
      const result = await runHuge({ delivery, frames, seed });
      print(`${frames} frames of 50 MiB: the balancer grew by ${(result.grown / 2 ** 20).toFixed(1)} MiB`);
      return report(result) && result.grown < MOST_GROWN;
    }),
  away: ({ away, rate, seed, ...counts }) =>
    inEach(counts, async (delivery) => {
      const result = await runAway({ delivery, away: away * 1000, rate, seed });
      print(`senders before: ${describeTimes(result.before)}`);
      print(`senders while the receiver was away: ${describeTimes(result.during)}`);
      print(
        `backlog ${result.backlog}, delivered ${result.drainSeconds.toFixed(1)} s after it came back, ` +
          `at most ${result.mostInHand} of ${LIMIT} at once; ` +
          `${result.lostConnections} connections lost, refused ${JSON.stringify(result.refusals)}`,
      );
      const isUnhurt = delivery === 'relay' || result.lostConnections === 0;
      return report(result) && isUnhurt && result.mostInHand <= LIMIT;
    }),
  async fuzz({ chunks, seed }) {
    fuzzDecoder({ chunks, seed, print });
    return true;
  },
};

/** `words`: the command line behind `hl7`. */
export async function runHl7(words: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args: words,
    options: {
      run: { type: 'string', default: Object.keys(RUNS).join(',') },
      delivery: { type: 'string', default: 'relay,store' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      kills: { type: 'string', default: '200' },
      pipeline: { type: 'string', default: '1' },
      messages: { type: 'string', default: '100000' },
      merges: { type: 'string', default: '1000' },
      frames: { type: 'string', default: '100' },
      chunks: { type: 'string', default: '1000000' },
      stall: { type: 'string', default: '10' },
      away: { type: 'string', default: '120' },
      rate: { type: 'string', default: '500' },
    },
  });
  const { run, delivery, ...numbers } = values;
  const counts = Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, Number(value)]));
  const deliveries = delivery.split(',') as Delivery[];
  print(`seed ${counts.seed}`);
  let good = true;
  for (const name of run.split(',')) {
    print(`\n${name}`);
    const isGood = await RUNS[name]!({ ...counts, deliveries } as unknown as Counts);
    print(isGood ? `${name}: good` : `${name}: NOT GOOD`);
    good &&= isGood;
  }
  return good;
}

async function kills(delivery: Delivery, { kills: count, pipeline, seed }: Counts): Promise<boolean> {
  const options = { balancerKills: count, receiverKills: count, pipeline, seed, print };
  const result = await runKills({ delivery, ...options });
  print(
    `${result.balancerKills} kills of the balancer, ${result.receiverKills} of receivers; ` +
      `${result.lostConnections} connections lost or refused, answers refused ${JSON.stringify(result.refusals)}`,
  );
  return report(result);
}

async function inEach(
  { deliveries }: Pick<Counts, 'deliveries'>,
  act: (delivery: Delivery) => Promise<boolean>,
): Promise<boolean> {
  let good = true;
  for (const delivery of deliveries) {
    print(`${delivery}:`);
    good = (await act(delivery)) && good;
  }
  return good;
}

function report(outcome: Outcome): boolean {
  const { seconds, exitCode, errors } = outcome;
  for (const line of [...describe(outcome), ...errors.slice(0, 10)]) print(line);
  print(`${seconds.toFixed(1)} s; exit code ${exitCode}, ${errors.length} errors in the log`);
  return isClean(outcome) && exitCode === 0 && errors.length === 0;
}

function isClean(verdict: Verdict): boolean {
  const { lost, altered, wrong, inversions, overlaps, unmarked, sent, acknowledged } = verdict;
  return [lost, altered, wrong, inversions, overlaps, unmarked].flat().length === 0 && sent === acknowledged;
}
