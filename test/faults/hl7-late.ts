/**
 * Late answers: one in a hundred messages is answered after its time is over. Every other answer, and the late ones that
 * still come, must reach the sender of the message they belong to and nobody else.
 */

import { randomFrom } from '../peers/random.ts';
import { type Outcome, play } from './hl7-scene.ts';
import { sendAll } from './hl7-senders.ts';

export interface LateOptions {
  readonly ackMatch: 'strict' | 'prefix20' | 'position';
  /** Messages at once on a connection to a server. */
  readonly pipeline: number;
  readonly messages: number;
  readonly seed: number;
}

export interface LateResult extends Outcome {
  /** Messages whose answer was held back beyond the time-out. */
  readonly late: number;
}

const SENDERS = 32;
/** Messages that all connections to a server carry at once. */
const CARRIED = 8;
const ACK_TIMEOUT_MS = 150;
/** Part of the messages; and times the time-out that their answers take: some come while the message is on its way again. */
const LATE = 0.012;
const [EARLIEST, LATEST] = [2, 5];

export function runLate({ ackMatch, pipeline, messages, seed }: LateOptions): Promise<LateResult> {
  const random = randomFrom(seed);
  const hl7 = ['senderTimeout: 5s', `ackTimeout: ${ACK_TIMEOUT_MS}ms`, `ackMatch: ${ackMatch}`];
  const connections = CARRIED / pipeline;
  const options = { delivery: 'relay', receivers: ['one', 'two'], hl7, connections, pipeline } as const;
  return play(options, async (scene) => {
    let drafted = 0;
    let late = 0;
    await sendAll(scene.balancer.address, scene.ledger, {
      senders: SENDERS,
      rate: Infinity,
      draft(sender) {
        if (drafted++ >= messages) return undefined;
        const patient = `INV${sender}-${Math.floor(random() * 4)}`;
        const answerAfter =
          random() < LATE ? ACK_TIMEOUT_MS * (EARLIEST + random() * (LATEST - EARLIEST)) : 0;
        if (answerAfter > 0) late++;
        return { patient, answerAfter, length: 300 };
      },
    });
    return { ...(await scene.end()), late };
  });
}
