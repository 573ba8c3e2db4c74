/** `source: client`: each client's messages go over connections of its own, which are there as long as it is. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Hl7FrontEndOptions } from '../../../src/frontends/hl7/front-end.ts';
import { createClientSource, REFUSED, type TestClientSource } from '../../peers/client-source.ts';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender, type MllpSender, type Receiver } from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { holding } from './holding.ts';
import { startHl7, type TestFrontEnd } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const ONE = '127.0.0.2';
const TWO = '127.0.0.3';

function ofClients(source: TestClientSource): Pick<Hl7FrontEndOptions, 'links'> {
  return { links: new Map([['main', { source: { ofClients: source } }]]) };
}

const message = (controlId: string, patient = `INV-${controlId}`) => hl7Message({ controlId, patient });
const answerOf = async (sender: MllpSender) => fieldOf((await sender.read())!, 'MSA', 2);

/** A receiver that notes for whom the connection of each message was. */
async function noting(
  source: TestClientSource,
): Promise<{ receiver: Receiver; clients: Map<string, string | undefined> }> {
  const clients = new Map<string, string | undefined>();
  const receiver = await receiverFor(async ({ bytes, controlId }, connection) => {
    const { remotePort } = connection.connection.socket;
    // A connection that was reset meanwhile does not say whose it was.
    if (remotePort !== undefined) clients.set(controlId, source.clientOf(remotePort));
    await connection.write(acknowledgementOf(bytes));
  });
  return { receiver, clients };
}

async function empty({ pools }: TestFrontEnd, source: TestClientSource): Promise<void> {
  while (source.held > 0) await new Promise(setImmediate);
  for (const { servers } of Object.values(pools)) for (const server of servers) expect(server.active).toBe(0);
}

test('two senders, two connections; what they share with others of their address, they share', async () => {
  const source = createClientSource();
  const { receiver, clients } = await noting(source);
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    more: ofClients(source),
  });
  const [one, again, two] = [
    await connectSender(hl7.address, ONE),
    await connectSender(hl7.address, ONE),
    await connectSender(hl7.address, TWO),
  ];
  for (const [sender, id] of [
    [one, 'A1'],
    [two, 'B1'],
    [again, 'A2'],
    [one, 'A3'],
    [two, 'B2'],
  ] as const) {
    await sender.write(message(id));
    expect(await answerOf(sender)).toBe(id);
  }
  expect(Object.fromEntries(clients)).toEqual({ A1: ONE, A2: ONE, A3: ONE, B1: TWO, B2: TWO });
  expect(receiver.connections.length).toBe(2);
  one.end();
  await one.ending;
  expect(source.held).toBe(2);
  again.end();
  await source.claims.find(({ client, isReleased }) => client === ONE && isReleased);
  expect(source.held).toBe(1);
  two.end();
  await empty(hl7, source);
});

test('who comes back gets connections anew', async () => {
  const source = createClientSource();
  const { receiver, clients } = await noting(source);
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    more: ofClients(source),
  });
  for (const id of ['A1', 'A2', 'A3']) {
    const sender = await connectSender(hl7.address, ONE);
    await sender.write(message(id));
    expect(await answerOf(sender)).toBe(id);
    sender.end();
    await empty(hl7, source);
  }
  expect(Object.fromEntries(clients)).toEqual({ A1: ONE, A2: ONE, A3: ONE });
});

test('a server that takes one connection: clients have it in turn, and nobody waits for ever', async () => {
  const source = createClientSource();
  const { receiver, clients } = await noting(source);
  await using hl7 = await startHl7({
    pools: { main: { servers: [{ ...receiver.address, maxConnections: 1 }] } },
    more: ofClients(source),
  });
  const [one, two] = [await connectSender(hl7.address, ONE), await connectSender(hl7.address, TWO)];
  for (const number of [1, 2, 3]) {
    await one.write(message(`A${number}`));
    await two.write(message(`B${number}`));
    expect([await answerOf(one), await answerOf(two)]).toEqual([`A${number}`, `B${number}`]);
  }
  expect(new Set(clients.values())).toEqual(new Set([ONE, TWO]));
  expect(hl7.pools.main!.servers[0]!.active).toBe(1);
  one.end();
  two.end();
  await empty(hl7, source);
});

test('a client leaves while its message is on its way: the connection stays for the answer', async () => {
  const { held, receivers } = await holding(1);
  const source = createClientSource();
  await using hl7 = await startHl7({
    pools: { main: { servers: [receivers[0]!.address] } },
    more: ofClients(source),
  });
  const sender = await connectSender(hl7.address, ONE);
  await sender.write(message('A1'));
  await held.count(1);
  sender.connection.reset();
  while ([...hl7.frontEnd.connections()].length > 0) await new Promise(setImmediate);
  expect(source.held).toBe(1);
  await held.answer('A1');
  await empty(hl7, source);
  expect(hl7.messages.items).toMatchObject([{ controlId: 'A1', outcome: 'delivered' }]);
});

test('messages of one patient from two clients go to one server, in order, each over its client’s connection', async () => {
  const { held, receivers } = await holding(2);
  const source = createClientSource();
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    more: ofClients(source),
  });
  const [one, two] = [await connectSender(hl7.address, ONE), await connectSender(hl7.address, TWO)];
  await one.write(message('A1', 'INV1'));
  await held.count(1);
  await two.write(message('B1', 'INV1'));
  await two.write(message('B2', 'INV1'));
  await one.write(message('A2', 'INV1'));
  while (hl7.frontEnd.totals.messages! < 4) await new Promise(setImmediate);
  while (hl7.messages.length < 4) {
    const next = held.items.at(-1)!;
    const { length } = held;
    await next.connection.write(acknowledgementOf(next.received.bytes));
    if (length === 4) break;
    await held.count(length + 1);
  }
  expect(await answerOf(one)).toBe('A1');
  expect(await answerOf(two)).toBe('B1');
  const { server } = held.items[0]!;
  expect(held.items.map((one) => one.server)).toEqual([server, server, server, server]);
  const order = held.items.map(({ received }) => received.controlId);
  expect(order.indexOf('A1')).toBeLessThan(order.indexOf('A2'));
  expect(order.indexOf('B1')).toBeLessThan(order.indexOf('B2'));
  const clients = held.items.map(({ received, connection }) => [
    received.controlId,
    source.clientOf(connection.connection.socket.remotePort),
  ]);
  expect(Object.fromEntries(clients)).toEqual({ A1: ONE, A2: ONE, B1: TWO, B2: TWO });
});

test('a client whose address cannot be borne: its message is not sent from another one', async () => {
  const receiver = await receiverFor();
  const source = createClientSource({ refusesFor: receiver.address.port });
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    more: ofClients(source),
  });
  const sender = await connectSender(hl7.address, ONE);
  await sender.write(message('A1'));
  expect(await sender.read()).toBeUndefined();
  expect(receiver.connections.length).toBe(0);
  expect(hl7.messages.items).toMatchObject([{ outcome: 'unavailable', detail: REFUSED }]);
  expect(hl7.pools.main!.servers[0]!.totals.failures).toBe(0);
});

test('a reload without it, and one with it again: what comes next goes as it says', async () => {
  const source = createClientSource();
  const { receiver, clients } = await noting(source);
  await using hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    more: ofClients(source),
  });
  const sender = await connectSender(hl7.address, ONE);
  for (const [id, links] of [
    ['A1', hl7.options.links],
    ['A2', new Map()],
    ['A3', hl7.options.links],
  ] as const) {
    hl7.frontEnd.reconfigure({ ...hl7.options, links });
    await sender.write(message(id));
    expect(await answerOf(sender)).toBe(id);
  }
  expect(Object.fromEntries(clients)).toEqual({ A1: ONE, A2: undefined, A3: ONE });
  sender.end();
  await empty(hl7, source);
});

test('property: clients come and go at any moment: every message over its own client’s connection, and nothing is left', async () => {
  const step = fc.record({
    client: fc.constantFrom(ONE, TWO, '127.0.0.4'),
    patient: fc.constantFrom('INV1', 'INV2', 'INV3'),
    what: fc.constantFrom('send', 'send', 'send', 'end', 'reset', 'drop', 'wait'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.constantFrom(1, 4), async (steps, pipeline) => {
      const gate = createGate();
      const source = createClientSource({ gate });
      const both = [await noting(source), await noting(source)];
      const receivers = both.map(({ receiver }) => receiver);
      await using hl7 = await startHl7({
        pools: { main: { servers: receivers.map(({ address }) => address), connections: 2 } },
        hl7: { pipeline, onAmbiguous: 'hold', senderTimeout: { default: 300, byApplication: {} } },
        more: ofClients(source),
      });
      const senders = new Map<string, MllpSender>();
      const sentBy = new Map<string, string>();
      for (const [index, { client, patient, what }] of steps.entries()) {
        if (index === 5) gate.open();
        const sender = senders.get(client);
        if (what === 'send') {
          const open = sender ?? (await connectSender(hl7.address, client));
          senders.set(client, open);
          const id = `M${index}`;
          sentBy.set(id, client);
          await open.write(message(id, patient)).catch(() => {});
        } else if (what === 'drop') {
          // The receivers lose all that they have.
          for (const { connections } of receivers)
            for (const { connection } of connections.items) connection.reset();
        } else if (what === 'wait') await new Promise(setImmediate);
        else if (sender) {
          senders.delete(client);
          if (what === 'end') sender.end();
          else sender.connection.reset();
        }
      }
      gate.open();
      for (const sender of senders.values()) sender.end();
      while ([...hl7.frontEnd.connections()].length > 0) await new Promise(setImmediate);
      await empty(hl7, source);
      for (const { receiver, clients } of both) {
        for (const [id, client] of clients) expect(client).toBe(sentBy.get(id));
        await receiver.stop();
      }
    }),
    { numRuns: 200 },
  );
});
