/**
 * A receiver that is away: store mode takes its messages all the same, and hands them over in order when it is back,
 * no more at once than it takes; in relay mode its senders keep their own queues.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { randomFrom } from '../peers/random.ts';
import type { Delivery } from './hl7-balancer.ts';
import { arrivalsIn, nanoseconds } from './hl7-ledger.ts';
import { type Outcome, play } from './hl7-scene.ts';
import { sendAll } from './hl7-senders.ts';
import { type Times, timesOf } from './hl7-times.ts';

export interface AwayOptions {
  readonly delivery: Delivery;
  /** Milliseconds. */
  readonly away: number;
  /** Messages a second. */
  readonly rate: number;
  readonly seed: number;
}

export interface AwayResult extends Outcome {
  /** From when a message was due to its acknowledgement. */
  readonly before: Times;
  readonly during: Times;
  /** Messages that were acknowledged, and not delivered, when the receiver came back. */
  readonly backlog: number;
  /** From its coming back until everything was delivered. */
  readonly drainSeconds: number;
  /** Messages that the receiver had in hand at once, at most. */
  readonly mostInHand: number;
  readonly lostConnections: number;
  readonly refusals: Readonly<Record<string, number>>;
}

const SENDERS = 32;
/** Messages that the receiver takes at once. */
export const LIMIT = 6;
/** Milliseconds that it works on one, at most. */
const WORK_MS = 4;
/** Milliseconds before it goes and after it came back, for which senders send too. */
const AROUND_MS = 3000;

export function runAway({ delivery, away, rate, seed }: AwayOptions): Promise<AwayResult> {
  const random = randomFrom(seed);
  const options = { delivery, receivers: ['one'], most: LIMIT };
  return play(options, async (scene) => {
    const [receiver] = scene.receivers as [(typeof scene.receivers)[0]];
    const { ledger } = scene;
    const began = nanoseconds();
    const since = () => (nanoseconds() - began) / 1e6;
    /** Of each sender: also those for which it must wait. */
    const drafts = new Array<number>(SENDERS).fill(((away + 2 * AROUND_MS) / 1000) * (rate / SENDERS));
    const lateness: { at: number; ms: number }[] = [];
    const sending = sendAll(scene.balancer.address, ledger, {
      senders: SENDERS,
      rate,
      draft(sender) {
        if (drafts[sender]!-- <= 0) return undefined;
        return {
          patient: `INV${sender}-${Math.floor(random() * 4)}`,
          answerAfter: random() * WORK_MS,
          length: 300 + random() * 1500,
          ...(delivery === 'store' && { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'NE' }),
        };
      },
      done: (_, __, ms) => lateness.push({ at: since() - ms, ms }),
    });
    await pause(AROUND_MS);
    const [gone] = [since(), await receiver.stop()];
    await pause(away);
    const acknowledged = ledger.acknowledged;
    const delivered = new Set(arrivalsIn([receiver.ledger]).map(({ controlId }) => controlId)).size;
    const back = since();
    await receiver.restart();
    await sending;
    const outcome = await scene.end();
    const arrivals = arrivalsIn([receiver.ledger]);
    const times = (from: number, to: number) =>
      timesOf(lateness.filter(({ at }) => at >= from && at < to).map(({ ms }) => ms));
    const { lostConnections, refusals } = ledger;
    return {
      ...outcome,
      before: times(AROUND_MS / 3, gone - AROUND_MS / 3),
      during: times(gone, back),
      backlog: Math.max(acknowledged - delivered, 0),
      drainSeconds: ((arrivals.at(-1)?.at ?? began) - began) / 1e9 - back / 1000,
      mostInHand: arrivals.reduce((most, { inHand }) => Math.max(most, inHand), 0),
      lostConnections,
      refusals,
    };
  });
}
