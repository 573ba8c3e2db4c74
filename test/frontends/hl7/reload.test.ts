/** New options while messages flow: senders stay, order holds, what is in hand is finished, what comes follows the new. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createDirector } from '../../../src/director/director.ts';
import type { Hl7FrontEndOptions } from '../../../src/frontends/hl7/front-end.ts';
import type { BalanceName, Pool } from '../../../src/pools/pool.ts';
import type { Server } from '../../../src/pools/server.ts';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender, type MllpSender, mllpFrame } from '../../peers/mllp-peer.ts';
import { openConnection } from '../../peers/test-connection.ts';
import { holding } from './holding.ts';
import { SETTINGS, serversOf, startHl7, type TestFrontEnd, UNCHECKED } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const ofPatient = (controlId: string, patient = `INV-${controlId}`) => hl7Message({ controlId, patient });
const answerOf = async (sender: MllpSender) => fieldOf((await sender.read())!, 'MSA', 2);

/** Everything goes to `pool`. */
function to(pool: Pool, balance?: BalanceName): Pick<Hl7FrontEndOptions, 'director' | 'pools'> {
  const rule = { when: { facts: [] }, pool, balance };
  const now = () => performance.now();
  const director = createDirector({ vip: 'RIS', rules: [rule], pool, now, random: Math.random });
  return { director, pools: [pool] };
}

async function inHand({ frontEnd }: TestFrontEnd, count: number): Promise<void> {
  const sum = () => [...frontEnd.connections()].reduce((total, { messages }) => total + messages, 0);
  while (sum() < count) await new Promise(setImmediate);
}

test('a reload in the middle of the messages of a patient: answered in order, those that wait go where it says now', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: { main: { servers: [receivers[0]!.address] }, other: { servers: [receivers[1]!.address] } },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2', 'M3']) await sender.write(ofPatient(id, 'INV1'));
  await held.count(1);
  await inHand(hl7, 3);
  hl7.frontEnd.reconfigure({ ...hl7.options, ...to(hl7.pools.other!) });
  await sender.write(ofPatient('M4', 'INV1'));
  for (const id of ['M1', 'M2', 'M3', 'M4']) {
    await held.answer(id);
    expect(await answerOf(sender)).toBe(id);
  }
  expect(held.items.map(({ received, server }) => `${received.controlId} ${server}`)).toEqual([
    'M1 0',
    'M2 1',
    'M3 1',
    'M4 1',
  ]);
  // Nothing leads to the first server any more: its connection was closed as soon as it was not needed.
  expect(hl7.pools.main!.servers[0]!.active).toBe(0);
  expect(await receivers[0]!.connections.items[0]!.connection.ending).toBe('end');
});

test('a reload that changes nothing: the same connections go on being used', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  for (let n = 0; n < 5; n++) {
    await sender.send(ofPatient(`M${n}`));
    hl7.frontEnd.reconfigure({ ...hl7.options, hl7: structuredClone(hl7.options.hl7) });
  }
  expect([receiver.connections.length, receiver.messages.length]).toEqual([1, 5]);
  expect(hl7.frontEnd.totals).toMatchObject({ connections: 1, messages: 5, delivered: 5 });
});

test('other delimiters of frames: senders and server connections that are open keep theirs, new ones have the new', async () => {
  const receiver = await receiverFor();
  await using hl7 = await startHl7({ pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  await sender.send(ofPatient('M1'));
  const blocks = { startBlock: 0x02, endBlock: 0x03 };
  hl7.frontEnd.reconfigure({ ...hl7.options, hl7: { ...SETTINGS, ...blocks } });
  const raw: Buffer[] = [];
  receiver.connections.clear();
  const fresh = await openConnection(hl7.address);
  await sender.write(ofPatient('M2'));
  await fresh.write(Buffer.concat([Buffer.of(0x02), ofPatient('M3'), Buffer.of(0x03, 0x0d)]));
  // The receiver of this test reads 0B and 1C: what comes in other frames it leaves lying.
  await receiver.connections.count(1);
  const { connection } = receiver.connections.items[0]!;
  connection.socket.on('data', (chunk: Buffer) => raw.push(chunk));
  const bytes = async () => {
    while (!Buffer.concat(raw).includes(Buffer.of(0x03, 0x0d))) await new Promise(setImmediate);
    return Buffer.concat(raw.splice(0));
  };
  const first = await bytes();
  expect(first[0]).toBe(0x02);
  const which = fieldOf(first.subarray(1), 'MSH', 10);
  expect(['M2', 'M3']).toContain(which);
  const answer = acknowledgementOf(first.subarray(1, -2));
  await connection.write(Buffer.concat([Buffer.of(0x02), answer, Buffer.of(0x03, 0x0d)]));
  if (which === 'M2') expect(await answerOf(sender)).toBe('M2');
  else expect((await fresh.read(answer.length + 3))[0]).toBe(0x02);
});

test('a message that was kept for a while goes out in the frame of the connection that it gets', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7({
    pools: { main: { servers: [receivers[0]!.address], connections: 1 } },
    hl7: { onAmbiguous: 'fail' },
  });
  const [one, two] = [await connectSender(hl7.address), await connectSender(hl7.address)];
  await one.write(ofPatient('M1'));
  await held.count(1);
  await two.write(ofPatient('M2'));
  await inHand(hl7, 2);
  hl7.frontEnd.reconfigure({ ...hl7.options, hl7: { ...hl7.options.hl7, startBlock: 0x02, endBlock: 0x03 } });
  receivers[0]!.connections.items[0]!.connection.reset();
  const { connection } = (await receivers[0]!.connections.count(2))[1]!;
  const raw: Buffer[] = [];
  connection.socket.on('data', (chunk: Buffer) => raw.push(chunk));
  while (!Buffer.concat(raw).includes(Buffer.of(0x03, 0x0d))) await new Promise(setImmediate);
  expect(Buffer.concat(raw)).toEqual(
    Buffer.concat([Buffer.of(0x02), ofPatient('M2'), Buffer.of(0x03, 0x0d)]),
  );
});

test('fewer connections to a server: those that lie idle go, the others when they are free', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7({
    pools: { main: { servers: [receivers[0]!.address], connections: 4 } },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2', 'M3', 'M4']) await sender.write(ofPatient(id));
  await held.count(4);
  await held.answer('M1');
  expect(await answerOf(sender)).toBe('M1');
  const [server] = hl7.pools.main!.servers;
  expect(server!.active).toBe(4);
  hl7.frontEnd.reconfigure({ ...hl7.options, connections: { main: 2 } });
  expect(server!.active).toBe(3);
  for (const id of ['M2', 'M3', 'M4']) {
    await held.answer(id);
    expect(await answerOf(sender)).toBe(id);
  }
  expect(server!.active).toBe(2);
});

test('another order: everything that is in hand is finished before the first message that goes by it', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7({
    pools: { main: { servers: [receivers[0]!.address] } },
    hl7: { order: 'sender' },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2']) await sender.write(ofPatient(id, 'INV1'));
  await held.count(1);
  await inHand(hl7, 2);
  hl7.frontEnd.reconfigure({ ...hl7.options, hl7: { ...SETTINGS, order: 'patient' } });
  for (const id of ['M3', 'M4', 'M5']) await sender.write(ofPatient(id, id === 'M3' ? 'INV1' : `INV-${id}`));
  await inHand(hl7, 5);
  for (const id of ['M1', 'M2', 'M3']) {
    expect(held.items.at(-1)!.received.controlId).toBe(id);
    await held.answer(id);
    expect(await answerOf(sender)).toBe(id);
    await held.count(Number(id.slice(1)) + 1);
  }
  await held.count(5);
});

test('a pool that is replaced while a message cannot be had: it is chosen for anew', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: {
      main: { servers: [{ ...receivers[0]!.address, maxConnections: 1 }] },
      other: { servers: [receivers[1]!.address] },
    },
  });
  const sender = await connectSender(hl7.address);
  const busy = hl7.pools.main!.servers[0]!;
  busy.acquire();
  await sender.write(ofPatient('M1'));
  await inHand(hl7, 1);
  expect(held.length).toBe(0);
  hl7.frontEnd.reconfigure({ ...hl7.options, ...to(hl7.pools.other!) });
  expect((await held.count(1))[0]!.server).toBe(1);
  await held.answer('M1');
  expect(await answerOf(sender)).toBe('M1');
  busy.release();
});

test('a message that waits for a connection to a pool that the VIP no longer has: it goes where it would go now', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: {
      main: { servers: [receivers[0]!.address], connections: 1 },
      other: { servers: [receivers[1]!.address] },
    },
  });
  const sender = await connectSender(hl7.address);
  for (const id of ['M1', 'M2']) await sender.write(ofPatient(id));
  await held.count(1);
  await inHand(hl7, 2);
  hl7.frontEnd.reconfigure({ ...hl7.options, ...to(hl7.pools.other!) });
  await held.count(2);
  expect(held.items.map(({ server }) => server)).toEqual([0, 1]);
  for (const id of ['M1', 'M2']) {
    await held.answer(id);
    expect(await answerOf(sender)).toBe(id);
  }
});

/** What happens between messages. */
const deed = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('send' as const), patient: fc.nat(4), by: fc.nat(2) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('drain' as const, 'strict' as const, 'halt' as const, 'online' as const),
      server: fc.nat(2),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('reload' as const),
      balance: fc.constantFrom<BalanceName>('first', 'round-robin', 'least-busy', 'hash'),
      order: fc.constantFrom('patient' as const, 'patient' as const, 'sender' as const),
      connections: fc.integer({ min: 1, max: 4 }),
      without: fc.option(fc.nat(2)),
      ackTimeout: fc.constantFrom(10_000, 11_000),
    }),
  },
);

test('property: drains, halts, reloads at any moment: every message is answered once, patients keep their order, nothing is left over', async () => {
  const { held, receivers } = await holding(3);
  const servers = serversOf(
    'main',
    receivers.map(({ address }) => address),
  );
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(deed, { maxLength: 80, size: 'max' }), async (deeds) => {
      run++;
      held.clear();
      await using hl7 = await startHl7({
        pools: { main: { servers: receivers.map(({ address }) => address), connections: 2 } },
        hl7: { whenUnavailable: 'AE' },
      });
      const pool = hl7.pools.main!;
      const everyServer = new Set(pool.servers);
      /** Somebody is always there to take what comes. */
      const keepUp = (isLeft: (server: Server) => boolean) => {
        const left = pool.servers.filter(isLeft);
        if (!left.some(({ eligible }) => eligible)) left[0]?.online();
      };
      const senders = await Promise.all([0, 1, 2].map(() => connectSender(hl7.address)));
      const sent: { readonly controlId: string; readonly patient: string; readonly by: number }[] = [];
      const open = new Map<string, string>();
      let seen = 0;
      const look = () => {
        for (; seen < held.length; seen++) {
          const { controlId } = held.items[seen]!.received;
          const { patient } = sent.find((one) => one.controlId === controlId)!;
          expect([...open.values()], `${controlId} meets another message of its patient`).not.toContain(
            patient,
          );
          open.set(controlId, patient);
        }
      };
      const answer = async (which: number) => {
        look();
        const controlId = [...open.keys()][which % Math.max(open.size, 1)];
        if (controlId === undefined) return;
        open.delete(controlId);
        await held.answer(controlId);
      };
      for (const one of deeds) {
        switch (one.kind) {
          case 'send': {
            const message = { controlId: `R${run}-${sent.length}`, patient: `INV${one.patient}`, by: one.by };
            sent.push(message);
            await senders[one.by]!.write(ofPatient(message.controlId, message.patient));
            break;
          }
          case 'answer':
            await answer(one.which);
            break;
          case 'reload': {
            const left = servers.filter((_, index) => index !== one.without);
            keepUp(({ name }) => left.some((wanted) => wanted.name === name));
            pool.reconfigure({ balance: one.balance, servers: left, health: UNCHECKED });
            for (const server of pool.servers) everyServer.add(server);
            const { order, ackTimeout, connections } = one;
            hl7.frontEnd.reconfigure({
              ...hl7.options,
              hl7: { ...hl7.options.hl7, order, ackTimeout },
              connections: { main: connections },
            });
            break;
          }
          default: {
            const server = pool.servers[one.server % pool.servers.length]!;
            if (one.kind !== 'online') keepUp((other) => other !== server);
            if (one.kind === 'strict') server.drain(true);
            else server[one.kind]();
          }
        }
        look();
      }
      while (hl7.messages.length < sent.length) {
        await answer(0);
        await new Promise(setImmediate);
      }
      for (const [by, sender] of senders.entries()) {
        for (const { controlId } of sent.filter((message) => message.by === by)) {
          const bytes = (await sender.read())!;
          expect([fieldOf(bytes, 'MSA', 1), fieldOf(bytes, 'MSA', 2)]).toEqual(['AA', controlId]);
        }
        sender.end();
      }
      const arrived = held.items.map(({ received }) => received.controlId);
      expect([...arrived].sort()).toEqual(sent.map(({ controlId }) => controlId).sort());
      for (const { patient, by } of sent) {
        const own = sent.filter((message) => message.patient === patient && message.by === by);
        const positions = own.map(({ controlId }) => arrived.indexOf(controlId));
        expect(positions).toEqual(positions.toSorted((a, b) => a - b));
      }
      for (const server of everyServer) server.drain();
      for (const server of everyServer) {
        const { name, active, load } = server;
        expect([name, active, load.operations, load.bytesInFlight]).toEqual([name, 0, 0, 0]);
      }
    }),
    { numRuns: 60 },
  );
});

test('a sender that is inside a message keeps the limits it began with', async () => {
  const { held, receivers } = await holding(1);
  await using hl7 = await startHl7({ pools: { main: { servers: [receivers[0]!.address] } } });
  const sender = await connectSender(hl7.address);
  const frame = mllpFrame(ofPatient('M1'));
  await sender.connection.write(frame.subarray(0, 40));
  while (![...hl7.frontEnd.connections()].some(({ bytes }) => bytes.toServer === 40))
    await new Promise(setImmediate);
  hl7.frontEnd.reconfigure({ ...hl7.options, hl7: { ...SETTINGS, maxFrame: 110 } });
  await sender.connection.write(frame.subarray(40));
  await held.answer('M1');
  expect(await answerOf(sender)).toBe('M1');
  const fresh = await connectSender(hl7.address);
  expect(fieldOf((await fresh.send(ofPatient('M2')))!, 'MSA', 1)).toBe('AR');
});
