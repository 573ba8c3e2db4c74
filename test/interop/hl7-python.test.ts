/** Peers that the project did not write: Debian's python3-hl7 as a sender and as a receiver. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { receiverFor } from '../frontends/hl7/start-receivers.ts';
import { fieldOf, hl7Message, hl7Messages } from '../peers/hl7-messages.ts';
import { connectSender, mllpFrame } from '../peers/mllp-peer.ts';
import { describeWith, freePort, runProgram, waitForPort } from '../peers/processes.ts';
import { startGantry, startPeer, temporaryFolder } from './hl7-setup.ts';

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

  test('its asyncio server gets messages and answers them', async () => {
    const port = await freePort();
    const python = startPeer(PYTHON, [RECEIVER, String(port)]);
    await waitForPort(port, python);
    const gantry = await startGantry([port]);
    const sender = await connectSender(gantry.address);
    for (const message of hl7Messages(20, 5)) {
      const answer = await sender.send(message);
      expect(fieldOf(answer!, 'MSA', 1)).toBe('AA');
      expect(fieldOf(answer!, 'MSA', 2)).toBe(fieldOf(message, 'MSH', 10));
    }
    // It says so before it answers, but on a pipe that is read when it is read.
    await expect.poll(() => python.output.match(/^got M\d+$/gm), { timeout: 20_000 }).toHaveLength(20);
  });
});
