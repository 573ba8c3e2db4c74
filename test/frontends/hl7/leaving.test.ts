/** Servers that are drained, halted, taken out of the configuration, or that failed over: what their messages do. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { answering, connectSender, type MllpSender } from '../../peers/mllp-peer.ts';
import { holding } from './holding.ts';
import { hasty, serversOf, startHl7, type TestFrontEnd, UNCHECKED } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const ofPatient = (controlId: string, patient = `INV-${controlId}`) => hl7Message({ controlId, patient });
const answerOf = async (sender: MllpSender) => fieldOf((await sender.read())!, 'MSA', 2);
const serversIn = ({ pools }: TestFrontEnd) => pools.main!.servers;

/** Waits until its one sender has sent so many messages, and they were read. */
async function inHand({ frontEnd }: TestFrontEnd, count: number): Promise<void> {
  while ([...frontEnd.connections()][0]!.messages < count) await new Promise(setImmediate);
}

test('drain: connections that lie idle are closed, the server becomes drained, and comes back with online', async () => {
  const receivers = [await receiverFor(), await receiverFor()];
  await using hl7 = await startHl7({ pools: { main: { servers: receivers.map(({ address }) => address) } } });
  const senders = await Promise.all([1, 2, 3, 4].map(() => connectSender(hl7.address)));
  await Promise.all(senders.map((sender, index) => sender.send(ofPatient(`M${index}`))));
  const [one] = serversIn(hl7);
  expect(one!.active).toBeGreaterThan(0);
  one!.drain();
  expect([one!.state, one!.active]).toEqual(['drained', 0]);
  const before = receivers[0]!.messages.length;
  for (const [index, sender] of senders.entries()) await sender.send(ofPatient(`N${index}`));
  expect(receivers[0]!.messages.length).toBe(before);
  one!.online();
  for (const [index, sender] of senders.entries()) await sender.send(ofPatient(`O${index}`));
  expect(receivers[0]!.messages.length).toBeGreaterThan(before);
  expect(hl7.frontEnd.totals).toMatchObject({ delivered: 12, failed: 0, unavailable: 0 });
});

test('drain: a patient whose messages are in hand stays there until there are none left, others go elsewhere', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address), balance: 'first' } },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2', 'M3']) await sender.write(ofPatient(id, 'INV1'));
  await held.count(1);
  await inHand(hl7, 3);
  const [one] = serversIn(hl7);
  one!.drain();
  expect(one!.state).toBe('draining');
  await sender.write(ofPatient('OTHER'));
  expect((await held.find(({ received }) => received.controlId === 'OTHER')).server).toBe(1);
  for (const id of ['M1', 'M2', 'M3']) await held.answer(id);
  for (const id of ['M1', 'M2', 'M3']) expect(await answerOf(sender)).toBe(id);
  expect(held.items.filter(({ server }) => server === 0)).toHaveLength(3);
  // One connection was enough: it was not closed and opened for each message.
  expect(receivers[0]!.connections).toHaveLength(1);
  expect([one!.state, one!.active]).toEqual(['drained', 0]);
  await sender.write(ofPatient('M4', 'INV1'));
  expect((await held.find(({ received }) => received.controlId === 'M4')).server).toBe(1);
});

test('strict drain: what is in hand finishes, the next message of the same patient goes elsewhere', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address), balance: 'first' } },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2']) await sender.write(ofPatient(id, 'INV1'));
  await held.count(1);
  await inHand(hl7, 2);
  serversIn(hl7)[0]!.drain(true);
  await held.answer('M1');
  expect((await held.find(({ received }) => received.controlId === 'M2')).server).toBe(1);
  await held.answer('M2');
  for (const id of ['M1', 'M2']) expect(await answerOf(sender)).toBe(id);
  expect(serversIn(hl7)[0]!.state).toBe('drained');
});

test('halt: messages that were not sent go elsewhere, the one that was is answered, then its connection closes', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: {
      main: { servers: receivers.map(({ address }) => address), balance: 'first', connections: 1 },
    },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2', 'M3']) await sender.write(ofPatient(id));
  await held.count(1);
  await inHand(hl7, 3);
  const [one] = serversIn(hl7);
  one!.halt();
  await held.count(2);
  await held.answer('M2');
  await held.count(3);
  await held.answer('M3');
  expect(held.items.map(({ server }) => server)).toEqual([0, 1, 1]);
  expect([one!.state, one!.active]).toEqual(['halted', 1]);
  await held.answer('M1');
  for (const id of ['M1', 'M2', 'M3']) expect(await answerOf(sender)).toBe(id);
  expect(one!.active).toBe(0);
  expect(hl7.messages.items.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
  expect(await receivers[0]!.connections.items[0]!.connection.ending).toBe('end');
});

test.each([
  ['any', 'goes elsewhere', 'maybe twice'],
  ['fail', 'ends its sender', 'failed'],
] as const)(
  'halt: when the time to finish is over, what is not answered %s: %s',
  async (onAmbiguous, _, outcome) => {
    const { held, receivers } = await holding(2);
    await using hl7 = await startHl7({
      pools: {
        main: { servers: receivers.map(({ address }) => address), balance: 'first', more: { drain: 100 } },
      },
      hl7: { onAmbiguous },
    });
    const sender = await connectSender(hl7.address);
    await sender.write(ofPatient('M1'));
    await held.count(1);
    const [one] = serversIn(hl7);
    one!.halt();
    expect(await receivers[0]!.connections.items[0]!.connection.ending).toBe('reset');
    if (onAmbiguous === 'any') {
      await held.count(2);
      expect(held.items[1]!.server).toBe(1);
      await held.answer('M1');
      expect(await answerOf(sender)).toBe('M1');
    } else {
      expect(await sender.read()).toBeUndefined();
    }
    expect((await hl7.messages.count(1))[0]).toMatchObject({ outcome });
    expect(one!.active).toBe(0);
  },
);

test('halt, hold: a message that may have arrived waits, is not sent while the server is halted, and goes there when it is back', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: {
      main: { servers: receivers.map(({ address }) => address), balance: 'first', more: { drain: 50 } },
    },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(ofPatient('M1'));
  await held.count(1);
  const [one] = serversIn(hl7);
  one!.halt();
  await receivers[0]!.connections.items[0]!.connection.ending;
  // Longer than the pause before it would be sent again.
  await pause(400);
  expect([held.length, receivers[0]!.connections.length]).toEqual([1, 1]);
  one!.online();
  await held.count(2);
  expect(held.items[1]!.server).toBe(0);
  await held.answer('M1');
  expect(await answerOf(sender)).toBe('M1');
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'maybe twice', attempts: 2 });
});

test('halt and online before the time is over: nothing is cut', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address), more: { drain: 50 } } },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(ofPatient('M1'));
  await held.count(1);
  serversIn(hl7)[0]!.halt();
  serversIn(hl7)[0]!.online();
  await pause(200);
  await held.answer('M1');
  expect(await answerOf(sender)).toBe('M1');
  expect(receivers[0]!.connections).toHaveLength(1);
});

test('a server that the configuration no longer has: what was sent is answered, the rest goes elsewhere, its connections close', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: {
      main: { servers: receivers.map(({ address }) => address), balance: 'first', connections: 1 },
    },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2']) await sender.write(ofPatient(id));
  await held.count(1);
  await inHand(hl7, 2);
  const [gone] = serversIn(hl7);
  const left = serversOf(
    'main',
    receivers.map(({ address }) => address),
  ).slice(1);
  hl7.pools.main!.reconfigure({ balance: 'first', servers: left, health: UNCHECKED });
  hl7.frontEnd.reconfigure(hl7.options);
  await held.find(({ received }) => received.controlId === 'M2');
  expect(held.items.map(({ server }) => server)).toEqual([0, 1]);
  expect([gone!.state, gone!.active]).toEqual(['draining', 1]);
  for (const id of ['M1', 'M2']) await held.answer(id);
  for (const id of ['M1', 'M2']) expect(await answerOf(sender)).toBe(id);
  expect([gone!.state, gone!.active]).toEqual(['drained', 0]);
});

test('failed over: connections to the old server end at once, and what may have arrived there goes nowhere else', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: {
      main: {
        servers: receivers.map(({ address }) => address),
        more: { mode: 'single-active', health: { ...UNCHECKED, isChecked: true } },
      },
    },
    hl7: { senderTimeout: hasty(700) },
  });
  const [one, two] = [await connectSender(hl7.address), await connectSender(hl7.address)];
  await one.write(hl7Message({ controlId: 'M1', patient: 'INV-M1', sendingApp: 'HASTY' }));
  await held.count(1);
  serversIn(hl7)[0]!.checked('down', 'refused');
  expect(await receivers[0]!.connections.items[0]!.connection.ending).toBe('reset');
  serversIn(hl7)[0]!.checked('up', 'answers');
  serversIn(hl7)[0]!.checked('up', 'answers');
  await two.write(ofPatient('M2'));
  expect((await held.count(2))[1]!.server).toBe(1);
  await held.answer('M2');
  expect(await answerOf(two)).toBe('M2');
  expect(await one.read()).toBeUndefined();
  expect(held.items.map(({ received }) => received.controlId)).toEqual(['M1', 'M2']);
  expect(serversIn(hl7)[0]!.active).toBe(0);
});

test('an application answer that is owed is still waited for while the server drains', async () => {
  const owed: (() => Promise<void>)[] = [];
  const receiver = await receiverFor(async ({ bytes }, connection) => {
    await connection.write(acknowledgementOf(bytes, 'CA'));
    owed.push(() => connection.write(acknowledgementOf(bytes, 'AA')));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const message = hl7Message({
    controlId: 'M1',
    acceptAcknowledgement: 'AL',
    applicationAcknowledgement: 'AL',
  });
  expect(fieldOf((await sender.send(message))!, 'MSA', 1)).toBe('CA');
  const [server] = serversIn(hl7);
  server!.drain();
  expect(server!.state).toBe('draining');
  await owed[0]!();
  expect(fieldOf((await sender.read())!, 'MSA', 1)).toBe('AA');
});

test('drained while traffic flows, again and again: no message fails, none is lost', async () => {
  const receivers = [await receiverFor(), await receiverFor(answering())];
  await using hl7 = await startHl7({ pools: { main: { servers: receivers.map(({ address }) => address) } } });
  const senders = await Promise.all([1, 2, 3, 4].map(() => connectSender(hl7.address)));
  let sent = 0;
  const traffic = senders.map(async (sender, which) => {
    for (let n = 0; n < 200; n++) {
      const answer = await sender.send(ofPatient(`S${which}-${n}`, `INV${n % 7}`));
      expect(fieldOf(answer!, 'MSA', 1)).toBe('AA');
      sent++;
    }
  });
  const words = ['drain', 'halt'] as const;
  for (let turn = 0; sent < 800; turn++) {
    const server = serversIn(hl7)[turn % 2]!;
    server[words[(turn >> 1) % 2]!]();
    await pause(5);
    server.online();
    await pause(1);
  }
  await Promise.all(traffic);
  expect(receivers[0]!.messages.length + receivers[1]!.messages.length).toBe(800);
  expect(hl7.frontEnd.totals).toMatchObject({ messages: 800, delivered: 800 });
});
