/** Faults: "late acknowledgements … 0 acknowledgements matched to the wrong message" (a short form of quality.md's). */
import { expect, test } from 'vitest';
import { acknowledgementOf } from '../../peers/hl7-messages.ts';
import type { ReceiverScript } from '../../peers/mllp-peer.ts';
import { randomFrom } from '../../peers/random.ts';
import { sendFromMany } from './many-senders.ts';
import { startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const SENDERS = 24;
const MESSAGES = 3000;
const SENDER_TIMEOUT = 400;

/** Mostly answers at once; else beyond the time-out, twice, to another message, never, or loses the connection. */
function unreliable(random: () => number): ReceiverScript {
  return ({ bytes, controlId }, connection) => {
    const dice = random();
    const answer = (id = controlId) => void connection.write(acknowledgementOf(bytes, 'AA', id));
    if (dice < 0.01) setTimeout(answer, SENDER_TIMEOUT * (0.8 + random()));
    else if (dice < 0.015) setTimeout(answer, 20);
    else if (dice < 0.02) answer(`${controlId}9`);
    else if (dice < 0.025) connection.connection.reset();
    else if (dice < 0.03) connection.connection.end();
    else if (dice < 0.035) return;
    else {
      answer();
      if (dice < 0.05) answer();
    }
  };
}

test.each(['hold', 'any', 'fail'] as const)(
  'late answers, onAmbiguous %s: 0 acknowledgements come to the wrong message',
  async (onAmbiguous) => {
    const random = randomFrom(7);
    const receivers = [await receiverFor(unreliable(random)), await receiverFor(unreliable(random))];
    await using hl7 = await startHl7({
      pools: { main: { servers: receivers.map(({ address }) => address), connections: 6 } },
      hl7: {
        onAmbiguous,
        senderTimeout: { default: SENDER_TIMEOUT, byApplication: {} },
      },
    });
    const { answered, refused, wrong } = await sendFromMany(hl7.address, SENDERS, MESSAGES);
    expect(wrong).toEqual([]);
    expect(answered + refused).toBe(MESSAGES);
    expect(answered).toBeGreaterThan(MESSAGES * 0.9);
    expect(refused).toBeGreaterThan(0);
    // Nothing is left behind: every message is decided, every connection that is open lies idle.
    const { messages, delivered, unavailable, failed } = hl7.frontEnd.totals as Record<string, number>;
    expect(messages).toBe(MESSAGES);
    expect([delivered, unavailable! + failed!]).toEqual([answered, refused]);
    await hl7.messages.count(MESSAGES);
    for (const server of hl7.pools.main!.servers) {
      expect(server.load.operations).toBe(0);
      expect(server.load.bytesInFlight).toBe(0);
      expect(server.active).toBeLessThanOrEqual(6);
    }
    await hl7.frontEnd.close();
    expect(hl7.pools.main!.servers.map(({ active }) => active)).toEqual([0, 0]);
  },
);
