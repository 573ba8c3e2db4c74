/** What MSH-16 asks for goes to the return address, and nothing else (HL7 v2.5.1 2.9.3, table 0155). */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf } from '../../peers/hl7-messages.ts';
import { answering, connectSender, silent } from '../../peers/mllp-peer.ts';
import { scratchFolder } from '../../queue/scratch.ts';
import { receiverFor } from './start-receivers.ts';
import { commit, queueAt, storing } from './start-storing.ts';

const MODES = ['AL', 'ER', 'SU', 'NE'];

/** Sends a message of each mode, named by it, to a server that does what `answers` says. Returns what came back. */
async function answersTo(answers: readonly string[]): Promise<string[]> {
  const receiver = await receiverFor(async ({ bytes }, connection) => {
    for (const code of answers) await connection.write(acknowledgementOf(bytes, code));
  });
  const returned = await receiverFor(silent());
  const queue = await queueAt(join(scratchFolder(), 'queue'), { maxAttempts: 2 });
  const returnTo = { default: returned.address, byApplication: {} };
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [receiver.address], connections: 1 } },
    hl7: { store: { ackOnStore: undefined, returnTo } },
  });
  const sender = await connectSender(hl7.address);
  const send = (mode: string, controlId = mode) =>
    sender.send(commit(controlId, { patient: controlId, applicationAcknowledgement: mode }));
  for (const mode of MODES) await send(mode);
  const ends = ['quarantined', 'delivered'];
  await hl7.messages.count(MODES.length, ({ outcome, type }) => type === 'ADT' && ends.includes(outcome));
  // Answers go one after another: when this one is there, so are those before it.
  receiver.script = answering('AA');
  await send('AL', 'LAST');
  await returned.messages.find(({ bytes }) => fieldOf(bytes, 'MSA', 2) === 'LAST');
  return returned.messages.items
    .map(({ bytes }) => `${fieldOf(bytes, 'MSA', 2)} ${fieldOf(bytes, 'MSA', 1)}`)
    .filter((line) => !line.startsWith('LAST'))
    .toSorted();
}

test('refused by the application, and quarantined: who wants to hear of errors hears of it', async () => {
  expect(await answersTo(['AE'])).toEqual(['AL AE', 'ER AE']);
});

test('accepted by the server and then refused by the application', async () => {
  expect(await answersTo(['CA', 'AE'])).toEqual(['AL AE', 'ER AE']);
});

test('accepted by the server and then by the application', async () => {
  expect(await answersTo(['CA', 'AA'])).toEqual(['AL AA', 'SU AA']);
});

test('answered by the application at once', async () => {
  expect(await answersTo(['AA'])).toEqual(['AL AA', 'SU AA']);
});
