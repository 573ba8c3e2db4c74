/** What an attempt to deliver a stored message comes to when something else goes wrong. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createDirector } from '../../../src/director/director.ts';
import { Pool } from '../../../src/pools/pool.ts';
import { acknowledgementOf, fieldOf } from '../../peers/hl7-messages.ts';
import { answering, answeringWith, connectSender, silent } from '../../peers/mllp-peer.ts';
import { scratchFolder } from '../../queue/scratch.ts';
import { serversOf, UNCHECKED } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';
import { commit, hasten, queueAt, storing } from './start-storing.ts';

const codeOf = (answer: Buffer | undefined) => fieldOf(answer!, 'MSA', 1);

test('the queue cannot be read for a moment: a long message is not taken for damaged', async () => {
  const receiver = await receiverFor(answering('CA'));
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  const read = queue.read.bind(queue);
  const fails = [true, false, true, true];
  queue.read = (id, number) => (fails.shift() ? Promise.reject(new Error('not now')) : read(id, number));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const message = commit('M1', { length: 1_000_000 });
  expect(codeOf(await sender.send(message))).toBe('CA');
  const [got] = await receiver.messages.count(1);
  expect(got!.bytes.equals(message)).toBe(true);
  await hl7.messages.find(({ outcome }) => outcome === 'delivered');
  expect(await queue.depth()).toMatchObject({ held: 0 });
});

test('a long message whose end is damaged on the disk is quarantined, not sent again and again', async () => {
  const receiver = await receiverFor(answering('CA'));
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  const read = queue.read.bind(queue);
  queue.read = async (id, number) => (number === 2 ? undefined : read(id, number));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('M1', { length: 1_000_000 })))).toBe('CA');
  const { detail, attempts } = await hl7.messages.find(({ outcome }) => outcome === 'quarantined');
  expect([detail, attempts]).toEqual(['its body is damaged on the disk', 1]);
  expect(receiver.messages.length).toBe(0);
});

test('an answer without a code that the standard knows does not say yes', async () => {
  const receiver = await receiverFor(
    answeringWith(({ bytes }) => acknowledgementOf(bytes, receiver.messages.length < 3 ? 'XX' : 'CA')),
  );
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('M1')))).toBe('CA');
  await hl7.messages.find(({ outcome }) => outcome === 'delivered');
  expect(hl7.messages.items).toMatchObject([
    { outcome: 'stored' },
    { outcome: 'held', acknowledgement: 'unknown' },
    { outcome: 'held', acknowledgement: 'unknown' },
    { outcome: 'delivered', acknowledgement: 'CA' },
  ]);
});

test('the server that may have it is taken out of the configuration: another gets it', async () => {
  const [one, two] = [await receiverFor(silent()), await receiverFor(answering('CA'))];
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [one.address], balance: 'first' } },
    hl7: { ackTimeout: 100 },
  });
  const [server] = hl7.pools.main!.servers;
  server!.halt();
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('M1')))).toBe('CA');
  hasten(hl7, 400);
  server!.online();
  await hl7.messages.find(({ outcome }) => outcome === 'held');
  await one.messages.count(3);
  const { now } = hl7.options;
  const [, successor] = serversOf('main', [one.address, two.address]);
  const pool = new Pool({ name: 'main', balance: 'first', servers: [successor!], health: UNCHECKED, now });
  const director = createDirector({ vip: 'RIS', rules: [], pool, now, random: Math.random });
  hl7.frontEnd.reconfigure({ ...hl7.options, pools: [pool], director });
  const done = await hl7.messages.find(({ outcome }) => outcome === 'maybe twice');
  expect(done).toMatchObject({ server: 'main-2', controlId: 'M1' });
});

test('not answered, and no time left to send it again: the next attempt goes to the same server', async () => {
  const [one, two] = [await receiverFor(silent()), await receiverFor(answering('CA'))];
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [one.address, two.address], balance: 'round-robin' } },
    hl7: { ackTimeout: 1000 },
  });
  const { servers } = hl7.pools.main!;
  for (const server of servers) server.halt();
  const sender = await connectSender(hl7.address);
  for (const [id, patient] of [
    ['M1', 'INV0001'],
    ['M2', 'INV0002'],
  ] as const)
    expect(codeOf(await sender.send(commit(id, { patient })))).toBe('CA');
  hasten(hl7, 1500);
  for (const server of servers) server.online();
  await hl7.messages.count(2, ({ outcome }) => outcome === 'held');
  one.script = answering('CA');
  expect(await hl7.messages.find(({ outcome }) => outcome === 'maybe twice')).toMatchObject({
    server: 'main-1',
  });
  expect(two.messages.length).toBe(1);
});

test('a message that may have arrived waits for room on its server, and goes to no other', async () => {
  const [one, two] = [await receiverFor(silent()), await receiverFor(answering('CA'))];
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [{ ...one.address, maxConnections: 1 }, two.address], balance: 'first' } },
    hl7: { ackTimeout: 100 },
  });
  const { servers } = hl7.pools.main!;
  const server = servers[0]!;
  for (const each of servers) each.halt();
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('M1')))).toBe('CA');
  hasten(hl7, 300);
  for (const each of servers) each.online();
  await hl7.messages.find(({ outcome }) => outcome === 'held');
  // Somebody else has the one connection that the server allows.
  while (!server.hasRoom) await new Promise(setImmediate);
  server.acquire(true);
  one.script = answering('CA');
  await hl7.messages.count(2, ({ outcome }) => outcome === 'held');
  server.release(true);
  expect(await hl7.messages.find(({ outcome }) => outcome === 'maybe twice')).toMatchObject({
    server: 'main-1',
  });
  expect(two.messages.length).toBe(0);
});
