/**
 * Kills: 32 senders send while the balancer and the receivers are killed (-9) at random and come back. What a sender was
 * told stays true, every patient's messages arrive in order, and what arrives twice is marked.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { randomFrom } from '../peers/random.ts';
import type { Delivery } from './hl7-balancer.ts';
import { type Outcome, play, type Scene } from './hl7-scene.ts';
import { type Draft, sendAll } from './hl7-senders.ts';

export interface KillOptions {
  /** `relay`: original mode. `store`: enhanced mode, the balancer's own CA. */
  readonly delivery: Delivery;
  readonly balancerKills: number;
  readonly receiverKills: number;
  /** Messages at once on a connection to a server. Default 1. */
  readonly pipeline?: number;
  readonly seed: number;
  /** Told what happens. */
  readonly print: (line: string) => void;
}

export interface KillResult extends Outcome {
  readonly balancerKills: number;
  readonly receiverKills: number;
  readonly lostConnections: number;
  readonly refusals: Readonly<Record<string, number>>;
}

const SENDERS = 32;
/** Of a pair of patients, before their merge and after it. */
const MESSAGES_OF_PAIR = 15;
/** Messages a second of all senders together. */
const RATE = 600;
/** One message in so many is longer than 256 KiB. */
const LONG_ONE_IN = 300;
/** Milliseconds, at most, that a receiver works on a message: a kill is to meet some in its hands. */
const WORK_MS = 20;
/** Messages that must have moved since the last kill, so that each one meets work in hand. */
const MOVED = 20;

export function runKills(options: KillOptions): Promise<KillResult> {
  const { delivery, pipeline, seed } = options;
  const random = randomFrom(seed);
  const receivers = ['one', 'two', 'three'];
  const hl7 = ['senderTimeout: 3s'];
  return play({ delivery, receivers, hl7, connections: 4, pipeline }, async (scene) => {
    const { balancer, ledger } = scene;
    let killing = true;
    const killed = Promise.all([
      killBalancer(scene, options, randomFrom(seed + 1)),
      killReceivers(scene, options, randomFrom(seed + 2)),
    ]).then((kills) => {
      killing = false;
      return kills;
    });
    const drafts = Array.from({ length: SENDERS }, (_, sender) => draftsOf(sender, delivery, random));
    const sent = sendAll(balancer.address, ledger, {
      senders: SENDERS,
      rate: RATE,
      draft: (sender) => (killing ? drafts[sender]!.next().value : undefined),
    });
    const [[balancerKills, receiverKills]] = await Promise.all([killed, sent]);
    const { lostConnections, refusals } = ledger;
    return { ...(await scene.end()), balancerKills, receiverKills, lostConnections, refusals };
  });
}

/** Messages of a pair of patients, the merge of the second into the first, messages of both as one; then the next pair. */
function* draftsOf(sender: number, delivery: Delivery, random: () => number): Generator<Draft, never> {
  const draft = (patient: string): Draft => ({
    patient,
    answerAfter: random() * WORK_MS,
    length: Math.round(random() * LONG_ONE_IN < 1 ? 300_000 + random() * 300_000 : 300 + random() * 2000),
    ...(delivery === 'store' && { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'NE' }),
  });
  for (let pair = 0; ; pair++) {
    const patients = [`INVP${sender}-${pair}`, `INVQ${sender}-${pair}`] as const;
    const one = () => draft(patients[random() < 0.5 ? 0 : 1]);
    for (let count = 0; count < MESSAGES_OF_PAIR; count++) yield one();
    yield { ...draft(patients[0]), event: 'A40', patients, segments: [`MRG|${patients[1]}^^^HOSP^MR`] };
    for (let count = 0; count < MESSAGES_OF_PAIR; count++) yield { ...one(), patients };
  }
}

/** Kills the balancer while messages are on their way, and starts it again at once or a little later. */
async function killBalancer(
  { balancer, ledger }: Scene,
  { balancerKills, print }: KillOptions,
  random: () => number,
): Promise<number> {
  for (let kill = 1; kill <= balancerKills && !ledger.closed; kill++) {
    await moved(() => ledger.acknowledged, MOVED, ledger);
    await pause(random() * 1500);
    print(
      `${ledger.seconds()}: kill ${kill}/${balancerKills} of the balancer, ${ledger.acknowledged} acknowledged`,
    );
    await balancer.kill();
    await pause(random() * 200);
    const began = performance.now();
    await balancer.restart();
    print(`${ledger.seconds()}: the balancer is back after ${Math.round(performance.now() - began)} ms`);
  }
  return balancerKills;
}

/** Kills receivers, one after the other or several at once, each for up to 700 ms. */
async function killReceivers(
  { receivers, ledger }: Scene,
  { receiverKills, print }: KillOptions,
  random: () => number,
): Promise<number> {
  const coming = new Set<Promise<void>>();
  for (let kill = 1; kill <= receiverKills && !ledger.closed; kill++) {
    await pause(random() * 4000);
    const victim = receivers[Math.floor(random() * receivers.length)]!;
    if (!victim.isUp) await Promise.all(coming);
    const away = random() * 700;
    const length = `${Math.round(away)} ms`;
    print(`${ledger.seconds()}: kill ${kill}/${receiverKills} of receiver ${victim.name}, for ${length}`);
    await victim.stop();
    const back = pause(away).then(() => victim.restart());
    coming.add(back);
    void back.then(() => coming.delete(back));
  }
  await Promise.all(coming);
  return receiverKills;
}

/** Resolves when `count` has grown by `by`. */
async function moved(count: () => number, by: number, { closed }: { closed: boolean }): Promise<void> {
  const target = count() + by;
  while (count() < target && !closed) await pause(10);
}
