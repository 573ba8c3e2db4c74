/** A stall: a receiver holds on to the message of one patient for a long time. Nobody else's message waits for that. */

import { randomFrom } from '../peers/random.ts';
import type { Delivery } from './hl7-balancer.ts';
import { arrivalsIn, nanoseconds } from './hl7-ledger.ts';
import { type Outcome, play } from './hl7-scene.ts';
import { sendAll } from './hl7-senders.ts';
import { type Times, timesOf } from './hl7-times.ts';

export interface StallOptions {
  readonly delivery: Delivery;
  /** Milliseconds; half as long before it is measured too. */
  readonly stall: number;
  readonly seed: number;
}

export interface StallResult extends Outcome {
  /** From being sent to being acknowledged (stored messages: to their arrival), of messages of other patients. */
  readonly before: Times;
  readonly during: Times;
  /** Those of them that were sent in the first quarter of the stall and waited for its end. */
  readonly heldUp: readonly string[];
}

const SENDERS = 32;
const RATE = 200;
/** To each of two servers: the stall takes one of eight. */
const CONNECTIONS = 4;

export function runStall({ delivery, stall, seed }: StallOptions): Promise<StallResult> {
  const random = randomFrom(seed);
  const hl7 = [`senderTimeout: ${3 * stall}ms`];
  const options = { delivery, receivers: ['one', 'two'], hl7, connections: CONNECTIONS };
  return play(options, async (scene) => {
    const { ledger, receivers } = scene;
    const began = nanoseconds();
    const since = () => (nanoseconds() - began) / 1e6;
    const [begin, end] = [stall / 2, stall * 1.5];
    let stalled: string | undefined;
    await sendAll(scene.balancer.address, ledger, {
      senders: SENDERS,
      rate: RATE,
      draft(sender) {
        if (since() > end) return undefined;
        const patient = `INV${sender}-${Math.floor(random() * 4)}`;
        const draft = {
          patient,
          length: 300,
          ...(delivery === 'store' && { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'NE' }),
        };
        if (stalled !== undefined || since() < begin) return { ...draft, answerAfter: random() * 2 };
        stalled = patient;
        return { ...draft, answerAfter: stall };
      },
    });
    const outcome = await scene.end();
    const arrivals = arrivalsIn(receivers.map(({ ledger: file }) => file));
    const arrivedAt = new Map(arrivals.map(({ controlId, at }) => [controlId, at]));
    const others = [...ledger.messages.values()]
      .filter(({ patients }) => patients[0] !== stalled)
      .map(({ controlId, sentAt, acknowledgedAt }) => {
        const done = delivery === 'store' ? arrivedAt.get(controlId) : acknowledgedAt;
        return { controlId, from: (sentAt - began) / 1e6, to: ((done ?? Infinity) - began) / 1e6 };
      });
    const sentIn = (first: number, last: number) => others.filter(({ from }) => from >= first && from < last);
    const waits = (some: typeof others) => timesOf(some.map(({ from, to }) => to - from));
    const [before, during] = [waits(sentIn(begin / 5, begin)), waits(sentIn(begin, end))];
    const heldUp = sentIn(begin, begin + stall / 4).filter(({ to }) => to > end);
    return { ...outcome, before, during, heldUp: heldUp.map(({ controlId }) => controlId) };
  });
}
