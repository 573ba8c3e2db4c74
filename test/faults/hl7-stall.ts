/** A stall: a receiver holds on to the message of one patient for a long time. Nobody else's message waits for that. */
import type { Delivery } from './hl7-balancer.ts';
import { arrivalsIn, nanoseconds } from './hl7-ledger.ts';
import { type Outcome, play } from './hl7-scene.ts';
import { sendAll } from './hl7-senders.ts';
import { type Times, timesOf } from './hl7-times.ts';
import { randomFrom } from './random.ts';

export interface StallOptions {
  readonly delivery: Delivery;
  /** Milliseconds; as long before it and after it is measured too. */
  readonly stall: number;
  readonly seed: number;
}

export interface StallResult extends Outcome {
  /** From being sent to being acknowledged (stored messages: to their arrival), of messages of other patients. */
  readonly before: Times;
  readonly during: Times;
  /** Those of them that were sent in the first half of the stall and waited for its end. */
  readonly heldUp: readonly string[];
}

const SENDERS = 32;
const RATE = 600;
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
    let stalled: string | undefined;
    await sendAll(scene.balancer.address, ledger, {
      senders: SENDERS,
      rate: RATE,
      draft(sender) {
        if (since() > 3 * stall) return undefined;
        const patient = `INV${sender}-${Math.floor(random() * 4)}`;
        const draft = {
          patient,
          length: 300,
          ...(delivery === 'store' && { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'NE' }),
        };
        if (stalled !== undefined || since() < stall) return { ...draft, answerAfter: random() * 2 };
        stalled = patient;
        return { ...draft, answerAfter: stall };
      },
    });
    const arrivals = arrivalsIn(receivers.map(({ ledger: file }) => file));
    const arrivedAt = new Map(arrivals.map(({ controlId, at }) => [controlId, at]));
    const others = [...ledger.messages.values()]
      .filter(({ patients }) => patients[0] !== stalled)
      .map(({ controlId, sentAt, acknowledgedAt }) => {
        const end = delivery === 'store' ? arrivedAt.get(controlId) : acknowledgedAt;
        return { controlId, from: (sentAt - began) / 1e6, to: ((end ?? Infinity) - began) / 1e6 };
      });
    const times = (begin: number, end: number) =>
      timesOf(others.filter(({ from }) => from >= begin && from < end).map(({ from, to }) => to - from));
    const [before, during] = [times(stall / 10, stall), times(stall, 2 * stall)];
    const heldUp = others.filter(({ from, to }) => from >= stall && from < 1.5 * stall && to > 2 * stall);
    const outcome = await scene.end();
    return { ...outcome, before, during, heldUp: heldUp.map(({ controlId }) => controlId) };
  });
}
