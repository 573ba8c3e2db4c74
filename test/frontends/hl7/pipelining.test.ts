/** `pipeline`: several messages on one connection to a server, with real sockets and receivers that misbehave. */
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message, hl7Messages } from '../../peers/hl7-messages.ts';
import { connectSender, mllpFrame, type Receiver, type ReceiverScript } from '../../peers/mllp-peer.ts';
import { randomFrom } from '../../peers/random.ts';
import { holding } from './holding.ts';
import { sendFromMany } from './many-senders.ts';
import { startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const message = (controlId: string) => hl7Message({ controlId, patient: `INV-${controlId}` });

function one(receiver: Receiver, pipeline: number, connections = 1) {
  return { pools: { main: { servers: [receiver.address], connections } }, hl7: { pipeline } };
}

test('as many as allowed are on their way on one connection, and answers in the wrong order come to their messages', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7(one(receivers[0]!, 4));
  const sender = await connectSender(hl7.address);
  for (const each of hl7Messages(6, 6)) await sender.write(each);
  await held.count(4);
  expect(receivers[0]!.connections.length).toBe(1);
  // Each answer makes room for one more.
  for (const controlId of ['M3', 'M4', 'M2', 'M1', 'M6', 'M5']) await held.answer(controlId);
  for (const controlId of ['M1', 'M2', 'M3', 'M4', 'M5', 'M6']) {
    expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(controlId);
  }
  expect(receivers[0]!.messages.items.map(({ controlId }) => controlId)).toEqual([
    'M1',
    'M2',
    'M3',
    'M4',
    'M5',
    'M6',
  ]);
});

test('messages of one patient still go one after another', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7(one(receivers[0]!, 4));
  const sender = await connectSender(hl7.address);
  for (const controlId of ['M1', 'M2', 'M3']) await sender.write(hl7Message({ controlId }));
  await sender.write(message('M4'));
  await held.count(2);
  expect(held.items.map(({ received }) => received.controlId)).toEqual(['M1', 'M4']);
  for (const controlId of ['M1', 'M2', 'M3', 'M4']) await held.answer(controlId);
  for (let i = 0; i < 4; i++) await sender.read();
});

test('connections that lie idle come first', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7(one(receivers[0]!, 2, 2));
  const sender = await connectSender(hl7.address);
  // At once: neither finds a connection.
  await sender.connection.write(Buffer.concat(['M1', 'M2'].map((id) => mllpFrame(message(id)))));
  await held.count(2);
  for (const controlId of ['M1', 'M2']) await held.answer(controlId);
  for (let i = 0; i < 2; i++) await sender.read();
  expect(receivers[0]!.connections.length).toBe(2);
  for (const controlId of ['M3', 'M4', 'M5']) await sender.write(message(controlId));
  await held.count(5);
  expect(receivers[0]!.connections.length).toBe(2);
  const connectionOf = (controlId: string) =>
    held.items.find(({ received }) => received.controlId === controlId)!.received.connection;
  expect(new Set(['M3', 'M4'].map(connectionOf)).size).toBe(2);
  for (const controlId of ['M3', 'M4', 'M5']) await held.answer(controlId);
  for (let i = 0; i < 3; i++) await sender.read();
});

test.each(['reset', 'end'] as const)(
  'a server that ends (%s) with several on their way: each is sent again there, and answered once',
  async (ending) => {
    const { held, receivers } = await holding(1);
    await using hl7 = await startHl7(one(receivers[0]!, 3));
    const sender = await connectSender(hl7.address);
    for (const each of hl7Messages(3, 3)) await sender.write(each);
    await held.count(3);
    held.items[0]!.connection.connection[ending]();
    await held.count(6);
    for (const controlId of ['M3', 'M2', 'M1']) await held.answer(controlId);
    for (const controlId of ['M1', 'M2', 'M3']) {
      expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(controlId);
    }
    await hl7.messages.count(3);
    expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(Array(3).fill('maybe twice'));
  },
);

test('a message that needs a connection of its own gets one while others come and come', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7({
    ...one(receivers[0]!, 4),
    hl7: { pipeline: 4, order: 'none' },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  await held.count(1);
  const batch = Buffer.concat([
    Buffer.from('BHS|^~\\&|TESTAPP|TESTFAC|RIS|HOSPITAL|20260101120000||||B1\r'),
    message('IN-BATCH'),
    Buffer.from('BTS|1\r'),
  ]);
  await sender.write(batch);
  for (const controlId of ['M2', 'M3']) await sender.write(message(controlId));
  await held.answer('M1');
  await held.count(2);
  const [, inBatch] = held.items;
  expect(inBatch!.received.bytes.equals(batch)).toBe(true);
  expect(held.length).toBe(2);
  await inBatch!.connection.write(acknowledgementOf(message('B1')));
  for (const controlId of ['M2', 'M3']) await held.answer(controlId);
  for (const controlId of ['M1', 'B1', 'M2', 'M3']) {
    expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(controlId);
  }
});

/** Mostly answers, in an order of its own; else late, twice, wrongly, with CA only, with garbage, or never. */
function unreliable(random: () => number): ReceiverScript {
  return ({ bytes, controlId }, connection) => {
    const dice = random();
    const answer = (id = controlId, code = 'AA') => void connection.write(acknowledgementOf(bytes, code, id));
    if (dice < 0.004) setTimeout(answer, SENDER_TIMEOUT * (0.8 + random()));
    else if (dice < 0.008) answer(`${controlId}9`);
    else if (dice < 0.012) connection.connection.reset();
    else if (dice < 0.016) connection.connection.end();
    else if (dice < 0.018) void connection.connection.write(mllpFrame(Buffer.of(0x06)));
    else if (dice < 0.02) return;
    else if (dice < 0.03) answer(controlId, 'CA');
    else if (dice < 0.5) setImmediate(answer);
    else answer();
    if (dice > 0.97) answer();
  };
}

const SENDER_TIMEOUT = 400;
const MESSAGES = 3000;

test.each(['hold', 'any', 'fail'] as const)(
  'receivers that answer twice, late, in the wrong order, with CA only, with garbage, or never (onAmbiguous %s): 0 answers come to the wrong message',
  async (onAmbiguous) => {
    const random = randomFrom(11);
    const receivers = [await receiverFor(unreliable(random)), await receiverFor(unreliable(random))];
    await using hl7 = await startHl7({
      pools: { main: { servers: receivers.map(({ address }) => address), connections: 2 } },
      hl7: { onAmbiguous, pipeline: 4, senderTimeout: { default: SENDER_TIMEOUT, byApplication: {} } },
    });
    const { answered, refused, wrong } = await sendFromMany(hl7.address, 24, MESSAGES);
    expect(wrong).toEqual([]);
    expect(answered + refused).toBe(MESSAGES);
    expect(answered).toBeGreaterThan(MESSAGES * 0.8);
    await hl7.messages.count(MESSAGES);
    for (const { load, active } of hl7.pools.main!.servers) {
      expect([load.operations, load.bytesInFlight]).toEqual([0, 0]);
      expect(active).toBeLessThanOrEqual(2);
    }
    await hl7.frontEnd.close();
    expect(hl7.pools.main!.servers.map(({ active }) => active)).toEqual([0, 0]);
  },
);

const COMMIT = { committed: 0x06, 'not committed': 0x15 } as const;

/** Speaks release 2, and counts the commit acknowledgements that it gets for its answers. */
function committing(words: (controlId: string) => keyof typeof COMMIT, answers = true): ReceiverScript {
  return async ({ bytes, controlId }, connection) => {
    if (bytes.length === 1) return;
    const word = words(controlId);
    await connection.connection.write(mllpFrame(Buffer.of(COMMIT[word])));
    if (answers && word === 'committed') await connection.write(acknowledgementOf(bytes));
  };
}

const RELEASE2 = { more: { release2Pools: new Set(['main']) } };

test('release 2: committed and answered, and the answer is committed', async () => {
  const receiver = await receiverFor(committing(() => 'committed'));
  await using hl7 = await startHl7({ ...one(receiver, 1), ...RELEASE2 });
  const sender = await connectSender(hl7.address);
  for (const controlId of ['M1', 'M2']) {
    expect(fieldOf((await sender.send(message(controlId)))!, 'MSA', 2)).toBe(controlId);
  }
  await receiver.messages.count(2, ({ bytes }) => bytes.length === 1 && bytes[0] === 0x06);
  expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(['delivered', 'delivered']);
});

test('release 2: what one server could not commit goes to another', async () => {
  const full = await receiverFor(committing(() => 'not committed'));
  const other = await receiverFor(committing(() => 'committed'));
  await using hl7 = await startHl7({
    pools: { main: { servers: [full.address, other.address], balance: 'first' } },
    ...RELEASE2,
  });
  const sender = await connectSender(hl7.address);
  for (const controlId of ['M1', 'M2']) {
    expect(fieldOf((await sender.send(message(controlId)))!, 'MSA', 2)).toBe(controlId);
  }
  expect(full.connections.length).toBe(1);
  expect(hl7.messages.items).toMatchObject([
    { outcome: 'delivered', attempts: 2, server: 'main-2' },
    { outcome: 'delivered', attempts: 2, server: 'main-2' },
  ]);
});

test('release 2: a message that was committed goes nowhere else, though its answer is lost', async () => {
  const first = await receiverFor(committing(() => 'committed', false));
  const second = await receiverFor();
  await using hl7 = await startHl7({
    pools: { main: { servers: [first.address, second.address], balance: 'first' } },
    hl7: { onAmbiguous: 'any' },
    ...RELEASE2,
  });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  const [connection] = await first.connections.count(1);
  await first.messages.count(1);
  await new Promise(setImmediate);
  connection!.connection.end();
  expect(await sender.read()).toBeUndefined();
  expect(first.messages.length).toBe(1);
  expect(second.messages.length).toBe(0);
  expect(hl7.messages.items).toMatchObject([{ outcome: 'unconfirmed', attempts: 1 }]);
});
