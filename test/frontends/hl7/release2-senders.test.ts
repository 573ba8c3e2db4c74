/** MLLP release 2 towards senders: what is answered, taken or not is acknowledged by a block of its own, in order. */
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { answering, connectSender, type MllpSender, mllpFrame } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { type Sketch, startHl7 } from './start-front-end.ts';
import { nobody, receiverFor } from './start-receivers.ts';

const message = (controlId: string) => hl7Message({ controlId });
/** NE/NE: no answer is wanted. */
const unanswered = (controlId: string, patient = 'INV1') =>
  hl7Message({ controlId, patient, acceptAcknowledgement: 'NE', applicationAcknowledgement: 'NE' });
const COMMITTED = mllpFrame(Buffer.of(0x06));
const NOT_COMMITTED = mllpFrame(Buffer.of(0x15));

/** The next block: `06`, `15`, the answer as `code controlId`, or `end`. */
async function nextBlock(sender: MllpSender): Promise<string> {
  const content = await sender.read('a block');
  if (!content) return 'end';
  return content.length === 1
    ? content.toString('hex')
    : `${fieldOf(content, 'MSA', 1)} ${fieldOf(content, 'MSA', 2)}`;
}

async function blocks(sender: MllpSender, count: number): Promise<string[]> {
  const all: string[] = [];
  while (all.length < count) all.push(await nextBlock(sender));
  return all;
}

async function startRelease2(sketch: Sketch) {
  return startHl7({ ...sketch, hl7: { release2: true, ...sketch.hl7 } });
}

async function withServer() {
  const receiver = await receiverFor();
  const hl7 = await startRelease2({ pools: { main: { servers: [receiver.address] } } });
  return { receiver, hl7, sender: await connectSender(hl7.address) };
}

test('06 goes before the answer of each message, in the order in which they came', async () => {
  const { hl7, sender } = await withServer();
  await using _ = hl7;
  void sender.connection.write(Buffer.concat(['M1', 'M2', 'M3'].map((id) => mllpFrame(message(id)))));
  expect(await blocks(sender, 6)).toEqual(['06', 'AA M1', '06', 'AA M2', '06', 'AA M3']);
});

test('06 alone when no answer is wanted and the server has the message, behind the answers before it', async () => {
  const gate = createGate();
  const { receiver, hl7, sender } = await withServer();
  await using _ = hl7;
  receiver.script = async ({ bytes, controlId }, connection) => {
    if (controlId === 'M1') await gate.opened;
    if (controlId !== 'M2') await connection.write(acknowledgementOf(bytes));
  };
  void sender.connection.write(
    Buffer.concat([message('M1'), unanswered('M2', 'INV2'), message('M3')].map(mllpFrame)),
  );
  await hl7.messages.find(({ controlId, outcome }) => controlId === 'M2' && outcome === 'unconfirmed');
  gate.open();
  expect(await blocks(sender, 5)).toEqual(['06', 'AA M1', '06', '06', 'AA M3']);
});

test('a message that is answered by us is committed too: the answer says what was made of it', async () => {
  const { hl7, sender } = await withServer();
  await using _ = hl7;
  await sender.write(Buffer.from('PID|1||INV1\r'));
  expect(await blocks(sender, 2)).toEqual(['06', 'AR ']);
});

test('15 alone when no answer is wanted and no rule takes the message; the connection lives on', async () => {
  await using hl7 = await startRelease2({ pools: {} });
  const sender = await connectSender(hl7.address);
  await sender.write(unanswered('M1'));
  await sender.write(message('M2'));
  expect(await blocks(sender, 3)).toEqual(['15', '06', 'AR M2']);
});

test('15, then the end, where the connection is closed without an answer', async () => {
  await using hl7 = await startRelease2({ pools: { main: { servers: [await nobody()] } } });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  expect(await blocks(sender, 2)).toEqual(['15', 'end']);
});

test('15 comes behind the answers before it, and is the last that is said', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answering('AA', gate.opened));
  await using hl7 = await startRelease2({
    pools: { main: { servers: [receiver.address] }, away: { servers: [await nobody()] } },
    rules: ({ away }) => [{ when: { facts: [{ name: 'event', patterns: ['A08'] }] }, pool: away! }],
  });
  const sender = await connectSender(hl7.address);
  const lost = hl7Message({ controlId: 'M2', event: 'A08', patient: 'INV2' });
  void sender.connection.write(Buffer.concat([message('M1'), lost, message('M3')].map(mllpFrame)));
  await hl7.messages.find(({ controlId }) => controlId === 'M2');
  gate.open();
  expect(await blocks(sender, 4)).toEqual(['06', 'AA M1', '15', 'end']);
});

test("the sender's own 06 and 15 for our answers are consumed; a 15 is said", async () => {
  const { receiver, hl7, sender } = await withServer();
  await using _ = hl7;
  await sender.write(message('M1'));
  expect(await blocks(sender, 2)).toEqual(['06', 'AA M1']);
  await sender.connection.write(Buffer.concat([COMMITTED, mllpFrame(message('M2'))]));
  expect(await blocks(sender, 2)).toEqual(['06', 'AA M2']);
  await sender.connection.write(Buffer.concat([NOT_COMMITTED, mllpFrame(message('M3'))]));
  expect(await blocks(sender, 2)).toEqual(['06', 'AA M3']);
  expect(receiver.messages.length).toBe(3);
  await hl7.notices.find(({ message }) => message === 'a sender did not take an acknowledgement');
});

test('nothing is said about a message that its sender broke off, whether its server waited for more or not', async () => {
  const { receiver, hl7, sender } = await withServer();
  await using _ = hl7;
  const half = mllpFrame(hl7Message({ controlId: 'HALF', length: 1_000_000 })).subarray(0, 500_000);
  void sender.connection.write(Buffer.concat([half, mllpFrame(message('M2'))]));
  expect(await blocks(sender, 2)).toEqual(['06', 'AA M2']);
  await sender.connection.write(half);
  const isTaken = () =>
    receiver.connections.items.some(
      ({ connection: { socket, bytesReceived } }) => !socket.destroyed && bytesReceived >= half.length,
    );
  while (!isTaken()) await new Promise(setImmediate);
  await sender.write(message('M3'));
  expect(await blocks(sender, 2)).toEqual(['06', 'AA M3']);
});

test('a long message: 06 and its answer', async () => {
  const { hl7, sender } = await withServer();
  await using _ = hl7;
  void sender.write(hl7Message({ controlId: 'LONG', length: 1_000_000 }));
  expect(await blocks(sender, 2)).toEqual(['06', 'AA LONG']);
});

test('without release 2 a block of one byte is a message that cannot be read', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  await sender.connection.write(COMMITTED);
  expect(await nextBlock(sender)).toBe('AR ');
});
