/** Bad input, messages: with no patient, many patients, no control id, repeated control ids with other bodies. */
import { describe, expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';
import { answering, connectSender } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { holding } from './holding.ts';
import { type Sketch, startHl7, type TestFrontEnd } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const message = (controlId: string, options: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId, ...options });
const RECOGNISED = { duplicates: { ms: 600_000, entries: 1000 } };

/** Waits until so many messages have come, whosever they are. */
async function inHand({ frontEnd }: TestFrontEnd, count: number): Promise<void> {
  while (frontEnd.totals.messages! < count) await new Promise(setImmediate);
}

/** Receivers that hold every message, and a VIP over both. */
async function heldBack(hl7: Sketch['hl7'] = {}) {
  const { held, receivers } = await holding(2);
  const pools = { main: { servers: receivers.map(({ address }) => address) } };
  const started = await startHl7({ pools, hl7: { ...hl7 } });
  return { held, hl7: started, idsHeld: () => held.items.map(({ received }) => received.controlId) };
}

describe('messages with no patient', () => {
  test.each([
    ['no PID', (id: string, app: string) => message(id, { patient: null, sendingApp: app })],
    ['an empty PID-3', (id: string, app: string) => message(id, { patient: '', sendingApp: app })],
    [
      'a PID-3 that is to be deleted',
      (id: string, app: string) => message(id, { patient: '""', sendingApp: app }),
    ],
  ])(
    '%s: those of one sending application keep their order, on whatever connections; others go on',
    async (_, from) => {
      const { held, hl7: started, idsHeld } = await heldBack();
      await using hl7 = started;
      const [first, second, third] = await Promise.all([1, 2, 3].map(() => connectSender(hl7.address)));
      await first!.write(from('A1', 'APP-A'));
      await held.count(1);
      await second!.write(from('A2', 'APP-A'));
      await inHand(hl7, 2);
      await third!.write(from('B1', 'APP-B'));
      await third!.write(message('P1', { patient: 'INV7', sendingApp: 'APP-A' }));
      await held.count(3);
      expect(idsHeld().sort()).toEqual(['A1', 'B1', 'P1']);
      await held.answer('A1');
      await held.find(({ received }) => received.controlId === 'A2');
      const [one, two] = ['A1', 'A2'].map(
        (id) => held.items.find(({ received }) => received.controlId === id)!,
      );
      expect(two!.server).toBe(one!.server);
      for (const id of ['A2', 'B1', 'P1']) await held.answer(id);
      expect(fieldOf((await second!.read())!, 'MSA', 2)).toBe('A2');
    },
  );
});

describe('messages with many patients', () => {
  const patients = (count: number) =>
    Array.from({ length: count }, (_, index) => `PID|${index + 2}||INV${index + 2}^^^HOSP^MR`);

  test('a barrier over them all: it waits for each of them, and each waits for it', async () => {
    const { held, hl7: started, idsHeld } = await heldBack();
    await using hl7 = started;
    const senders = await Promise.all([1, 2, 3, 4].map(() => connectSender(hl7.address)));
    await senders[0]!.write(message('BEFORE', { patient: 'INV17' }));
    await held.count(1);
    await senders[1]!.write(
      message('MANY', { type: 'ORU', event: 'R01', patient: 'INV1', segments: patients(40) }),
    );
    await inHand(hl7, 2);
    await senders[2]!.write(message('AFTER', { patient: 'INV33' }));
    await inHand(hl7, 3);
    await senders[3]!.write(message('ANOTHER', { patient: 'INV99' }));
    await held.find(({ received }) => received.controlId === 'ANOTHER');
    expect(idsHeld()).toEqual(['BEFORE', 'ANOTHER']);
    await held.answer('BEFORE');
    await held.find(({ received }) => received.controlId === 'MANY');
    await held.answer('ANOTHER');
    expect(idsHeld()).not.toContain('AFTER');
    await held.answer('MANY');
    await held.answer('AFTER');
    expect(fieldOf((await senders[2]!.read())!, 'MSA', 2)).toBe('AFTER');
  });

  test('more than can be kept apart: a barrier over the VIP', async () => {
    const { held, hl7: started, idsHeld } = await heldBack();
    await using hl7 = started;
    const senders = await Promise.all([1, 2, 3].map(() => connectSender(hl7.address)));
    await senders[0]!.write(message('BEFORE', { patient: 'SOMEBODY' }));
    await held.count(1);
    await senders[1]!.write(message('MANY', { type: 'ORU', event: 'R01', segments: patients(1000) }));
    await inHand(hl7, 2);
    await senders[2]!.write(message('AFTER', { patient: 'SOMEBODY-ELSE' }));
    await inHand(hl7, 3);
    expect(idsHeld()).toEqual(['BEFORE']);
    for (const id of ['BEFORE', 'MANY', 'AFTER']) await held.answer(id);
    expect(fieldOf((await senders[2]!.read())!, 'MSA', 2)).toBe('AFTER');
    expect(idsHeld()).toEqual(['BEFORE', 'MANY', 'AFTER']);
  });
});

describe('messages with no control id', () => {
  test('each goes to a server, the same bytes too, and gets its answer by its empty MSA-2', async () => {
    const receiver = await receiverFor();
    await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } }, hl7: RECOGNISED });
    const sender = await connectSender(hl7.address);
    for (const sent of [message(''), message(''), message('', { patient: 'INV2' })]) {
      const answer = await sender.send(sent);
      expect([fieldOf(answer!, 'MSA', 1), fieldOf(answer!, 'MSA', 2)]).toEqual(['AA', '']);
    }
    expect(receiver.messages.length).toBe(3);
    expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(['delivered', 'delivered', 'delivered']);
  });

  test('a server that invents one answers another message', async () => {
    const receiver = await receiverFor(({ bytes }, connection) =>
      connection.write(acknowledgementOf(bytes, 'AA', 'INVENTED')),
    );
    await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
    expect(await (await connectSender(hl7.address)).send(message(''))).toBeUndefined();
    expect(hl7.messages.items[0]).toMatchObject({
      outcome: 'failed',
      detail: 'MSA-2 of the answer is not the MSH-10',
    });
  });
});

describe('repeated control ids with other bodies', () => {
  test('are new messages: each is delivered, and a notice says it', async () => {
    const receiver = await receiverFor();
    await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } }, hl7: RECOGNISED });
    const sender = await connectSender(hl7.address);
    const sent = [message('1'), message('1', { event: 'A08' }), message('1', { patient: 'INV2' })];
    for (const one of sent) expect(fieldOf((await sender.send(one))!, 'MSA', 2)).toBe('1');
    expect(receiver.messages.items.map(({ bytes }) => bytes)).toEqual(sent);
    const notices = await hl7.notices.count(2, ({ message }) =>
      message.startsWith('a control id came again'),
    );
    expect(notices[0]!.fields).toMatchObject({ controlId: '1' });
  });

  test('of one application at the same time, on several connections: each sender gets the answer to its own', async () => {
    const gate = createGate();
    const receiver = await receiverFor(({ bytes }, connection) => {
      // It says whose message it was.
      const answer = acknowledgementOf(bytes, fieldOf(bytes, 'PID', 3).startsWith('GOOD') ? 'AA' : 'AE');
      void gate.opened.then(() => connection.write(answer));
    });
    await using hl7 = await startHl7({
      pools: { main: { servers: [receiver.address], connections: 8 } },
      hl7: RECOGNISED,
    });
    const patients = Array.from({ length: 8 }, (_, index) => `${index % 2 === 0 ? 'GOOD' : 'BAD'}${index}`);
    const senders = await Promise.all(patients.map(() => connectSender(hl7.address)));
    for (const [index, patient] of patients.entries()) await senders[index]!.write(message('1', { patient }));
    await receiver.messages.count(8);
    gate.open();
    const codes = await Promise.all(senders.map(async (sender) => fieldOf((await sender.read())!, 'MSA', 1)));
    expect(codes).toEqual(patients.map((patient) => (patient.startsWith('GOOD') ? 'AA' : 'AE')));
  });

  test('behind one that was accepted: the same bytes again get that answer, others go to a server', async () => {
    const receiver = await receiverFor(answering('AA'));
    await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } }, hl7: RECOGNISED });
    const sender = await connectSender(hl7.address);
    const first = (await sender.send(message('1')))!;
    expect((await sender.send(message('1')))!.equals(first)).toBe(true);
    receiver.script = answering('AE');
    expect(fieldOf((await sender.send(message('1', { event: 'A08' })))!, 'MSA', 1)).toBe('AE');
    expect(receiver.messages.length).toBe(2);
    const outcomes = hl7.messages.items.map(({ outcome }) => outcome);
    expect(outcomes).toEqual(['delivered', 'duplicate', 'delivered']);
  });
});
