/** Servers that are lost with a message in hand: before its last byte, or when it may have arrived. */
import { expect, test } from 'vitest';
import { fieldOf, hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';
import {
  answering,
  closing,
  connectSender,
  mllpFrame,
  type Receiver,
  resetting,
  silent,
} from '../../peers/mllp-peer.ts';
import { patience, type Sketch, startHl7 } from './start-front-end.ts';
import { nobody, receiverFor } from './start-receivers.ts';

const message = (controlId: string, options: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId, ...options });
const over = (...servers: Receiver[]): Sketch => ({
  pools: { main: { servers: servers.map(({ address }) => address), balance: 'first' } },
});
const idsOf = (receiver: Receiver) => receiver.messages.items.map(({ controlId }) => controlId);

test('the same message timing out again and again counts once against its server', async () => {
  const receiver = await receiverFor(silent());
  await using hl7 = await startHl7({ ...over(receiver), hl7: { ackTimeout: 50 } });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  await receiver.messages.count(3);
  expect(hl7.pools.main!.servers[0]!.totals.failures).toBe(1);
});

test.each([
  ['resets', resetting()],
  ['closes', closing()],
] as const)(
  'onAmbiguous hold: a server that %s with the message gets it again, and no other does',
  async (_, script) => {
    const [one, two] = [await receiverFor(), await receiverFor()];
    one.script = async (received, connection) => {
      one.script = answering();
      await script(received, connection);
    };
    await using hl7 = await startHl7(over(one, two));
    const sender = await connectSender(hl7.address);
    expect(fieldOf((await sender.send(message('M1')))!, 'MSA', 2)).toBe('M1');
    expect(idsOf(one)).toEqual(['M1', 'M1']);
    expect(two.messages.length).toBe(0);
    expect(hl7.messages.items[0]).toMatchObject({ outcome: 'maybe twice', attempts: 2, server: 'main-1' });
  },
);

test('onAmbiguous hold: waits for the server to come back, and the patient behind it waits too', async () => {
  const [one, two] = [await receiverFor(silent()), await receiverFor()];
  await using hl7 = await startHl7(over(one, two));
  const [first, second] = [await connectSender(hl7.address), await connectSender(hl7.address)];
  await first.write(message('M1'));
  await one.messages.count(1);
  await one.stop();
  await second.write(message('M2'));
  // Another patient goes on meanwhile.
  const third = await connectSender(hl7.address);
  expect(fieldOf((await third.send(message('M3', { patient: 'OTHER' })))!, 'MSA', 2)).toBe('M3');
  expect(idsOf(two)).toEqual(['M3']);
  one.script = answering();
  await one.restart();
  expect(fieldOf((await first.read())!, 'MSA', 2)).toBe('M1');
  expect(fieldOf((await second.read())!, 'MSA', 2)).toBe('M2');
  expect(idsOf(one)).toEqual(['M1', 'M1', 'M2']);
  const event = await hl7.messages.find(({ controlId }) => controlId === 'M1');
  expect(event).toMatchObject({ outcome: 'maybe twice', attempts: 2 });
});

test('onAmbiguous hold: given up when the server does not come back in time', async () => {
  const [one, two] = [await receiverFor(silent()), await receiverFor()];
  await using hl7 = await startHl7({ ...over(one, two), hl7: { senderTimeout: patience(1000) } });
  const sender = await connectSender(hl7.address);
  await sender.write(message('M1'));
  await one.messages.count(1);
  await one.stop();
  expect(await sender.read()).toBeUndefined();
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'failed', attempts: 1 });
  expect(two.messages.length).toBe(0);
});

test('onAmbiguous any, of a rule: another server gets the message', async () => {
  const [one, two] = [await receiverFor(resetting()), await receiverFor()];
  await using hl7 = await startHl7({
    ...over(one, two),
    rules: () => [{ when: { facts: [{ name: 'event', patterns: ['A08'] }] } }],
    more: { onAmbiguousByRule: { 'routes[1]': 'any' } },
  });
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(message('M1', { event: 'A08' })))!, 'MSA', 2)).toBe('M1');
  expect(idsOf(one)).toEqual(['M1']);
  expect(idsOf(two)).toEqual(['M1']);
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'maybe twice', attempts: 2, server: 'main-2' });
});

test('onAmbiguous any: passes over a server that refuses', async () => {
  const [one, three] = [await receiverFor(resetting()), await receiverFor()];
  await using hl7 = await startHl7({
    pools: { main: { servers: [one.address, await nobody(), three.address], balance: 'first' } },
    hl7: { onAmbiguous: 'any' },
  });
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(message('M1')))!, 'MSA', 2)).toBe('M1');
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'maybe twice', attempts: 3, server: 'main-3' });
});

test('onAmbiguous any: another server gets the message when the first stays silent', async () => {
  const [one, two] = [await receiverFor(silent()), await receiverFor()];
  await using hl7 = await startHl7({
    ...over(one, two),
    hl7: { onAmbiguous: 'any', senderTimeout: patience(4000) },
  });
  const sender = await connectSender(hl7.address);
  expect(fieldOf((await sender.send(message('M1')))!, 'MSA', 2)).toBe('M1');
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'maybe twice', attempts: 2, server: 'main-2' });
});

test('onAmbiguous fail: the connection of the sender is closed unacknowledged, whatever whenUnavailable says', async () => {
  const [one, two] = [await receiverFor(resetting()), await receiverFor()];
  await using hl7 = await startHl7({
    ...over(one, two),
    hl7: { onAmbiguous: 'fail', whenUnavailable: 'AE' },
  });
  const sender = await connectSender(hl7.address);
  expect(await sender.send(message('M1'))).toBeUndefined();
  expect(one.messages.length + two.messages.length).toBe(1);
  expect(hl7.messages.items[0]).toMatchObject({ outcome: 'failed', attempts: 1 });
});

test('a server lost in the middle of a long message: its sender, who has it still, sends it again', async () => {
  const two = await receiverFor();
  const one = await receiverFor();
  await using hl7 = await startHl7(over(one, two));
  const sender = await connectSender(hl7.address);
  await sender.send(message('M1'));
  const [connection] = await one.connections.count(1);
  const long = message('M2', { length: 16 * 1024 * 1024 });
  const frame = mllpFrame(long);
  const half = frame.length >> 1;
  await sender.connection.write(frame.subarray(0, half));
  while ([...hl7.frontEnd.connections()][0]!.bytes.toServer < half) await new Promise(setImmediate);
  connection!.connection.reset();
  void sender.connection.write(frame.subarray(half)).catch(() => {});
  expect(await sender.read()).toBeUndefined();
  expect(hl7.messages.items[1]).toMatchObject({ outcome: 'unavailable', controlId: 'M2' });
  expect(two.messages.length).toBe(0);
  const again = await connectSender(hl7.address);
  expect(fieldOf((await again.send(long))!, 'MSA', 2)).toBe('M2');
  expect([...one.messages.items, ...two.messages.items].at(-1)!.bytes.equals(long)).toBe(true);
});
