/**
 * Real parts: HL7 libraries that the project did not write, behind a VIP as receivers and in front of it as senders. What
 * each is known to do wrong is shown, and that nothing is lost by it behind Gantry.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { receiverFor } from '../frontends/hl7/start-receivers.ts';
import { fieldOf, hl7Message } from '../peers/hl7-messages.ts';
import { connectSender, mllpFrame } from '../peers/mllp-peer.ts';
import { freePort, type PeerProcess, waitForPort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import {
  MEBIBYTE,
  mixedMessages,
  sendTogether,
  sha256,
  startGantry,
  startPeer,
  temporaryFolder,
} from './hl7-setup.ts';

const PROGRAM = new URL('../peers/hl7-library-process.ts', import.meta.url).pathname;
const LIBRARIES = ['@medplum/hl7', 'hl7v2-net', 'simple-hl7', 'node-hl7-server'];
const SENDERS = 4;

const hostPort = (port: number): Address => ({ host: '127.0.0.1', port });

interface LibraryReceiver {
  readonly port: number;
  readonly process: PeerProcess;
  /** MSH-10 and SHA-256 of every message it got, in their order. */
  got(): [string, string][];
}

/** `option`: `keep` its connections, or the control id at which its handler fails. */
async function startLibrary(library: string, option?: string): Promise<LibraryReceiver> {
  const port = await freePort();
  const process_ = startPeer(process.execPath, [
    PROGRAM,
    'receive',
    library,
    String(port),
    ...(option === undefined ? [] : [option]),
  ]);
  await waitForPort(port, process_);
  const got = () =>
    [...process_.output.matchAll(/^got (\S+) (\S+)$/gm)].map(([, id, hash]): [string, string] => [
      id!,
      hash!,
    ]);
  return { port, process: process_, got };
}

/** What it got, once it has printed so many control ids; what a process prints is read when it is read. */
async function gotAll(receiver: LibraryReceiver, count: number): Promise<Map<string, string>> {
  await expect.poll(() => new Map(receiver.got()).size, { timeout: 20_000 }).toBe(count);
  return new Map(receiver.got());
}

describe.each(LIBRARIES)('%s', (library) => {
  test('as a receiver: four senders, pipelined in one chunk, 1 MiB too: each message its own bytes, each answer matched', async () => {
    const receiver = await startLibrary(library);
    const gantry = await startGantry([receiver.port]);
    const all = Array.from({ length: SENDERS }, (_, sender) => mixedMessages(sender, 50));
    const again = await Promise.all(
      all.map((messages, sender) => sendTogether(gantry.address, messages, 1 + sender * 3)),
    );
    // A connection that its server closes when a long message has begun takes that with it.
    if (library !== 'node-hl7-server') expect(again).toEqual([0, 0, 0, 0]);
    const expected = all.flat().map((one): [string, string] => [fieldOf(one, 'MSH', 10), sha256(one)]);
    expect(await gotAll(receiver, SENDERS * 50)).toEqual(new Map(expected));
  });

  test('as a sender: four in parallel, 1 MiB too: what each sent is what came, each answer is its own', async () => {
    const receiver = await receiverFor();
    const gantry = await startGantry([receiver.address.port]);
    const { port } = gantry.address;
    const words = ['send', library, port, SENDERS, 25, MEBIBYTE].map(String);
    const sender = startPeer(process.execPath, [PROGRAM, ...words]);
    expect((await sender.exited).code, sender.output).toBe(0);
    const lines = [...sender.output.matchAll(/^sent (\S+) (\S+) (\S+) (\S+)$/gm)];
    expect(lines).toHaveLength(SENDERS * 25);
    for (const [, controlId, , code, answered] of lines) expect([code, answered]).toEqual(['AA', controlId]);
    const sent = new Map(lines.map(([, controlId, hash]) => [controlId, hash]));
    const got = new Map(receiver.messages.items.map(({ controlId, bytes }) => [controlId, sha256(bytes)]));
    expect(got).toEqual(sent);
    expect(receiver.messages.length).toBe(SENDERS * 25);
  });
});

test.each(['@medplum/hl7', 'node-hl7-server'])(
  '%s, stored: senders hear at once, each message comes as its own bytes',
  async (library) => {
    const receiver = await startLibrary(library);
    const queue = join(temporaryFolder(), 'queue');
    const gantry = await startGantry([receiver.port], `{ delivery: store, ackOnStore: AA, queue: ${queue} }`);
    const all = Array.from({ length: SENDERS }, (_, sender) => mixedMessages(sender, 20));
    const again = all.map((messages, sender) => sendTogether(gantry.address, messages, 1 + sender * 3));
    expect(await Promise.all(again)).toEqual([0, 0, 0, 0]);
    const expected = all.flat().map((one): [string, string] => [fieldOf(one, 'MSH', 10), sha256(one)]);
    expect(await gotAll(receiver, SENDERS * 20)).toEqual(new Map(expected));
  },
);

describe('fragile', () => {
  test.each(['@medplum/hl7', 'hl7v2-net'])(
    '%s takes a frame that breaks off, and the one behind it, for one message; behind Gantry it gets the whole one',
    async (library) => {
      const receiver = await startLibrary(library);
      const [broken, whole] = ['M1', 'M2'].map((controlId) => hl7Message({ controlId }));
      const chunk = Buffer.concat([mllpFrame(broken!).subarray(0, 100), mllpFrame(whole!)]);
      const straight = await connectSender(hostPort(receiver.port));
      await straight.connection.write(chunk);
      expect(fieldOf((await straight.read())!, 'MSA', 2)).toBe('M1');
      straight.end();

      const gantry = await startGantry([receiver.port]);
      const sender = await connectSender(gantry.address);
      await sender.connection.write(chunk);
      expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe('M2');
      expect((await gotAll(receiver, 2)).get('M2')).toBe(sha256(whole!));
    },
  );

  test('hl7v2-net takes what it has for a message when its connection is closed; Gantry resets it, and it has none', async () => {
    const receiver = await startLibrary('hl7v2-net');
    const half = (controlId: string) =>
      mllpFrame(hl7Message({ controlId, length: MEBIBYTE })).subarray(0, MEBIBYTE / 2);
    const straight = await connectSender(hostPort(receiver.port));
    await straight.connection.write(half('M1'));
    straight.end();
    expect([...(await gotAll(receiver, 1)).keys()]).toEqual(['M1']);

    const gantry = await startGantry([receiver.port]);
    const sender = await connectSender(gantry.address);
    await sender.connection.write(half('M2'));
    sender.end();
    expect(await sender.read()).toBeUndefined();
    expect(await sendTogether(gantry.address, [hl7Message({ controlId: 'M3' })], 1)).toBe(0);
    expect([...(await gotAll(receiver, 2)).keys()]).toEqual(['M1', 'M3']);
  });

  test('simple-hl7 takes two frames in one chunk for one message; behind Gantry it gets both', async () => {
    const receiver = await startLibrary('simple-hl7');
    const messages = ['M1', 'M2'].map((controlId) => hl7Message({ controlId }));
    const straight = await connectSender(hostPort(receiver.port));
    await straight.connection.write(Buffer.concat(messages.map(mllpFrame)));
    expect(fieldOf((await straight.read())!, 'MSA', 2)).toBe('M1');
    expect([...(await gotAll(receiver, 1)).keys()]).toEqual(['M1']);
    straight.end();

    const gantry = await startGantry([receiver.port], undefined, ', hl7: { connections: 1 }');
    await sendTogether(gantry.address, messages, 2);
    const got = await gotAll(receiver, 2);
    for (const message of messages) expect(got.get(fieldOf(message, 'MSH', 10))).toBe(sha256(message));
  });

  test('node-hl7-server answers every message of a connection anew with each further one; behind Gantry each sender hears its own answer', async () => {
    const receiver = await startLibrary('node-hl7-server', 'keep');
    const straight = await connectSender(hostPort(receiver.port));
    const said = [];
    for (const controlId of ['M1', 'M2'])
      said.push(fieldOf((await straight.send(hl7Message({ controlId })))!, 'MSA', 2));
    expect(said).toEqual(['M1', 'M1']);
    straight.end();

    const gantry = await startGantry([receiver.port], undefined, ', hl7: { connections: 1 }');
    for (const controlId of ['M3', 'M4', 'M5']) {
      const sender = await connectSender(gantry.address);
      expect(fieldOf((await sender.send(hl7Message({ controlId })))!, 'MSA', 2)).toBe(controlId);
      sender.end();
    }
    await gantry.stop();
    const outcomes = gantry.log().filter(({ msg }) => msg === 'message');
    // The answer to M3 again, before that to M4, is known. Before that to M5 it is another message's: its connection is
    // reset, and the message goes once more, on a new one.
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['delivered', 'delivered', 'maybe twice']);
  });

  test('node-hl7-server ends when its handler fails: no acknowledged message is lost, the others go to the other server', async () => {
    const dying = await startLibrary('node-hl7-server', 'L2N6');
    const other = await startLibrary('node-hl7-server');
    const gantry = await startGantry([dying.port, other.port], '{ senderTimeout: 2s }', ', balance: first');
    const all = Array.from({ length: SENDERS }, (_, sender) => mixedMessages(sender, 12, 0));
    const again = await Promise.all(all.map((messages) => sendTogether(gantry.address, messages, 1)));
    // Who sent it was not answered, nor whoever waited behind it.
    expect(again.reduce((sum, one) => sum + one)).toBeGreaterThan(0);
    expect((await dying.process.exited).code).not.toBe(0);
    await gantry.stop();
    const got = () => new Set([...dying.got(), ...other.got()].map(([controlId]) => controlId));
    await expect.poll(() => got().size, { timeout: 20_000 }).toBe(SENDERS * 12);
  });
});
