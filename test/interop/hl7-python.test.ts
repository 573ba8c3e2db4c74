/** Peers that the project did not write: Debian's python3-hl7 as a sender and as a receiver. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { receiverFor } from '../frontends/hl7/start-receivers.ts';
import { acknowledgementOf, fieldOf, hl7Message, hl7Messages } from '../peers/hl7-messages.ts';
import { dribbling, mllpFrame } from '../peers/mllp-peer.ts';
import { describeWith, freePort, runProgram, waitForPort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import { mixedMessages, sendTogether, sha256, startGantry, startPeer, temporaryFolder } from './hl7-setup.ts';

// The package is Debian's, and so is the Python it is for, whatever else is installed.
const PYTHON = '/usr/bin/python3';
const RECEIVER = new URL('../peers/hl7-receiver.py', import.meta.url).pathname;

describeWith(['python3-hl7'], 'python3-hl7', () => {
  test('mllp_send sends a message and gets its acknowledgement', async () => {
    const receiver = await receiverFor();
    const gantry = await startGantry([receiver.address.port]);
    const file = join(temporaryFolder(), 'message.hl7');
    const message = hl7Message({ controlId: 'PY1' });
    writeFileSync(file, mllpFrame(message));
    const { host, port } = gantry.address;
    const sent = await runProgram('mllp_send', ['-p', String(port), '-f', file, host]);
    expect(sent.code).toBe(0);
    expect(sent.output).toContain('MSA|AA|PY1');
    // It leaves out the last carriage return.
    expect(receiver.messages.items.map(({ bytes }) => bytes)).toEqual([message.subarray(0, -1)]);
  });

  test('mllp_send --loose: messages without frames, as files have them', async () => {
    const receiver = await receiverFor();
    const gantry = await startGantry([receiver.address.port]);
    const file = join(temporaryFolder(), 'messages.hl7');
    const messages = hl7Messages(3, 3);
    writeFileSync(file, Buffer.concat(messages));
    const { host, port } = gantry.address;
    const sent = await runProgram('mllp_send', ['--loose', '-p', String(port), '-f', file, host]);
    expect(sent.code).toBe(0);
    expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['M1', 'M2', 'M3']);
    for (const { controlId } of receiver.messages.items) expect(sent.output).toContain(`MSA|AA|${controlId}`);
  });

  test('mllp_send takes what one recv() gives for the answer: it gets whole answers, one at a time', async () => {
    let rest: Buffer = Buffer.alloc(0);
    const receiver = await receiverFor(async ({ bytes }, { connection }) => {
      // The second half of each answer with the first half of the next.
      const answer = mllpFrame(acknowledgementOf(bytes));
      await connection.write(Buffer.concat([rest, answer.subarray(0, answer.length >> 1)]));
      rest = answer.subarray(answer.length >> 1);
    });
    const gantry = await startGantry([receiver.address.port]);
    const file = join(temporaryFolder(), 'messages.hl7');
    writeFileSync(file, Buffer.concat(hl7Messages(3, 1)));
    const send = (to: Address) =>
      runProgram('mllp_send', ['--loose', '-p', String(to.port), '-f', file, to.host]);
    const straight = await send(receiver.address);
    expect(straight.output).not.toContain('MSA|AA|M3');
    receiver.script = dribbling();
    const balanced = await send(gantry.address);
    const answers = balanced.output.match(/MSA\|AA\|M\d/g);
    expect(answers).toEqual(['MSA|AA|M1', 'MSA|AA|M2', 'MSA|AA|M3']);
  });

  test('its asyncio server: four senders, pipelined in one chunk, 1 MiB too: each message its own bytes, each answer matched', async () => {
    const port = await freePort();
    const python = startPeer(PYTHON, [RECEIVER, String(port)]);
    await waitForPort(port, python);
    const gantry = await startGantry([port]);
    const all = [0, 1, 2, 3].map((sender) => mixedMessages(sender, 50));
    const again = all.map((messages, sender) => sendTogether(gantry.address, messages, 1 + sender * 3));
    expect(await Promise.all(again)).toEqual([0, 0, 0, 0]);
    // It says so before it answers, but on a pipe that is read when it is read.
    const got = () =>
      [...python.output.matchAll(/^got (\S+) (\S+)$/gm)].map(([, id, hash]) => `${id} ${hash}`);
    await expect.poll(() => got().length, { timeout: 20_000 }).toBe(200);
    const sent = all.flat().map((message) => `${fieldOf(message, 'MSH', 10)} ${sha256(message)}`);
    expect(new Set(got())).toEqual(new Set(sent));
  });
});
