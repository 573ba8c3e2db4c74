/** Store and forward: what is acknowledged is on the disk, and goes from there to servers, in order. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ALIAS_LIMITS, Aliases } from '../../../src/frontends/hl7/aliases.ts';
import type { QueueSettings } from '../../../src/queue/message.ts';
import { openQueue, type Queue } from '../../../src/queue/queue.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { answering, answeringWith, connectSender, silent } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { scratchFolder } from '../../queue/scratch.ts';
import { SETTINGS } from '../../queue/settings.ts';
import { type Sketch, startHl7, type TestFrontEnd } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';
import { hasten } from './start-storing.ts';

const TO_NOBODY = { default: undefined, byApplication: {} };
const STORE = { ackOnStore: undefined, returnTo: TO_NOBODY } as const;
const QUICK = { pause: { first: 20, longest: 100 } };

async function queueAt(file: string, settings: Partial<QueueSettings> = {}): Promise<Queue> {
  const queue = await openQueue({ file, settings: { ...SETTINGS, ...QUICK, ...settings } });
  onTestFinished(() => queue.close());
  return queue;
}

function storing(queue: Queue, sketch: Sketch): Promise<TestFrontEnd> {
  const hl7 = { store: STORE, ...sketch.hl7 };
  return startHl7({ ...sketch, hl7, more: { queue, ...sketch.more } });
}

/** Enhanced mode: CA is wanted, and nothing of the application. */
function commit(controlId: string, patient: string, more: { application?: string; length?: number } = {}) {
  const { application = 'NE', length } = more;
  return hl7Message({
    controlId,
    patient,
    acceptAcknowledgement: 'AL',
    applicationAcknowledgement: application,
    ...(length !== undefined && { length }),
  });
}

const codeOf = (answer: Buffer | undefined) => fieldOf(answer!, 'MSA', 1);

test('the sender gets CA when the message is on the disk; then a server gets it, byte for byte', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answering('CA', gate.opened));
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const message = commit('M1', 'INV0001');
  const answer = await sender.send(message);
  expect([codeOf(answer), fieldOf(answer!, 'MSA', 2)]).toEqual(['CA', 'M1']);
  expect(await queue.depth()).toMatchObject({ messages: 1 });
  await receiver.messages.count(1);
  expect(receiver.messages.items[0]!.bytes.equals(message)).toBe(true);
  gate.open();
  await hl7.messages.count(2);
  expect(hl7.messages.items).toMatchObject([
    { outcome: 'stored', acknowledgement: 'CA', controlId: 'M1', attempts: 0 },
    { outcome: 'delivered', acknowledgement: 'CA', server: 'main-1', attempts: 1 },
  ]);
  await queue.settled();
  expect(await queue.depth()).toMatchObject({ messages: 0, taken: 0 });
});

test('in original mode a message is relayed, unless ackOnStore says AA', async () => {
  const receiver = await receiverFor();
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const answer = await sender.send(hl7Message({ controlId: 'M1' }));
  expect(fieldOf(answer!, 'MSH', 3)).toBe('TESTRECEIVER');
  expect(hl7.messages.items).toMatchObject([{ outcome: 'delivered' }]);
  const store = { ...STORE, ackOnStore: 'AA' as const };
  hl7.frontEnd.reconfigure({ ...hl7.options, hl7: { ...hl7.options.hl7, store } });
  const ours = await sender.send(hl7Message({ controlId: 'M2' }));
  expect([codeOf(ours), fieldOf(ours!, 'MSH', 3)]).toEqual(['AA', 'RIS']);
  await hl7.messages.count(3);
  expect(hl7.messages.items[1]).toMatchObject({ outcome: 'stored', controlId: 'M2' });
});

test('a sender that wants the answer of the application alone is relayed; one that wants none is kept', async () => {
  const receiver = await receiverFor();
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  const answer = await sender.send(
    hl7Message({ controlId: 'M1', acceptAcknowledgement: 'NE', applicationAcknowledgement: 'AL' }),
  );
  expect(codeOf(answer)).toBe('AA');
  await sender.write(
    hl7Message({ controlId: 'M2', acceptAcknowledgement: 'NE', applicationAcknowledgement: 'NE' }),
  );
  await hl7.messages.count(3);
  expect(hl7.messages.items).toMatchObject([
    { controlId: 'M1', outcome: 'delivered' },
    { controlId: 'M2', outcome: 'stored', acknowledgement: undefined },
    { controlId: 'M2', outcome: 'unconfirmed' },
  ]);
});

test('the server is away: senders are acknowledged all the same, and it gets all in order when it is back', async () => {
  const receiver = await receiverFor(answering('CA'));
  await receiver.stop();
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [receiver.address], connections: 2 } },
  });
  const sender = await connectSender(hl7.address);
  const sent: string[] = [];
  for (let n = 0; n < 60; n++) {
    sent.push(`M${n}`);
    expect(codeOf(await sender.send(commit(`M${n}`, `INV${n % 3}`)))).toBe('CA');
  }
  await receiver.restart();
  await receiver.messages.count(60);
  const byPatient = (patient: number) => sent.filter((_, n) => n % 3 === patient);
  for (const patient of [0, 1, 2]) {
    const came = receiver.messages.items.filter(({ bytes }) => bytes.includes(`|INV${patient}^`));
    expect(came.map(({ controlId }) => controlId)).toEqual(byPatient(patient));
  }
  expect(receiver.connections.length).toBeLessThanOrEqual(2);
});

test('refused maxAttempts times: quarantined, and only its patient waits', async () => {
  const receiver = await receiverFor(
    answeringWith(({ bytes, controlId }) => acknowledgementOf(bytes, controlId === 'BAD' ? 'CE' : 'CA')),
  );
  const queue = await queueAt(join(scratchFolder(), 'queue'), { maxAttempts: 3 });
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  for (const [id, patient] of [
    ['BAD', 'INV1'],
    ['BEHIND', 'INV1'],
    ['OTHER', 'INV2'],
  ] as const)
    expect(codeOf(await sender.send(commit(id, patient)))).toBe('CA');
  await hl7.messages.find(({ outcome }) => outcome === 'quarantined');
  expect(hl7.messages.items.filter(({ controlId }) => controlId === 'BAD')).toMatchObject([
    { outcome: 'stored' },
    { outcome: 'held', acknowledgement: 'CE', attempts: 1 },
    { outcome: 'held', acknowledgement: 'CE', attempts: 2 },
    { outcome: 'held', acknowledgement: 'CE', attempts: 3 },
    { outcome: 'quarantined', attempts: 3, detail: 'a server answered CE' },
  ]);
  const ids = () => receiver.messages.items.map(({ controlId }) => controlId);
  expect(ids()).not.toContain('BEHIND');
  const [held] = await queue.list(0, 10);
  expect(held).toMatchObject({ about: { controlId: 'BAD', type: 'ADT' }, attempts: 3, keepsPlace: true });
  expect(JSON.stringify(held)).not.toMatch(/INV1|INVENTED/);
  await queue.drop(held!.id);
  await receiver.messages.find(({ controlId }) => controlId === 'BEHIND');
});

test('relayed messages of a patient wait for those that are stored, and the other way round', async () => {
  const gate = createGate();
  const receiver = await receiverFor(async ({ bytes, controlId }, connection) => {
    if (controlId === 'STORED1' || controlId === 'RELAYED') await gate.opened;
    await connection.write(acknowledgementOf(bytes, controlId === 'RELAYED' ? 'AA' : 'CA'));
  });
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('STORED1', 'INV1')))).toBe('CA');
  await receiver.messages.count(1);
  const other = await connectSender(hl7.address);
  const relayed = other.send(hl7Message({ controlId: 'RELAYED', patient: 'INV1' }));
  // One of another patient is not held up.
  expect(codeOf(await sender.send(hl7Message({ controlId: 'OTHER', patient: 'INV2' })))).toBe('CA');
  expect(codeOf(await sender.send(commit('STORED2', 'INV1')))).toBe('CA');
  expect(receiver.messages.items.map(({ controlId }) => controlId)).toEqual(['STORED1', 'OTHER']);
  gate.open();
  expect(codeOf(await relayed)).toBe('AA');
  await receiver.messages.count(4);
  const its = receiver.messages.items.filter(({ bytes }) => bytes.includes('|INV1^'));
  expect(its.map(({ controlId }) => controlId)).toEqual(['STORED1', 'RELAYED', 'STORED2']);
});

test('a long message is stored as it comes, and read from the disk as the server takes it', async () => {
  const receiver = await receiverFor(answering('CA'));
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  for (const length of [256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024]) {
    const message = commit(`M${length}`, 'INV1', { length });
    expect(codeOf(await sender.send(message))).toBe('CA');
    const got = await receiver.messages.find(({ controlId }) => controlId === `M${length}`);
    expect(got.bytes.equals(message)).toBe(true);
  }
  await hl7.messages.count(6);
  await queue.settled();
  expect(await queue.depth()).toMatchObject({ messages: 0 });
});

test("the application's answer that MSH-16 asks for goes to the return address", async () => {
  const receiver = await receiverFor(async ({ bytes, controlId }, connection) => {
    await connection.write(acknowledgementOf(bytes, 'CA'));
    await connection.write(acknowledgementOf(bytes, controlId === 'M2' ? 'AE' : 'AA'));
  });
  const sendersAddress = await receiverFor(silent());
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  const returnTo = { default: sendersAddress.address, byApplication: {} };
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [receiver.address] } },
    hl7: { store: { ...STORE, returnTo } },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2', 'M3'])
    expect(codeOf(await sender.send(commit(id, 'INV1', { application: 'AL' })))).toBe('CA');
  const answers = await sendersAddress.messages.count(3);
  expect(answers.map(({ bytes }) => `${fieldOf(bytes, 'MSA', 2)} ${codeOf(bytes)}`).sort()).toEqual([
    'M1 AA',
    'M2 AE',
    'M3 AA',
  ]);
});

test('the queue is full: as when no server is up', async () => {
  const receiver = await receiverFor(silent());
  const queue = await queueAt(join(scratchFolder(), 'queue'), { mostMessages: 2 });
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('M1', 'INV1')))).toBe('CA');
  expect(codeOf(await sender.send(commit('M2', 'INV1')))).toBe('CA');
  expect(await sender.send(commit('M3', 'INV1'))).toBeUndefined();
  expect(hl7.messages.items.at(-1)).toMatchObject({ outcome: 'unavailable', detail: 'the queue is full' });
  const settings = { ...hl7.options.hl7, whenUnavailable: 'CE' as const };
  hl7.frontEnd.reconfigure({ ...hl7.options, hl7: settings });
  const next = await connectSender(hl7.address);
  expect(codeOf(await next.send(commit('M3', 'INV1')))).toBe('CE');
  expect((await queue.depth()).messages).toBe(2);
});

test('a message that comes again is stored once, also over a restart', async () => {
  const file = join(scratchFolder(), 'queue');
  const gate = createGate();
  const receiver = await receiverFor(answering('CA', gate.opened));
  const pools = { main: { servers: [receiver.address] } };
  const duplicates = { ms: 600_000, entries: 1000 };
  const message = commit('M1', 'INV1');
  const first = await queueAt(file);
  {
    await using hl7 = await storing(first, { pools, hl7: { duplicates } });
    const sender = await connectSender(hl7.address);
    expect(codeOf(await sender.send(message))).toBe('CA');
    expect(codeOf(await sender.send(message))).toBe('CA');
    expect(hl7.messages.items.map(({ outcome }) => outcome)).toEqual(['stored', 'duplicate']);
    expect((await first.depth()).messages).toBe(1);
    // Other bytes under the same control id are another message.
    expect(codeOf(await sender.send(commit('M1', 'INV2')))).toBe('CA');
    expect((await first.depth()).messages).toBe(2);
  }
  await first.close();
  const second = await queueAt(file);
  await using hl7 = await storing(second, { pools, hl7: { duplicates } });
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(message))).toBe('CA');
  expect(hl7.messages.items.at(-1)).toMatchObject({ outcome: 'duplicate', controlId: 'M1' });
  gate.open();
  await hl7.messages.count(2, ({ outcome }) => outcome === 'delivered' || outcome === 'maybe twice');
  await second.settled();
  expect((await second.depth()).messages).toBe(0);
});

test('sent and not answered: the same server again, and the audit says that it may have got it twice', async () => {
  const [one, two] = [await receiverFor(silent()), await receiverFor(answering('CA'))];
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [one.address, two.address], balance: 'first' } },
    hl7: { ackTimeout: 100 },
  });
  const { servers } = hl7.pools.main!;
  for (const server of servers) server.halt();
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('M1', 'INV1')))).toBe('CA');
  hasten(hl7, 500);
  for (const server of servers) server.online();
  await hl7.messages.find(({ outcome }) => outcome === 'held');
  one.script = answering('CA');
  const done = await hl7.messages.find(({ outcome }) => outcome === 'maybe twice');
  expect(done).toMatchObject({ server: 'main-1', acknowledgement: 'CA', controlId: 'M1' });
  expect(two.messages.length).toBe(0);
});

test('onAmbiguous fail: what may have arrived is quarantined, and not sent again', async () => {
  const receiver = await receiverFor(silent());
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [receiver.address] } },
    hl7: { ackTimeout: 100, onAmbiguous: 'fail' },
  });
  const sender = await connectSender(hl7.address);
  expect(codeOf(await sender.send(commit('M1', 'INV1')))).toBe('CA');
  const { detail } = await hl7.messages.find(({ outcome }) => outcome === 'quarantined');
  expect(detail).toBe('it may have arrived, and onAmbiguous is fail');
  expect(receiver.messages.length).toBe(1);
});

test('what no rule takes is refused before it is stored; what no rule takes any more is quarantined', async () => {
  const receiver = await receiverFor(answering('CA'));
  await receiver.stop();
  const queue = await queueAt(join(scratchFolder(), 'queue'));
  const rules: Sketch['rules'] = (pools) => [
    { when: { facts: [{ name: 'event', patterns: ['A01'] }] }, pool: pools.main! },
    { when: { facts: [] }, reject: 'AR' },
  ];
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } }, rules });
  const sender = await connectSender(hl7.address);
  const other = hl7Message({ controlId: 'M1', event: 'A99', acceptAcknowledgement: 'AL' });
  expect(codeOf(await sender.send(other))).toBe('CR');
  expect((await queue.depth()).messages).toBe(0);
  expect(codeOf(await sender.send(commit('M2', 'INV1')))).toBe('CA');
  const { createDirector } = await import('../../../src/director/director.ts');
  const director = createDirector({
    vip: 'RIS',
    rules: [],
    pool: undefined,
    now: hl7.options.now,
    random: Math.random,
  });
  hl7.frontEnd.reconfigure({ ...hl7.options, director });
  const { detail } = await hl7.messages.find(({ outcome }) => outcome === 'quarantined');
  expect(detail).toBe('no rule takes it');
});

test('drain: what a server has is finished, and the rest stays in the file', async () => {
  const gate = createGate();
  const receiver = await receiverFor(answering('CA', gate.opened));
  const file = join(scratchFolder(), 'queue');
  const queue = await queueAt(file);
  await using hl7 = await storing(queue, {
    pools: { main: { servers: [receiver.address], connections: 1 } },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2', 'M3']) await sender.send(commit(id, 'INV1'));
  await receiver.messages.count(1);
  const drained = hl7.frontEnd.drain();
  gate.open();
  await drained;
  await queue.settled();
  expect(await queue.depth()).toMatchObject({ messages: 2, taken: 0 });
  expect(receiver.messages.length).toBe(1);
});

test.each(['stored', 'delivered'])(
  'a merge that was %s counts after a restart, though nothing else remembers it',
  async (what) => {
    const file = join(scratchFolder(), 'queue');
    const receiver = await receiverFor(answering('CA'));
    if (what === 'stored') await receiver.stop();
    const pools = { main: { servers: [receiver.address] } };
    const memory = () => {
      const table = new Table(createMemoryStore({ ...ALIAS_LIMITS, now: () => 0 }));
      return { aliases: new Aliases(table) };
    };
    const first = await queueAt(file);
    {
      await using hl7 = await storing(first, { pools, more: { orderMemory: memory() } });
      const sender = await connectSender(hl7.address);
      const merge = { event: 'A40', segments: ['MRG|INV-OLD^^^HOSP^MR'], acceptAcknowledgement: 'AL' };
      const merging = hl7Message({ controlId: 'MERGE', patient: 'INV-NEW', ...merge });
      expect(codeOf(await sender.send(merging))).toBe('CA');
      if (what === 'delivered') {
        await hl7.messages.find(({ outcome }) => outcome === 'delivered');
        await receiver.stop();
      }
      expect(codeOf(await sender.send(commit('NEW2', 'INV-NEW')))).toBe('CA');
    }
    await first.close();
    const second = await queueAt(file);
    await using hl7 = await storing(second, { pools, more: { orderMemory: memory() } });
    const sender = await connectSender(hl7.address);
    expect(codeOf(await sender.send(commit('OLD3', 'INV-OLD')))).toBe('CA');
    // The one before is not answered yet: the next must not come.
    const gate = createGate();
    receiver.script = async ({ bytes, controlId }, connection) => {
      if (controlId === 'NEW2') await gate.opened;
      await connection.write(acknowledgementOf(bytes, 'CA'));
    };
    await receiver.restart();
    await receiver.messages.find(({ controlId }) => controlId === 'NEW2');
    // Whoever may go has gone when one that comes now has.
    expect(codeOf(await sender.send(commit('OTHER', 'INV-OTHER')))).toBe('CA');
    await receiver.messages.find(({ controlId }) => controlId === 'OTHER');
    expect(receiver.messages.items.map(({ controlId }) => controlId)).not.toContain('OLD3');
    gate.open();
    await receiver.messages.find(({ controlId }) => controlId === 'OLD3');
  },
);
