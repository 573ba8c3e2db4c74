/** Order: patients, merges, whole VIPs; and that nobody waits for anybody else. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { answeringLate, connectSender, mllpFrame } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { holding } from './holding.ts';
import { startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const ofPatient = (controlId: string, patient: string) => hl7Message({ controlId, patient });
/** ADT^A40: the prior patient is merged into the other. */
const merge = (controlId: string, into: string, prior: string) =>
  hl7Message({ controlId, event: 'A40', patient: into, segments: [`MRG|${prior}^^^HOSP^MR`] });

test('messages of one patient go one after another to one server; when none is left, the next may go elsewhere', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({ pools: { main: { servers: receivers.map(({ address }) => address) } } });
  const [one, two] = [await connectSender(hl7.address), await connectSender(hl7.address)];
  await one.write(ofPatient('M1', 'INV1'));
  await held.count(1);
  await two.write(ofPatient('M2', 'INV1'));
  await one.write(ofPatient('M3', 'INV1'));
  while (hl7.frontEnd.totals.messages! < 3) await new Promise(setImmediate);
  for (const count of [1, 2, 3]) {
    const all = await held.count(count);
    expect(all).toHaveLength(count);
    const { received, connection } = all.at(-1)!;
    await connection.write(acknowledgementOf(received.bytes));
  }
  expect(fieldOf((await two.read())!, 'MSA', 2)).toBe('M2');
  for (const id of ['M1', 'M3']) expect(fieldOf((await one.read())!, 'MSA', 2)).toBe(id);
  expect(new Set(held.items.map(({ server }) => server)).size).toBe(1);
  await one.write(ofPatient('M4', 'INV1'));
  const all = await held.count(4);
  expect(all[3]!.server).not.toBe(all[0]!.server);
});

test('A40 is a barrier: the merge waits for both patients, and both wait for it', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({ pools: { main: { servers: receivers.map(({ address }) => address) } } });
  const sender = await connectSender(hl7.address);
  const messages = [
    ofPatient('OLD1', 'OLD'),
    ofPatient('NEW1', 'NEW'),
    merge('MERGE', 'NEW', 'OLD'),
    ofPatient('OLD2', 'OLD'),
    ofPatient('NEW2', 'NEW'),
    ofPatient('OTHER', 'OTHER'),
  ];
  await sender.connection.write(Buffer.concat(messages.map((one) => mllpFrame(one))));
  const arrived = () => held.items.map(({ received }) => received.controlId);
  const answer = (controlId: string) => {
    const { received, connection } = held.items.find((one) => one.received.controlId === controlId)!;
    return connection.write(acknowledgementOf(received.bytes));
  };
  await held.count(3);
  expect(arrived().sort()).toEqual(['NEW1', 'OLD1', 'OTHER']);
  await answer('NEW1');
  await hl7.messages.find(({ controlId }) => controlId === 'NEW1');
  expect(arrived()).toHaveLength(3);
  await answer('OLD1');
  await held.count(4);
  expect(arrived()[3]).toBe('MERGE');
  await answer('OTHER');
  await hl7.messages.find(({ controlId }) => controlId === 'OTHER');
  expect(arrived()).toHaveLength(4);
  await answer('MERGE');
  await held.count(6);
  expect(arrived().slice(4).sort()).toEqual(['NEW2', 'OLD2']);
  await answer('NEW2');
  await answer('OLD2');
  const ids = [];
  for (const _ of messages) ids.push(fieldOf((await sender.read())!, 'MSA', 2));
  expect(ids).toEqual(['OLD1', 'NEW1', 'MERGE', 'OLD2', 'NEW2', 'OTHER']);
});

test('a batch is a barrier over the whole VIP', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7({ pools: { main: { servers: receivers.map(({ address }) => address) } } });
  const sender = await connectSender(hl7.address);
  const batch = Buffer.from(
    `BHS|^~\\&|A|B|C|D|20260101||||BATCH\r${ofPatient('IN', 'INV3').toString()}BTS|1\r`,
  );
  for (const one of [ofPatient('M1', 'INV1'), batch, ofPatient('M2', 'INV2')]) await sender.write(one);
  await held.count(1);
  for (const count of [1, 2, 3]) {
    const all = await held.count(count);
    expect(all).toHaveLength(count);
    const { received, connection } = all.at(-1)!;
    await connection.write(acknowledgementOf(received.bytes, 'AA', received.controlId || 'BATCH'));
    await hl7.messages.count(count);
  }
});

test('order none: messages of one patient go at the same time; order sender: those of one application do not', async () => {
  const { held, receivers } = await holding(1);
  const pools = { main: { servers: receivers.map(({ address }) => address) } };
  await using none = await startHl7({ pools, hl7: { order: 'none' } });
  const first = await connectSender(none.address);
  for (const id of ['M1', 'M2', 'M3']) await first.write(ofPatient(id, 'INV1'));
  await held.count(3);
  await using sender = await startHl7({ pools, hl7: { order: 'sender' } });
  const second = await connectSender(sender.address);
  for (const id of ['M4', 'M5']) await second.write(ofPatient(id, `INV-${id}`));
  await second.write(hl7Message({ controlId: 'M6', sendingApp: 'ANOTHER' }));
  await held.find(({ received }) => received.controlId === 'M6');
  expect(held.items.map(({ received }) => received.controlId)).not.toContain('M5');
});

test('head of line: a slow patient and a slow server hold up nobody else', async () => {
  const gate = createGate();
  const slow = await receiverFor(answeringLate(gate));
  const quick = await receiverFor(({ bytes, controlId }, connection) =>
    controlId === 'SLOW' ? undefined : connection.write(acknowledgementOf(bytes)),
  );
  await using hl7 = await startHl7({
    pools: { main: { servers: [quick.address], connections: 2 }, slow: { servers: [slow.address] } },
    rules: (pools) => [{ when: { facts: [{ name: 'type', patterns: ['ORM'] }] }, pool: pools.slow! }],
  });
  // Twenty messages for the slow server, two for the slow patient; then two hundred of others, one after another.
  const [orders, patient, sender] = await Promise.all([0, 1, 2].map(() => connectSender(hl7.address)));
  for (let n = 1; n <= 20; n++) {
    await orders!.write(hl7Message({ controlId: `O${n}`, type: 'ORM', patient: `INV-O${n}` }));
  }
  await slow.messages.count(8);
  await patient!.write(ofPatient('SLOW', 'INV-SLOW'));
  await quick.messages.count(1);
  await patient!.write(ofPatient('SLOW-2', 'INV-SLOW'));
  for (let n = 1; n <= 200; n++) {
    expect(fieldOf((await sender!.send(ofPatient(`M${n}`, `INV${n}`)))!, 'MSA', 2)).toBe(`M${n}`);
  }
  expect(hl7.messages.length).toBe(200);
  gate.open();
  for (let n = 1; n <= 20; n++) expect(fieldOf((await orders!.read())!, 'MSA', 2)).toBe(`O${n}`);
});

/** What the property test sends: patients p0 to p5, merges of two of them, now and then a barrier over everything. */
const script = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.nat(5).map((patient) => [patient]) },
    { weight: 2, arbitrary: fc.tuple(fc.nat(5), fc.nat(5)).filter(([a, b]) => a !== b) },
    { weight: 1, arbitrary: fc.constant([] as number[]) },
  ),
  { minLength: 1, maxLength: 60 },
);

test('property: over two receivers, related messages never meet and never overtake, whatever the receivers do', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address), connections: 3 } },
  });
  const names = (patients: readonly number[]) => patients.map((patient) => `INV${patient}`);
  const related = (a: readonly number[], b: readonly number[]) =>
    a.length === 0 || b.length === 0 || a.some((patient) => b.includes(patient));
  let run = 0;
  await fc.assert(
    fc.asyncProperty(script, fc.infiniteStream(fc.nat()), async (steps, choices) => {
      run++;
      held.clear();
      const senders = await Promise.all([0, 1, 2].map(() => connectSender(hl7.address)));
      const sent = steps.map((patients, index) => {
        const controlId = `R${run}-${index}`;
        const [first, second] = names(patients);
        const bytes =
          first === undefined
            ? hl7Message({ controlId, patient: null, segments: ['MRG|'] })
            : second === undefined
              ? ofPatient(controlId, first)
              : merge(controlId, first, second);
        return { controlId, patients, bytes, sender: choices.next().value % 3, answered: false };
      });
      for (const { sender, bytes } of sent) void senders[sender]!.write(bytes);
      const inFlight = new Set<(typeof sent)[number]>();
      let seen = 0;
      let answered = 0;
      while (answered < sent.length) {
        await held.count(answered + 1);
        for (; seen < held.length; seen++) {
          const one = sent.find(({ controlId }) => controlId === held.items[seen]!.received.controlId)!;
          for (const other of inFlight) expect(related(one.patients, other.patients)).toBe(false);
          for (const before of sent.slice(0, sent.indexOf(one))) {
            if (before.sender === one.sender && related(before.patients, one.patients)) {
              expect(before.answered).toBe(true);
            }
          }
          inFlight.add(one);
        }
        const chosen = [...inFlight][choices.next().value % inFlight.size]!;
        inFlight.delete(chosen);
        chosen.answered = true;
        answered++;
        const { received, connection } = held.items.find(
          (one) => one.received.controlId === chosen.controlId,
        )!;
        void connection.write(acknowledgementOf(received.bytes));
      }
      for (const [index, sender] of senders.entries()) {
        for (const one of sent.filter((message) => message.sender === index)) {
          expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(one.controlId);
        }
        sender.end();
      }
    }),
    { numRuns: 60 },
  );
});
