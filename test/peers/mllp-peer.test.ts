/** The scripted HL7 peers against each other: what the other tests build on. */
import { afterEach, expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message, hl7Messages } from './hl7-messages.ts';
import {
  answering,
  answeringHalf,
  answeringLate,
  answeringWithoutMsa,
  answeringWrongId,
  closing,
  connectSender,
  dribbling,
  mllpFrame,
  type Receiver,
  resetting,
  startReceiver,
} from './mllp-peer.ts';
import { createGate } from './waiting.ts';

const started: Receiver[] = [];
async function receiver(script = answering()): Promise<Receiver> {
  const one = await startReceiver(script);
  started.push(one);
  return one;
}
afterEach(async () => {
  for (const one of started.splice(0)) await one.stop();
});

const message = hl7Message({ controlId: 'C1', length: 3000 });

test('messages arrive as sent, however the bytes are cut, and are acknowledged', async () => {
  const server = await receiver();
  const sender = await connectSender(server.address);
  expect(message.length).toBe(3000);
  expect(fieldOf((await sender.send(message))!, 'MSA', 2)).toBe('C1');
  await sender.connection.dribble(mllpFrame(hl7Message({ controlId: 'C2' })));
  expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe('C2');
  await sender.connection.write(Buffer.concat(hl7Messages(50, 5).map((one) => mllpFrame(one))));
  for (let n = 1; n <= 50; n++) expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(`M${n}`);
  expect(server.messages.items[0]?.bytes.equals(message)).toBe(true);
  expect(server.messages.length).toBe(52);
  sender.end();
  expect(await sender.ending).toBe('end');
});

test('the other scripts do what they say', async () => {
  const answerOf = async (script: Parameters<typeof startReceiver>[0]) =>
    (await connectSender((await receiver(script)).address)).send(message);
  expect(fieldOf((await answerOf(answering('AE')))!, 'MSA', 1)).toBe('AE');
  expect(fieldOf((await answerOf(answeringWrongId('X')))!, 'MSA', 2)).toBe('X');
  expect((await answerOf(answeringWithoutMsa()))?.includes('MSA')).toBe(false);
  expect((await answerOf(dribbling()))?.equals(acknowledgementOf(message))).toBe(true);
  expect(await answerOf(closing())).toBe(undefined);
  expect(await answerOf(resetting())).toBe(undefined);
  const gate = createGate();
  const late = answerOf(answeringLate(gate));
  gate.open();
  expect(fieldOf((await late)!, 'MSA', 1)).toBe('AA');
  const half = await receiver(answeringHalf());
  const sender = await connectSender(half.address);
  await sender.write(message);
  expect((await sender.connection.read(20)).length).toBe(20);
});

test('a stopped receiver comes back on its port', async () => {
  const server = await receiver();
  const sender = await connectSender(server.address);
  await server.connections.count(1);
  await server.stop();
  expect(await sender.ending).toBe('reset');
  await expect(connectSender(server.address)).rejects.toThrow('ECONNREFUSED');
  await server.restart();
  expect(await (await connectSender(server.address)).send(message)).toBeDefined();
});
