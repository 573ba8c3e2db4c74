/** What is on its way to the disk when its sender leaves, or its time is over: it is stored, or it is not; nothing else is said. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fieldOf } from '../../peers/hl7-messages.ts';
import { answering, connectSender } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { scratchFolder } from '../../queue/scratch.ts';
import { SETTINGS, type Sketch } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';
import { commit, queueAt, slowDisk, storing } from './start-storing.ts';

/** A front-end whose queue says only when the gate `disk` opens what it has. */
async function slowly(hl7: Sketch['hl7'] = {}) {
  const receiver = await receiverFor(answering('CA'));
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  const disk = slowDisk(queue);
  const started = await storing(queue, {
    pools: { main: { servers: [receiver.address] } },
    hl7: { duplicates: { ms: 600_000, entries: 1000 }, ...hl7 },
  });
  return { receiver, disk, started };
}

test('its sender leaves while it is stored: it is stored, and a repetition of it is a duplicate', async () => {
  const { receiver, disk, started } = await slowly();
  await using hl7 = started;
  const sender = await connectSender(hl7.address);
  await sender.write(commit('M1'));
  await receiver.messages.count(1);
  sender.connection.reset();
  while ([...hl7.frontEnd.connections()].length > 0) await new Promise(setImmediate);
  const other = await connectSender(hl7.address);
  const again = other.send(commit('M1'));
  disk.open();
  expect(fieldOf((await again)!, 'MSA', 1)).toBe('CA');
  expect(fieldOf((await other.send(commit('M1')))!, 'MSA', 1)).toBe('CA');
  await hl7.messages.count(4);
  expect(hl7.messages.items.map(({ outcome }) => outcome).toSorted()).toEqual([
    'delivered',
    'duplicate',
    'duplicate',
    'stored',
  ]);
  expect(receiver.messages.length).toBe(1);
});

test('the disk takes longer than its sender waits: no answer, and a repetition of it is a duplicate', async () => {
  const { receiver, disk, started } = await slowly({ senderTimeout: { default: 100, byApplication: {} } });
  await using hl7 = started;
  const [server] = hl7.pools.main!.servers;
  server!.halt();
  const sender = await connectSender(hl7.address);
  expect(await sender.send(commit('M1'))).toBeUndefined();
  // Only the first was in a hurry.
  hl7.frontEnd.reconfigure({
    ...hl7.options,
    hl7: { ...hl7.options.hl7, senderTimeout: SETTINGS.senderTimeout },
  });
  server!.online();
  disk.open();
  await hl7.messages.count(2);
  const other = await connectSender(hl7.address);
  expect(fieldOf((await other.send(commit('M1')))!, 'MSA', 1)).toBe('CA');
  expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(
    expect.arrayContaining(['stored', 'delivered', 'duplicate']),
  );
  expect(receiver.messages.length).toBe(1);
});

test('a long message that is given up while it comes leaves nothing in the queue', async () => {
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  const gate = createGate();
  const receiver = await receiverFor(async (_, { connection }) => {
    await gate.opened;
    connection.reset();
  });
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [receiver.address] } },
    hl7: { onAmbiguous: 'fail' },
  });
  const sender = await connectSender(hl7.address);
  // Relayed: its server is lost, and what comes behind it is dropped.
  const relayed = commit('M1', { acceptAcknowledgement: 'NE', applicationAcknowledgement: 'AL' });
  const long = commit('M2', { length: 1_000_000, patient: 'INV0002' });
  const frame = (message: Buffer) => Buffer.concat([Buffer.of(0x0b), message, Buffer.of(0x1c, 0x0d)]);
  void sender.connection.write(Buffer.concat([frame(relayed), frame(long).subarray(0, 600_000)]));
  while (hl7.frontEnd.totals.messages! < 2) await new Promise(setImmediate);
  gate.open();
  expect(await sender.read()).toBeUndefined();
  await hl7.messages.count(2);
  expect(await queue.depth()).toMatchObject({ messages: 0, bytes: 0 });
});

test('a repetition of a message that nobody wants an answer to, while that is stored: neither is answered', async () => {
  const { disk, started } = await slowly();
  await using hl7 = started;
  const quiet = commit('M1', { acceptAcknowledgement: 'NE' });
  const senders = [await connectSender(hl7.address), await connectSender(hl7.address)];
  for (const sender of senders) await sender.write(quiet);
  const inHand = () => [...hl7.frontEnd.connections()].filter(({ messages }) => messages === 1);
  while (inHand().length < 2) await new Promise(setImmediate);
  disk.open();
  await hl7.messages.count(3);
  // Both connections live on.
  for (const sender of senders) expect(fieldOf((await sender.send(commit('M2')))!, 'MSA', 1)).toBe('CA');
  const outcomes = hl7.messages.items
    .filter(({ controlId }) => controlId === 'M1')
    .map(({ outcome }) => outcome);
  expect(outcomes.toSorted()).toEqual(['duplicate', 'stored', 'unconfirmed']);
});

test('a long message is told of with all its bytes', async () => {
  const receiver = await receiverFor(answering('CA'));
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  await sender.send(commit('M1', { length: 1_000_000 }));
  await hl7.messages.count(2);
  expect(hl7.messages.items.map(({ bytes }) => bytes)).toEqual([1_000_000, 1_000_000]);
});
