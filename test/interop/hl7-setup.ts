/** What the HL7 tests with real processes share: a balancer by its own command line, receivers with ledgers, senders. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { fieldOf, hl7Message } from '../peers/hl7-messages.ts';
import { mixedMessage } from '../peers/hl7-mix.ts';
import { connectSender, mllpFrame } from '../peers/mllp-peer.ts';
import { freePort, type PeerProcess, startProgram, waitForPort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const fileOf = (path: string) => new URL(path, import.meta.url).pathname;

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-hl7-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Starts a program that ends with the test. */
export function startPeer(name: string, args: readonly string[]): PeerProcess {
  const peer = startProgram(name, args);
  onTestFinished(() => peer.stop());
  return peer;
}

export interface ReceiverProcess {
  readonly port: number;
  readonly process: PeerProcess;
  /** What it wrote of every message, also before it was killed. */
  ledger(): Ledger;
}

export interface Ledger {
  readonly got: readonly { readonly controlId: string; readonly hash: string; readonly at: bigint }[];
  readonly answered: ReadonlySet<string>;
}

/** Starts the receiver of test/peers; a ledger that is there already is continued. */
export async function startReceiverProcess(
  ledgerFile: string,
  port: number,
  silentAfter?: number,
): Promise<ReceiverProcess> {
  const process_ = startPeer(process.execPath, [
    fileOf('../peers/hl7-receiver-process.ts'),
    String(port),
    ledgerFile,
    ...(silentAfter === undefined ? [] : [String(silentAfter)]),
  ]);
  await waitForPort(port, process_);
  return { port, process: process_, ledger: () => readLedger(ledgerFile) };
}

function readLedger(file: string): Ledger {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  const words = lines.map((line) => line.split(' '));
  return {
    got: words
      .filter(([what]) => what === 'got')
      .map(([, controlId, hash, at]) => ({ controlId: controlId!, hash: hash!, at: BigInt(at!) })),
    answered: new Set(words.filter(([what]) => what === 'answered').map(([, controlId]) => controlId!)),
  };
}

export interface GantryProcess {
  readonly address: Address;
  readonly process: PeerProcess;
  /** Every line of the log so far. */
  log(): Record<string, unknown>[];
  /** Ends it as an operator would; what it had to log is there then. */
  stop(): Promise<void>;
}

/** Senders here wait for as long as a slow machine takes. */
const PATIENT = '{ senderTimeout: 60s }';

/** The balancer by its own command line, one HL7 VIP over one pool. */
export async function startGantry(
  servers: readonly number[],
  hl7 = PATIENT,
  pool = '',
): Promise<GantryProcess> {
  const port = await freePort();
  const file = join(temporaryFolder(), 'gantry.yaml');
  const addresses = servers.map((server) => `"127.0.0.1:${server}"`).join(', ');
  writeFileSync(
    file,
    `version: 1
admin: off
pools:
  RIS: { servers: [${addresses}], health: { check: none }${pool} }
vips:
  RIS: { protocol: hl7, listen: ["127.0.0.1:${port}"], pool: RIS, hl7: ${hl7} }
`,
  );
  const gantry = startPeer(process.execPath, [fileOf('../../bin/gantry.js'), 'run', '-c', file]);
  await waitForPort(port, gantry);
  return {
    address: { host: '127.0.0.1', port },
    process: gantry,
    log: () =>
      gantry.output
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    stop: () => gantry.stop('SIGTERM'),
  };
}

export interface Outgoing {
  readonly controlId: string;
  /** Whose message it is; of a merge both. */
  readonly patients: readonly number[];
  readonly bytes: Buffer;
  readonly hash: string;
}

/**
 * The messages of one sender: each of its patients in turn, and after every `mergeEvery` messages an A40 of two of
 * them. Of invented patients.
 */
export function outgoing(
  sender: number,
  count: number,
  patients: readonly number[],
  mergeEvery: number,
): Outgoing[] {
  return Array.from({ length: count }, (_, index) => {
    const controlId = `S${sender}-${index}`;
    const own = patients[index % patients.length]!;
    const prior = patients[(index + 1) % patients.length]!;
    const isMerge = index % mergeEvery === mergeEvery - 1;
    const name = (patient: number) => `INV${String(patient).padStart(4, '0')}`;
    const bytes = hl7Message({
      controlId,
      sendingApp: `SENDER${sender}`,
      event: isMerge ? 'A40' : 'A08',
      patient: name(own),
      segments: isMerge
        ? [`MRG|${name(prior)}^^^HOSP^MR`]
        : ['PV1|1|I', 'ZZZ|\u00e4\u00f6\u00fc of any length'],
      length: 200 + ((index * 37) % 1500),
    });
    return { controlId, patients: isMerge ? [own, prior] : [own], bytes, hash: sha256(bytes) };
  });
}

/** Sends with so many messages unanswered at a time; throws when an answer is not the next message's AA. */
export async function sendAll(to: Address, messages: readonly Outgoing[], window: number): Promise<void> {
  const sender = await connectSender(to);
  sender.connection.patience = 60_000;
  let answered = 0;
  for (const [index, { bytes }] of messages.entries()) {
    await sender.write(bytes);
    const open = Math.min(window, messages.length - answered);
    while (index + 1 - answered >= open && answered <= index) await next();
  }
  while (answered < messages.length) await next();
  sender.end();

  async function next(): Promise<void> {
    const { controlId } = messages[answered]!;
    const answer = await sender.read(`the answer to ${controlId}`);
    if (!answer) throw new Error(`the connection ended instead of the answer to ${controlId}`);
    const said = `${fieldOf(answer, 'MSA', 1)} ${fieldOf(answer, 'MSA', 2)}`;
    if (said !== `AA ${controlId}`) throw new Error(`"${said}" came as the answer to ${controlId}`);
    answered += 1;
  }
}

export const MEBIBYTE = 1024 * 1024;

/** The messages of one sender: a mix, the last of them of `longest` bytes. */
export function mixedMessages(sender: number, count: number, longest = MEBIBYTE): Buffer[] {
  return Array.from({ length: count }, (_, index) =>
    mixedMessage(sender, index, index === count - 1 ? longest : 0),
  );
}

/**
 * Sends with `together` frames in each chunk, and expects AA for each message in the order of sending. What was not answered
 * when the connection is closed is sent again on another, as senders do; how often is returned.
 */
export async function sendTogether(
  to: Address,
  messages: readonly Buffer[],
  together: number,
): Promise<number> {
  let sender = await connectSender(to);
  let again = 0;
  for (let answered = 0; answered < messages.length; ) {
    const chunk = messages.slice(answered, answered + together);
    await sender.connection.write(Buffer.concat(chunk.map(mllpFrame)));
    for (const message of chunk) {
      const answer = await sender.read('an acknowledgement');
      if (!answer) {
        again++;
        sender = await connectSender(to);
        break;
      }
      expect(`${fieldOf(answer, 'MSA', 1)} ${fieldOf(answer, 'MSA', 2)}`).toBe(
        `AA ${fieldOf(message, 'MSH', 10)}`,
      );
      answered++;
    }
  }
  sender.end();
  return again;
}
