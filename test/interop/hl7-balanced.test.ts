/** Must show, HL7: ten thousand messages over two receivers that are processes of their own. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../peers/processes.ts';
import {
  type GantryProcess,
  type Ledger,
  type Outgoing,
  outgoing,
  type ReceiverProcess,
  sendAll,
  startGantry,
  startReceiverProcess,
  temporaryFolder,
} from './hl7-setup.ts';

const SENDERS = 16;
const MESSAGES = 10_000;
const PATIENTS = 500;
/** Every so many messages of a sender is an A40. */
const MERGE_EVERY = 40;

/** Each sender has its own patients: the order of a patient's messages is the order in which they were sent. */
function everySendersMessages(): Outgoing[][] {
  return Array.from({ length: SENDERS }, (_, sender) => {
    const patients = Array.from({ length: PATIENTS }, (_, patient) => patient).filter(
      (patient) => patient % SENDERS === sender,
    );
    return outgoing(sender, MESSAGES / SENDERS, patients, MERGE_EVERY);
  });
}

/** Half of the senders wait for each answer, half have eight messages on their way. */
async function sendEverything(gantry: GantryProcess, all: readonly Outgoing[][]): Promise<void> {
  await Promise.all(
    all.map((messages, sender) => sendAll(gantry.address, messages, sender % 2 === 0 ? 1 : 8)),
  );
}

/** Everything that both receivers got, in the order in which they got it. */
function gotOf(receivers: readonly { ledger(): Ledger }[]): Ledger['got'][number][] {
  const got = receivers.flatMap((receiver) => [...receiver.ledger().got]);
  return got.sort((a, b) => (a.at < b.at ? -1 : 1));
}

function expectSameBytes(got: Ledger['got'], all: readonly Outgoing[][]): void {
  const hashes = new Map(all.flat().map(({ controlId, hash }) => [controlId, hash]));
  expect(new Set(got.map(({ controlId }) => controlId)).size).toBe(MESSAGES);
  expect(got.filter(({ controlId, hash }) => hashes.get(controlId) !== hash)).toEqual([]);
}

/** Of each patient: no message came when a later one had come already. */
function expectOrderPerPatient(got: Ledger['got'], all: readonly Outgoing[][]): void {
  const sent = new Map(
    all.flatMap((messages) => messages.map((one, index) => [one.controlId, { ...one, index }])),
  );
  const latest = new Map<number, number>();
  const overtaken: string[] = [];
  for (const { controlId } of got) {
    const { patients, index } = sent.get(controlId)!;
    for (const patient of patients) {
      if (index < (latest.get(patient) ?? -1)) overtaken.push(controlId);
      latest.set(patient, Math.max(index, latest.get(patient) ?? -1));
    }
  }
  expect(overtaken).toEqual([]);
}

function lineOf(log: readonly Record<string, unknown>[]): Map<unknown, Record<string, unknown>> {
  return new Map(log.filter(({ msg }) => msg === 'message').map((line) => [line.controlId, line]));
}

async function twoReceivers(
  silentAfter?: number,
): Promise<{ receivers: ReceiverProcess[]; ledgers: string[] }> {
  const folder = temporaryFolder();
  const ledgers = ['one', 'two'].map((name) => join(folder, name));
  const receivers = [
    await startReceiverProcess(ledgers[0]!, await freePort(), silentAfter),
    await startReceiverProcess(ledgers[1]!, await freePort()),
  ];
  return { receivers, ledgers };
}

test('10 000 messages of 500 patients from 16 senders over 2 receivers: SHA-256 the same on both sides, in order per patient, each acknowledgement matched, each exactly once', async () => {
  const { receivers } = await twoReceivers();
  const gantry = await startGantry(receivers.map(({ port }) => port));
  const all = everySendersMessages();
  await sendEverything(gantry, all);
  await gantry.stop();

  const got = gotOf(receivers);
  expect(got).toHaveLength(MESSAGES);
  expectSameBytes(got, all);
  expectOrderPerPatient(got, all);
  for (const receiver of receivers) expect(receiver.ledger().got.length).toBeGreaterThan(MESSAGES / 10);
  const lines = [...lineOf(gantry.log()).values()];
  expect(lines).toHaveLength(MESSAGES);
  expect(lines.filter(({ outcome, attempts }) => outcome !== 'delivered' || attempts !== 1)).toEqual([]);
}, 240_000);

test('the same with a receiver killed and restarted in between: each at least once, twice only where its receiver died before answering, and its log line shows attempts > 1', async () => {
  const { receivers, ledgers } = await twoReceivers(1000);
  const gantry = await startGantry(receivers.map(({ port }) => port));
  const all = everySendersMessages();
  const sending = sendEverything(gantry, all);
  // It took messages that it did not answer: killed then, restarted, it gets those again.
  const [dying] = receivers;
  while (!dying!.process.output.includes('silent')) await new Promise((look) => setTimeout(look, 10));
  await dying!.process.stop('SIGKILL');
  const before = dying!.ledger();
  const restarted = await startReceiverProcess(ledgers[0]!, dying!.port);
  await sending;
  await gantry.stop();

  const got = gotOf([restarted, receivers[1]!]);
  expectSameBytes(got, all);
  expectOrderPerPatient(got, all);
  const times = new Map<string, number>();
  for (const { controlId } of got) times.set(controlId, (times.get(controlId) ?? 0) + 1);
  const twice = [...times].filter(([, count]) => count > 1);
  expect(twice.length).toBeGreaterThan(0);
  const lines = lineOf(gantry.log());
  for (const [controlId, count] of twice) {
    expect(count).toBe(2);
    expect(before.got.some((one) => one.controlId === controlId)).toBe(true);
    expect(before.answered.has(controlId)).toBe(false);
    expect(lines.get(controlId)).toMatchObject({ outcome: 'maybe twice' });
    expect(lines.get(controlId)!.attempts).toBeGreaterThan(1);
  }
  expect(lines.size).toBe(MESSAGES);
}, 240_000);
