/** A stalled patient, and how long the others take meanwhile: counted in answers, not in time. */
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const SENDERS = 16;
const EACH = 40;

/** How many others were answered while a message was on its way: what 99 of 100 messages do not exceed. */
async function answersMeanwhile(isStalled: boolean): Promise<number> {
  const gate = createGate();
  const script = (
    { bytes }: { readonly bytes: Buffer },
    connection: { write(bytes: Buffer): Promise<void> },
  ) => {
    const isOfStalled = fieldOf(bytes, 'PID', 3).startsWith('STALLED');
    if (isOfStalled) void gate.opened.then(() => connection.write(acknowledgementOf(bytes)));
    else return connection.write(acknowledgementOf(bytes));
    return undefined;
  };
  const receivers = await Promise.all([receiverFor(script), receiverFor(script)]);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address), connections: 8 } },
  });
  const stalled = await connectSender(hl7.address);
  const ids = Array.from({ length: 50 }, (_, index) => `STALLED${index}`);
  if (isStalled)
    for (const controlId of ids) await stalled.write(hl7Message({ controlId, patient: 'STALLED' }));
  let answered = 0;
  const waits: number[] = [];
  await Promise.all(
    Array.from({ length: SENDERS }, async (_, number) => {
      const sender = await connectSender(hl7.address);
      for (let n = 0; n < EACH; n++) {
        const before = answered;
        // Twice as many patients as senders: some share one.
        await sender.send(
          hl7Message({ controlId: `${number}-${n}`, patient: `P${(number * 7 + n) % (SENDERS * 2)}` }),
        );
        waits.push(answered - before);
        answered++;
      }
    }),
  );
  // All others are through, and of the stalled patient the first is still the only one that was sent.
  const sent = receivers
    .flatMap(({ messages }) => messages.items)
    .filter(({ controlId }) => ids.includes(controlId));
  expect(sent.map(({ controlId }) => controlId)).toEqual(isStalled ? ['STALLED0'] : []);
  gate.open();
  if (isStalled) for (const id of ids) expect(fieldOf((await stalled.read())!, 'MSA', 2)).toBe(id);
  return waits.sort((one, other) => one - other)[Math.floor(waits.length * 0.99)]!;
}

test('one patient’s receiver path stalled for 10 s: the others’ p99 does not move', async () => {
  const alone = await answersMeanwhile(false);
  const beside = await answersMeanwhile(true);
  expect(beside).toBeLessThanOrEqual(2 * alone + SENDERS);
});
