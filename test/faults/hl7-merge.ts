/**
 * Merges: A40 between messages of both its patients, on connections that do not wait for answers, over servers that take
 * different times. What was sent before the merge is dealt with before it, what was sent after it behind it.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { randomFrom } from '../peers/random.ts';
import type { Delivery } from './hl7-balancer.ts';
import { type Outcome, play, type Scene } from './hl7-scene.ts';
import { type Draft, Hl7Sender } from './hl7-senders.ts';

export interface MergeOptions {
  readonly delivery: Delivery;
  /** How many. */
  readonly merges: number;
  readonly seed: number;
}

/** Senders at once. */
const SENDERS = 16;
/** Messages of both patients before and after a merge, each. */
const FEWEST = 2;
const MOST = 5;
/** Milliseconds at most between two messages, and that a receiver takes for one. */
const PAUSE_MS = 4;
const WORK_MS = 15;
/** Nobody is killed here, and what a slow machine takes its time for is not to come twice. */
const PATIENT = 'senderTimeout: 60s';

export function runMerges({ delivery, merges, seed }: MergeOptions): Promise<Outcome> {
  return play({ delivery, receivers: ['one', 'two'], hl7: [PATIENT], connections: 4 }, async (scene) => {
    let left = merges;
    await Promise.all(
      Array.from({ length: SENDERS }, async (_, index) => {
        const random = randomFrom(seed * SENDERS + index);
        const sender = new Hl7Sender(`S${index}`, scene.balancer.address, scene.ledger);
        for (let number = 0; left-- > 0 && !scene.ledger.closed; number++)
          await pipeline(sender, scene, roundOf(`${index}-${number}`, delivery, random), random);
        sender.close();
      }),
    );
    return scene.end();
  });
}

/** The same in store mode, while receivers are away; the balancer is killed behind each merge, and comes back. */
export function runMergesOverKill({ merges, seed }: Omit<MergeOptions, 'delivery'>): Promise<Outcome> {
  const random = randomFrom(seed);
  return play({ delivery: 'store', receivers: ['one', 'two'], connections: 4 }, async (scene) => {
    const { receivers, balancer, ledger } = scene;
    const rounds = Array.from({ length: merges }, (_, index) => roundOf(`K${index}`, 'store', random));
    const senders = rounds.map((_, index) => new Hl7Sender(`K${index}`, balancer.address, ledger));
    const deliver = (index: number, drafts: readonly Draft[]) =>
      drafts.reduce(async (before, draft) => {
        await before;
        await senders[index]!.deliver(draft);
      }, Promise.resolve());
    await Promise.all(receivers.map((receiver) => receiver.stop()));
    /** Some messages of the merged patient come before the kill, others behind it. */
    const cut = (round: readonly Draft[]) => round.findIndex(({ event }) => event === 'A40') + FEWEST;
    await Promise.all(rounds.map((round, index) => deliver(index, round.slice(0, cut(round)))));
    await balancer.kill();
    await balancer.restart();
    await Promise.all(rounds.map((round, index) => deliver(index, round.slice(cut(round)))));
    for (const sender of senders) sender.close();
    await Promise.all(receivers.map((receiver) => receiver.restart()));
    return scene.end();
  });
}

/** Messages of two patients that nobody else has, and in their middle the merge of the second into the first. */
function roundOf(name: string, delivery: Delivery, random: () => number): Draft[] {
  const patients = [`INVP${name}`, `INVQ${name}`] as const;
  const some = () => Array.from({ length: FEWEST + Math.floor(random() * (MOST - FEWEST + 1)) });
  const mode = delivery === 'store' && { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'NE' };
  const draft = () => ({
    patient: patients[random() < 0.5 ? 0 : 1],
    answerAfter: random() * WORK_MS,
    ...mode,
  });
  const merge = {
    ...draft(),
    event: 'A40',
    patient: patients[0],
    patients,
    segments: [`MRG|${patients[1]}^^^HOSP^MR`],
  };
  // From then on both are one patient.
  return [...some().map(draft), merge, ...some().map(() => ({ ...draft(), patients }))];
}

/** Sends them without waiting for answers, which must come in the order of the messages. */
async function pipeline(
  sender: Hl7Sender,
  { ledger }: Scene,
  drafts: readonly Draft[],
  random: () => number,
): Promise<void> {
  const connection = await sender.connect();
  if (!connection) throw new Error('no connection to the balancer');
  const written = drafts.map((draft) => ({ draft, ...sender.write(draft) }));
  const answering = (async () => {
    for (const { message } of written) {
      const answer = await connection.read('an acknowledgement');
      if (!answer || !sender.accept(message, answer)) {
        ledger.wrong.push(`${message.controlId} was not acknowledged`);
        sender.close();
        return;
      }
    }
  })();
  for (const { bytes } of written) {
    await connection.write(bytes);
    // Often none: several in one segment.
    const ms = random() * 2 * PAUSE_MS - PAUSE_MS;
    if (ms > 0) await pause(ms);
  }
  await answering;
}
