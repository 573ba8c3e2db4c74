/** Long messages on their way to servers: back-pressure, their share of the connections, servers that are lost. */
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender, type MllpSender, mllpFrame, type Receiver } from '../../peers/mllp-peer.ts';
import { startHl7, type TestFrontEnd } from './start-front-end.ts';
import { nobody, receiverFor } from './start-receivers.ts';

/** More than all buffers between a sender and a receiver hold. */
const LENGTH = 32 * 1024 * 1024;

const message = (controlId: string, length = 0) =>
  hl7Message({ controlId, patient: `INV-${controlId}`, length });
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function sending(hl7: TestFrontEnd, bytes: Buffer): Promise<MllpSender> {
  const sender = await connectSender(hl7.address);
  void sender.write(bytes);
  return sender;
}

/** The newest connection, when there are so many: nothing more is read from it. */
async function pausedConnection(receiver: Receiver, count: number) {
  const connection = (await receiver.connections.count(count)).at(-1)!.connection;
  connection.pause();
  return connection;
}

test('half of the connections carry streams; others wait, and hold up no message behind them', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 4 } } });
  const long = ['S1', 'S2', 'S3'].map((controlId) => message(controlId, LENGTH));
  const senders: MllpSender[] = [await sending(hl7, long[0]!)];
  const first = await pausedConnection(receiver, 1);
  senders.push(await sending(hl7, long[1]!));
  const second = await pausedConnection(receiver, 2);
  senders.push(await sending(hl7, long[2]!));
  await expectInHand(hl7, 3);
  const short = await connectSender(hl7.address);
  for (const controlId of ['M1', 'M2', 'M3']) {
    expect(fieldOf((await short.send(message(controlId)))!, 'MSA', 2)).toBe(controlId);
  }
  expect(receiver.connections.length).toBe(3);
  first.resume();
  expect(fieldOf((await senders[0]!.read())!, 'MSA', 2)).toBe('S1');
  expect(fieldOf((await senders[2]!.read())!, 'MSA', 2)).toBe('S3');
  second.resume();
  expect(fieldOf((await senders[1]!.read())!, 'MSA', 2)).toBe('S2');
  const arrived = new Map(receiver.messages.items.map(({ controlId, bytes }) => [controlId, sha256(bytes)]));
  for (const [index, bytes] of long.entries()) expect(arrived.get(`S${index + 1}`)).toBe(sha256(bytes));
  expect(receiver.connections.length).toBe(3);
  const { load } = hl7.pools.main!.servers[0]!;
  expect([load.operations, load.bytesInFlight]).toEqual([0, 0]);
});

test('a server with one connection: a stream, then what came after it', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const long = await sending(hl7, message('S1', LENGTH));
  const connection = await pausedConnection(receiver, 1);
  const short = await sending(hl7, message('M1'));
  const later = await sending(hl7, message('S2', LENGTH));
  await expectInHand(hl7, 3);
  connection.resume();
  const answers = await Promise.all([long, short, later].map((sender) => sender.read()));
  expect(answers.map((answer) => fieldOf(answer!, 'MSA', 2))).toEqual(['S1', 'M1', 'S2']);
  expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['S1', 'M1', 'S2']);
});

test.each(['reset', 'end'] as const)(
  'a server that closes (%s) in the middle of a stream: no half of it is taken for a message, its sender sends it again',
  async (ending) => {
    const [one, two] = [await receiverFor(), await receiverFor()];
    await using hl7 = await startHl7({
      pools: { main: { servers: [one.address, two.address], balance: 'first' } },
    });
    const bytes = message('S1', LENGTH);
    const sender = await sending(hl7, bytes);
    const { connection } = (await one.connections.count(1))[0]!;
    // More than the retry buffer holds: that could still go to another server.
    while (connection.bytesReceived < LENGTH / 4) await new Promise(setImmediate);
    connection.pause();
    connection[ending]();
    expect(await sender.read()).toBeUndefined();
    await one.refuse();
    const again = await sending(hl7, bytes);
    expect(fieldOf((await again.read())!, 'MSA', 2)).toBe('S1');
    expect(one.messages.length).toBe(0);
    expect(two.messages.items.map((each) => sha256(each.bytes))).toEqual([sha256(bytes)]);
    expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(['unavailable', 'delivered']);
  },
);

test('a server that cannot be had: the next gets the whole stream', async () => {
  const two = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [await nobody(), two.address], balance: 'first' } },
  });
  const bytes = message('S1', LENGTH);
  const sender = await sending(hl7, bytes);
  expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe('S1');
  expect(two.messages.items.map((each) => sha256(each.bytes))).toEqual([sha256(bytes)]);
});

test('a server that takes nothing any more is given up after its answer time', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    hl7: { ackTimeout: 300 },
  });
  const sender = await sending(hl7, message('S1', LENGTH));
  await pausedConnection(receiver, 1);
  expect(await sender.read()).toBeUndefined();
  await hl7.messages.count(1);
  expect(hl7.messages.items).toMatchObject([
    { outcome: 'unavailable', detail: 'the server did not take the message in time' },
  ]);
});

test('early answers: a server refuses a message before it is whole; its sender gets that, and goes on', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const sender = await sending(hl7, message('S1', LENGTH));
  const connection = await pausedConnection(receiver, 1);
  const next = await sending(hl7, message('S2', LENGTH));
  await expectInHand(hl7, 2);
  await connection.write(mllpFrame(acknowledgementOf(message('S1'), 'AR')));
  const answer = (await sender.read())!;
  expect([fieldOf(answer, 'MSA', 1), fieldOf(answer, 'MSA', 2)]).toEqual(['AR', 'S1']);
  connection.resume();
  expect(await connection.ending).toBe('reset');
  expect(fieldOf((await next.read())!, 'MSA', 2)).toBe('S2');
  expect(fieldOf((await sender.send(message('M1')))!, 'MSA', 2)).toBe('M1');
  expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['S2', 'M1']);
});

test('a sender that leaves in the middle: the server never reads an end, and its connection is reset', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 1 } } });
  const sender = await sending(hl7, message('S1', LENGTH).subarray(0, LENGTH / 2));
  const connection = await pausedConnection(receiver, 1);
  sender.connection.reset();
  await hl7.messages.count(1);
  connection.resume();
  expect(await connection.ending).toBe('reset');
  expect(hl7.messages.items).toMatchObject([{ outcome: 'unavailable', detail: 'its sender left' }]);
  expect(receiver.messages.length).toBe(0);
  // The server is not to blame.
  expect(hl7.pools.main!.servers[0]!.totals.failures).toBe(0);
  const other = await connectSender(hl7.address);
  expect(fieldOf((await other.send(message('M1')))!, 'MSA', 2)).toBe('M1');
});

test('long messages on connections that take several: each goes alone', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address], connections: 2 } },
    hl7: { pipeline: 4 },
  });
  const senders = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      sending(hl7, message(`M${index}`, index % 2 === 0 ? 1024 * 1024 : 0)),
    ),
  );
  const answers = await Promise.all(senders.map((sender) => sender.read()));
  expect(answers.map((answer) => fieldOf(answer!, 'MSA', 2))).toEqual(senders.map((_, index) => `M${index}`));
});

/** Resolves when that many messages have come and are not decided. */
async function expectInHand(hl7: TestFrontEnd, count: number): Promise<void> {
  const { totals } = hl7.frontEnd;
  expect(totals.messages).toBeLessThanOrEqual(count);
  while (hl7.frontEnd.totals.messages! < count) await new Promise(setImmediate);
}
