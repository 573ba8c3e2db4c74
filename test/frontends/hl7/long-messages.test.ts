/** Messages of more than 256 KiB from real senders to real servers: streamed, and broken off in every way. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender, type MllpSender, mllpFrame, type Receiver } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { withOneServer } from './one-server.ts';
import { TestClock } from './outbound-stage.ts';
import { SETTINGS, startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const MIB = 1024 * 1024;
const short = (controlId: string) => hl7Message({ controlId });
const long = (controlId: string, length = 2 * MIB) => hl7Message({ controlId, length });
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function nextAnswer(sender: MllpSender): Promise<string> {
  const answer = await sender.read('an acknowledgement');
  return answer ? `${fieldOf(answer, 'MSA', 1)} ${fieldOf(answer, 'MSA', 2)}` : 'none';
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

const idsAt = (receiver: Receiver) => receiver.messages.items.map(({ controlId }) => controlId);

test('a message of 20 MiB: SHA-256 is the same on both sides', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    const bytes = long('LONG', 20 * MIB);
    void sender.write(bytes);
    expect(await nextAnswer(sender)).toBe('AA LONG');
    expect(sha256(receiver.messages.items[0]!.bytes)).toBe(sha256(bytes));
    const event = await hl7.messages.find(({ controlId }) => controlId === 'LONG');
    expect(event).toMatchObject({ outcome: 'delivered', bytes: bytes.length });
  }));

test('end blocks, start blocks and NULs inside a long message are its content', () =>
  withOneServer({}, async (sender, receiver) => {
    const odd = Buffer.from('\x1c\x0b\x0bMS\x0bMSx\0\x1c\x1c\n'.repeat(100_000), 'latin1');
    // An end block before a start block would be the end.
    const content = Buffer.from(
      odd.toString('latin1').replaceAll('\x1c\x0b', '\x1cv').replaceAll('\x0b\x0b', '\x0b'),
      'latin1',
    );
    const bytes = Buffer.concat([short('ODD'), Buffer.from('OBX|1|ED|||'), content]);
    void sender.write(bytes);
    expect(await nextAnswer(sender)).toBe('AA ODD');
    expect(receiver.messages.items[0]!.bytes.equals(bytes)).toBe(true);
  }));

test('short and long messages of one sender, sent at once, are answered in order', () =>
  withOneServer({}, async (sender, receiver) => {
    const messages = [short('M1'), long('M2'), short('M3'), long('M4', 300_000), short('M5')];
    void sender.connection.write(Buffer.concat(messages.map(mllpFrame)));
    for (const id of ['M1', 'M2', 'M3', 'M4', 'M5']) expect(await nextAnswer(sender)).toBe(`AA ${id}`);
    expect(idsAt(receiver)).toEqual(['M1', 'M2', 'M3', 'M4', 'M5']);
    for (const [i, { bytes }] of receiver.messages.items.entries())
      expect(bytes.equals(messages[i]!)).toBe(true);
  }));

test('a long message with a header that cannot be read: AR, its rest is thrown away, and the connection lives on', () =>
  withOneServer({}, async (sender, receiver) => {
    const overlongHeader = Buffer.from(`MSH|^~\\&|${'x'.repeat(MIB)}|A\rPID|1\r`);
    void sender.connection.write(Buffer.concat([overlongHeader, short('M2')].map(mllpFrame)));
    const answer = await sender.read();
    expect(fieldOf(answer!, 'MSA', 1)).toBe('AR');
    expect(fieldOf(answer!, 'MSA', 3)).toBe('Unreadable: MSH is too long');
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(idsAt(receiver)).toEqual(['M2']);
  }));

test('a frame without end: AR when it is over the cap, then the connection is closed; no server sees an end', () =>
  withOneServer({ hl7: { maxFrame: MIB } }, async (sender, receiver, hl7) => {
    await sender.send(short('M1'));
    await sender.connection.write(mllpFrame(long('ENDLESS')).subarray(0, 600_000));
    let isOver = false;
    void sender.ending.then(() => {
      isOver = true;
    });
    while (!isOver) await sender.connection.write(Buffer.alloc(65_536, 'x'));
    expect(await nextAnswer(sender)).toBe('AR ENDLESS');
    expect(await sender.read()).toBeUndefined();
    const event = await hl7.messages.find(({ controlId }) => controlId === 'ENDLESS');
    expect(event).toMatchObject({ outcome: 'rejected', acknowledgement: 'AR', detail: 'it is too long' });
    const other = await connectSender(hl7.address);
    await other.write(short('M2'));
    expect(await nextAnswer(other)).toBe('AA M2');
    expect(idsAt(receiver)).toEqual(['M1', 'M2']);
  }));

test.each([
  ['sends FIN', (sender: MllpSender) => sender.end()],
  ['resets the connection', (sender: MllpSender) => sender.connection.reset()],
])('a sender that %s inside a long message: no server sees an end', (_, leave) =>
  withOneServer({}, async (sender, receiver, hl7) => {
    await sender.connection.write(mllpFrame(long('HALF')).subarray(0, MIB));
    const [connection] = await receiver.connections.count(1);
    await until(() => connection!.connection.bytesReceived > 300_000);
    leave(sender);
    const event = await hl7.messages.find(({ controlId }) => controlId === 'HALF');
    expect(event).toMatchObject({ outcome: 'unavailable', detail: 'its sender left' });
    const other = await connectSender(hl7.address);
    await other.write(short('M2'));
    expect(await nextAnswer(other)).toBe('AA M2');
    expect(idsAt(receiver)).toEqual(['M2']);
  }),
);

test('a sender that begins anew inside a long message: the broken one is dropped, the new one is delivered', () =>
  withOneServer({}, async (sender, receiver, hl7) => {
    const half = mllpFrame(long('HALF')).subarray(0, MIB);
    void sender.connection.write(Buffer.concat([half, mllpFrame(short('M2'))]));
    expect(await nextAnswer(sender)).toBe('AA M2');
    expect(idsAt(receiver)).toEqual(['M2']);
    const event = await hl7.messages.find(({ controlId }) => controlId === 'HALF');
    expect(event).toMatchObject({ outcome: 'unavailable', detail: 'its sender began anew' });
  }));

test('a sender that begins anew inside a long message whose turn has not come: it is dropped unsent', async () => {
  const gate = createGate();
  const receiver = await receiverFor(async ({ controlId }, connection) => {
    if (controlId === 'M1') await gate.opened;
    await connection.write(Buffer.from(`MSH|^~\\&|R|||||ACK|1|P|2.5\rMSA|AA|${controlId}\r`));
  });
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  await sender.write(short('M1'));
  await receiver.messages.count(1);
  const half = mllpFrame(long('HALF')).subarray(0, 300_000);
  void sender.connection.write(
    Buffer.concat([half, mllpFrame(hl7Message({ controlId: 'M2', patient: 'INV9' }))]),
  );
  // Nobody asked for its rest: its sender is heard again when M1 is answered.
  gate.open();
  expect(await nextAnswer(sender)).toBe('AA M1');
  expect(await nextAnswer(sender)).toBe('AA M2');
  expect(idsAt(receiver)).toEqual(['M1', 'M2']);
});

test('the stall time does not run while it is the server that takes nothing', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    hl7: { timeouts: { connect: 2000, stall: 1000, idle: undefined } },
  });
  const sender = await connectSender(hl7.address);
  await sender.send(short('M1'));
  const [connection] = await receiver.connections.count(1);
  connection!.connection.pause();
  void sender.write(long('LONG', 16 * MIB));
  await until(() => [...hl7.frontEnd.connections()][0]!.bytes.toServer > MIB);
  // Two others stop inside their frames, one after the other: by then the time is over twice.
  for (let i = 0; i < 2; i++) {
    const stopping = await connectSender(hl7.address);
    await stopping.connection.write(mllpFrame(short('HALF')).subarray(0, 50));
    expect(await stopping.read()).toBeUndefined();
  }
  connection!.connection.resume();
  expect(await nextAnswer(sender)).toBe('AA LONG');
});

test('a sender that stops inside a long message is sent away after the stall time', async () => {
  const clock = new TestClock();
  await withOneServer({ more: { deadlines: clock } }, async (sender, receiver, hl7) => {
    await sender.connection.write(mllpFrame(long('HALF')).subarray(0, MIB));
    const [connection] = await receiver.connections.count(1);
    await until(() => connection!.connection.bytesReceived === MIB);
    clock.pass(SETTINGS.timeouts.stall);
    expect(await sender.read()).toBeUndefined();
    const event = await hl7.messages.find(({ controlId }) => controlId === 'HALF');
    expect(event).toMatchObject({ outcome: 'unavailable' });
    expect(idsAt(receiver)).toEqual([]);
    await hl7.notices.find(({ message }) => message === 'a sender stopped inside a frame');
  });
});

test('a long message may take longer than the sender timeout, as long as it flows', () => {
  // It is the sender that is slow: its server has all the time it needs.
  const hl7 = { senderTimeout: { default: 200, byApplication: {} }, ackTimeout: 20_000 };
  return withOneServer({ hl7 }, async (sender, receiver) => {
    const message = long('LONG');
    const frame = mllpFrame(message);
    await sender.connection.write(frame.subarray(0, MIB));
    // Time itself is what this is about.
    await new Promise((resolve) => setTimeout(resolve, 800));
    await sender.connection.write(frame.subarray(MIB));
    expect(await nextAnswer(sender)).toBe('AA LONG');
    expect(sha256(receiver.messages.items[0]!.bytes)).toBe(sha256(message));
  });
});

test('a server lost in the middle of a message that the retry buffer holds: the next gets it whole', async () => {
  const one = await receiverFor();
  const two = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [one.address, two.address], balance: 'first' } },
  });
  const sender = await connectSender(hl7.address);
  await sender.send(short('M1'));
  const [connection] = await one.connections.count(1);
  const message = long('LONG', 3 * MIB);
  const frame = mllpFrame(message);
  await sender.connection.write(frame.subarray(0, 2 * MIB));
  // More than its beginning has gone to the first server when that is lost.
  while ([...hl7.frontEnd.connections()][0]!.bytes.toServer < 2 * MIB) await new Promise(setImmediate);
  connection!.connection.reset();
  await one.stop();
  await sender.connection.write(frame.subarray(2 * MIB));
  expect(await nextAnswer(sender)).toBe('AA LONG');
  expect(sha256(two.messages.items[0]!.bytes)).toBe(sha256(message));
  expect(hl7.messages.items.at(-1)).toMatchObject({ outcome: 'delivered', attempts: 2, server: 'main-2' });
});
