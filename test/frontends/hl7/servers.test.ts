/** Servers that are away, refuse, break, stay silent; and what their senders are told. */
import { expect, test } from 'vitest';
import {
  acknowledgementOf,
  fieldOf,
  hl7Message,
  hl7Messages,
  type MessageOptions,
} from '../../peers/hl7-messages.ts';
import {
  answering,
  answeringHalf,
  answeringLate,
  connectSender,
  dribbling,
  mllpFrame,
  type Receiver,
  silent,
} from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { hasty, patience, type Sketch, startHl7 } from './start-front-end.ts';
import { nobody, receiverFor } from './start-receivers.ts';

const message = (controlId: string, options: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId, ...options });
const over = (...servers: Receiver[]): Sketch => ({
  pools: { main: { servers: servers.map(({ address }) => address), balance: 'first' } },
});
const idsOf = (receiver: Receiver) => receiver.messages.items.map(({ controlId }) => controlId);

test('no server: whenUnavailable close closes the connection without an answer', async () => {
  await using hl7 = await startHl7({ pools: { main: { servers: [await nobody()] } } });
  const sender = await connectSender(hl7.address);
  await sender.connection.write(Buffer.concat(hl7Messages(3, 3).map((one) => mllpFrame(one))));
  expect(await sender.read()).toBeUndefined();
  expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(Array(3).fill('unavailable'));
});

test('no server: the pool is empty of servers that are up', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7(over(receiver));
  hl7.pools.main!.servers[0]!.halt();
  const sender = await connectSender(hl7.address);
  expect(await sender.send(message('M1'))).toBeUndefined();
  expect(hl7.messages.items[0]).toMatchObject({
    outcome: 'unavailable',
    detail: 'no server is up',
    attempts: 0,
  });
});

test.each(['AE', 'AR', 'CE', 'CR'] as const)(
  'no server: whenUnavailable nack %s answers with an ERR segment',
  async (code) => {
    await using hl7 = await startHl7({
      pools: { main: { servers: [await nobody()] } },
      hl7: { whenUnavailable: code },
    });
    const sender = await connectSender(hl7.address);
    const answer = await sender.send(message('M1'));
    expect(fieldOf(answer!, 'MSA', 1)).toBe(code);
    expect(fieldOf(answer!, 'MSA', 2)).toBe('M1');
    expect(fieldOf(answer!, 'ERR', 3)).toBe('207^Application internal error^HL70357');
    expect(fieldOf((await sender.send(message('M2')))!, 'MSA', 2)).toBe('M2');
  },
);

test('a message that cannot be delivered: those behind it are dropped unsent, those before it are answered', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answeringLate(gate));
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] }, away: { servers: [await nobody()] } },
    rules: ({ away }) => [{ when: { facts: [{ name: 'type', patterns: ['ORM'] }] }, pool: away! }],
  });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1', { patient: 'INV1' }));
  await receiver.messages.count(1);
  await sender.connection.write(
    Buffer.concat([
      mllpFrame(message('M2', { patient: 'INV2', type: 'ORM' })),
      // Of the first patient: it waits for M1.
      mllpFrame(message('M3', { patient: 'INV1' })),
    ]),
  );
  await hl7.messages.find(({ controlId, outcome }) => controlId === 'M3' && outcome === 'unavailable');
  await sender.write(message('M4', { patient: 'INV4' }));
  gate.open();
  expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe('M1');
  expect(await sender.read()).toBeUndefined();
  expect(idsOf(receiver)).toEqual(['M1']);
});

test('server that refuses: the next gets the message, and the log line says two attempts', async () => {
  const away = await receiverFor();
  const there = await receiverFor();
  await away.stop();
  await using hl7 = await startHl7(over(away, there));
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(message('M1')))!, 'MSA', 1)).toBe('AA');
  expect(hl7.messages.items[0]).toMatchObject({ server: 'main-2', attempts: 2, outcome: 'delivered' });
  expect(hl7.pools.main!.servers[0]!.totals.failures).toBe(1);
});

test('server that accepts TCP and says nothing: given up in time, the connection destroyed, a mark against it', async () => {
  const receiver = await receiverFor(silent());
  await using hl7 = await startHl7({ ...over(receiver), hl7: { senderTimeout: patience(1000) } });
  const sender = await connectSender(hl7.address);
  expect(await sender.send(message('M1'))).toBeUndefined();
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'failed', attempts: 1 });
  expect(hl7.pools.main!.servers[0]!.totals.failures).toBe(1);
  const [connection] = await receiver.connections.count(1);
  expect(await connection!.connection.ending).toBe('reset');
});

test('server that answers by half, or a byte at a time', async () => {
  const half = await receiverFor(answeringHalf());
  await using first = await startHl7({ ...over(half), hl7: { senderTimeout: patience(300) } });
  expect(await (await connectSender(first.address)).send(message('M1'))).toBeUndefined();
  const slow = await receiverFor(dribbling());
  await using second = await startHl7(over(slow));
  expect(fieldOf((await (await connectSender(second.address)).send(message('M1')))!, 'MSA', 2)).toBe('M1');
});

test('client lost: what was not sent is dropped, what is in flight is finished for the record', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answeringLate(gate));
  await using hl7 = await startHl7(over(receiver));
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  await receiver.messages.count(1);
  await sender.write(message('M2'));
  while ([...hl7.frontEnd.connections()][0]!.messages < 2) await new Promise(setImmediate);
  sender.connection.reset();
  const dropped = await hl7.messages.find(({ controlId }) => controlId === 'M2');
  expect(dropped).toMatchObject({ outcome: 'unavailable', detail: 'dropped unsent: its sender was lost' });
  gate.open();
  const finished = await hl7.messages.find(({ controlId }) => controlId === 'M1');
  expect(finished).toMatchObject({ outcome: 'delivered', acknowledgement: 'AA' });
  // The patient is not held up by what was dropped.
  expect(fieldOf((await (await connectSender(hl7.address)).send(message('M3')))!, 'MSA', 2)).toBe('M3');
  expect(idsOf(receiver)).toEqual(['M1', 'M3']);
});

test('time over while waiting for its turn: the sender of the waiting message is told, the first is not', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answeringLate(gate));
  await using hl7 = await startHl7({
    ...over(receiver),
    hl7: { senderTimeout: hasty(200) },
  });
  const [first, second] = [await connectSender(hl7.address), await connectSender(hl7.address)];
  await first.write(message('M1'));
  await receiver.messages.count(1);
  expect(await second.send(message('M2', { sendingApp: 'HASTY' }))).toBeUndefined();
  expect(hl7.messages.items[0]).toMatchObject({ controlId: 'M2', outcome: 'unavailable', attempts: 0 });
  gate.open();
  expect(fieldOf((await first.read())!, 'MSA', 2)).toBe('M1');
  expect(idsOf(receiver)).toEqual(['M1']);
});

test('connections are opened as they are needed, no more than allowed, and kept', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answeringLate(gate));
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address], connections: 3 } } });
  const sender = await connectSender(hl7.address);
  for (const one of hl7Messages(10, 10)) await sender.write(one);
  await receiver.messages.count(3);
  expect(receiver.connections.length).toBe(3);
  gate.open();
  for (let n = 1; n <= 10; n++) expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(`M${n}`);
  expect(receiver.connections.length).toBe(3);
  expect(receiver.open).toBe(3);
});

test('maxConnections of a server is kept, and two VIPs share what there is', async () => {
  const receiver = await receiverFor();
  const server = { ...receiver.address, maxConnections: 2 };
  await using first = await startHl7({ pools: { main: { servers: [server] } } });
  const sender = await connectSender(first.address);
  for (const one of hl7Messages(20, 20)) await sender.write(one);
  for (let n = 1; n <= 20; n++) expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(`M${n}`);
  expect(receiver.connections.length).toBe(2);
  expect(first.pools.main!.servers[0]!.active).toBe(2);
  // Another VIP over the same pool: it gets a slot that lies idle.
  await using second = await startHl7({
    more: { pools: [first.pools.main!], director: first.director },
  });
  const other = await connectSender(second.address);
  expect(fieldOf((await other.send(message('X1')))!, 'MSA', 2)).toBe('X1');
  expect(first.pools.main!.servers[0]!.active).toBe(2);
});

test('two VIPs: one that finds every slot busy gets the next that is free', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answeringLate(gate));
  const server = { ...receiver.address, maxConnections: 1 };
  await using first = await startHl7({ pools: { main: { servers: [server] } } });
  await using second = await startHl7({
    more: { pools: [first.pools.main!], director: first.director },
  });
  const [one, two] = [await connectSender(first.address), await connectSender(second.address)];
  await one.write(message('M1'));
  await receiver.messages.count(1);
  await two.write(message('M2', { patient: 'OTHER' }));
  while ([...second.frontEnd.connections()][0]!.messages < 1) await new Promise(setImmediate);
  gate.open();
  expect(fieldOf((await one.read())!, 'MSA', 2)).toBe('M1');
  expect(fieldOf((await two.read())!, 'MSA', 2)).toBe('M2');
});

test('a server that is drained gets nothing new, and its idle connections are closed', async () => {
  const [one, two] = [await receiverFor(), await receiverFor()];
  await using hl7 = await startHl7(over(one, two));
  const sender = await connectSender(hl7.address);
  await sender.send(message('M1'));
  const [server] = hl7.pools.main!.servers;
  server!.drain();
  expect(server!.state).toBe('drained');
  expect(fieldOf((await sender.send(message('M2')))!, 'MSA', 2)).toBe('M2');
  expect(idsOf(two)).toEqual(['M2']);
  server!.online();
  expect(fieldOf((await sender.send(message('M3')))!, 'MSA', 2)).toBe('M3');
  expect(idsOf(one)).toEqual(['M1', 'M3']);
});

test.each([
  ['AL', 'draining'],
  ['NE', 'drained'],
])('a server is drained when no application owes an answer: MSH-16 %s, %s', async (application, state) => {
  const receiver = await receiverFor(answering('CA'));
  await using hl7 = await startHl7(over(receiver));
  const sender = await connectSender(hl7.address);
  const enhanced = { acceptAcknowledgement: 'AL', applicationAcknowledgement: application };
  expect(fieldOf((await sender.send(message('M1', enhanced)))!, 'MSA', 1)).toBe('CA');
  const [server] = hl7.pools.main!.servers;
  server!.drain();
  expect(server!.state).toBe(state);
});

test('a server that closes each connection behind its answer', async () => {
  const receiver = await receiverFor(async ({ bytes }, { connection }) => {
    connection.socket.end(mllpFrame(acknowledgementOf(bytes)));
  });
  await using hl7 = await startHl7(over(receiver));
  const sender = await connectSender(hl7.address);
  for (const one of hl7Messages(5, 5)) {
    expect(fieldOf((await sender.send(one))!, 'MSA', 1)).toBe('AA');
    await receiver.connections.items.at(-1)!.connection.ending;
  }
  expect(hl7.messages.items.map(({ attempts }) => attempts)).toEqual([1, 1, 1, 1, 1]);
});

test('drain: what is in hand is answered, what comes later is not taken', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answeringLate(gate));
  await using hl7 = await startHl7(over(receiver));
  const [busy, idle] = [await connectSender(hl7.address), await connectSender(hl7.address)];
  await busy.write(message('M1'));
  await receiver.messages.count(1);
  while ([...hl7.frontEnd.connections()].length < 2) await new Promise(setImmediate);
  const drained = hl7.frontEnd.drain();
  expect(await idle.read()).toBeUndefined();
  idle.end();
  await expect(connectSender(hl7.address)).rejects.toThrow();
  gate.open();
  expect(fieldOf((await busy.read())!, 'MSA', 2)).toBe('M1');
  expect(await busy.read()).toBeUndefined();
  busy.end();
  await drained;
  expect(hl7.pools.main!.servers[0]!.active).toBe(0);
});

test('back-pressure: a sender that takes no answers is not read from for ever', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7(over(receiver));
  const sender = await connectSender(hl7.address);
  sender.connection.pause();
  const frames = Buffer.concat(hl7Messages(4000, 200, 'M', 4000).map((one) => mllpFrame(one)));
  const written = sender.connection.write(frames);
  // It goes on when the sender reads.
  await hl7.messages.count(256);
  const view = () => [...hl7.frontEnd.connections()][0]!;
  expect(view().messages).toBeLessThan(4000);
  sender.connection.resume();
  for (let n = 1; n <= 4000; n++) expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(`M${n}`);
  await written;
  expect(view().messages).toBe(4000);
});
