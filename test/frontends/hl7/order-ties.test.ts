/** Streams of numbered messages, and fragments of continued ones: one server, in order, over pauses. */
import { expect, test } from 'vitest';
import type { OrderMemory } from '../../../src/frontends/hl7/order.ts';
import { PIN_LIMITS, Pins } from '../../../src/frontends/hl7/pins.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import { connectSender } from '../../peers/mllp-peer.ts';
import { takeDown } from '../../pools/make-pool.ts';
import { holding } from './holding.ts';
import { startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

function orderMemory(): OrderMemory {
  return { pins: new Pins(new Table(createMemoryStore({ ...PIN_LIMITS, now: () => 0 }))) };
}

interface Tied {
  readonly controlId: string;
  readonly patient?: string | null;
  readonly sendingApp?: string;
  readonly sequence?: number | string;
  /** MSH-14. */
  readonly continues?: string;
  /** DSC-1. */
  readonly continued?: string;
}

function tied({ sequence = '', continues = '', continued, ...more }: Tied): Buffer {
  const segments = continued === undefined ? [] : ['ADD|', `DSC|${continued}|F`];
  const bytes = hl7Message({ type: 'ORU', event: 'R01', ...more, segments });
  return Buffer.from(
    bytes.toString('latin1').replace('|P|2.5.1||', `|P|2.5.1|${sequence}|${continues}|`),
    'latin1',
  );
}

const idsOf = (items: readonly { readonly controlId: string }[]) => items.map(({ controlId }) => controlId);

test('messages with sequence numbers of one stream are in order, on one server, until that is down', async () => {
  const receivers = await Promise.all([receiverFor(), receiverFor()]);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    more: { orderMemory: orderMemory() },
  });
  const [stream, other] = await Promise.all([connectSender(hl7.address), connectSender(hl7.address)]);
  for (let sequence = 1; sequence <= 10; sequence++) {
    await stream.send(tied({ controlId: `S${sequence}`, patient: `P${sequence}`, sequence }));
    await other.send(hl7Message({ controlId: `O${sequence}`, patient: `P${sequence}`, sendingApp: 'OTHER' }));
  }
  const ofStream = (ids: readonly string[]) => ids.filter((id) => id.startsWith('S'));
  const seen = receivers.map(({ messages }) => ofStream(idsOf(messages.items)));
  const at = seen.findIndex(({ length }) => length > 0);
  expect(seen[at]).toEqual(Array.from({ length: 10 }, (_, index) => `S${index + 1}`));
  expect(seen[1 - at]).toEqual([]);
  takeDown(hl7.pools.main!.server(`main-${at + 1}`)!);
  await stream.send(tied({ controlId: 'S11', patient: 'P11', sequence: 11 }));
  await stream.send(tied({ controlId: 'S12', patient: 'P12', sequence: 12 }));
  expect(ofStream(idsOf(receivers[1 - at]!.messages.items))).toEqual(['S11', 'S12']);
});

test('messages of one stream never meet, whatever their patients', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    more: { orderMemory: orderMemory() },
  });
  const sender = await connectSender(hl7.address);
  for (let sequence = 1; sequence <= 3; sequence++) {
    await sender.write(tied({ controlId: `S${sequence}`, patient: `P${sequence}`, sequence }));
  }
  await sender.write(hl7Message({ controlId: 'OTHER', patient: 'P9' }));
  await held.find(({ received }) => received.controlId === 'OTHER');
  for (const id of ['S1', 'S2', 'S3']) {
    await held.find(({ received }) => received.controlId === id);
    const started = idsOf(held.items.map(({ received }) => received));
    expect(started.filter((one) => one.startsWith('S')).at(-1)).toBe(id);
    await held.answer(id);
  }
  expect(
    new Set(
      held.items.filter(({ received }) => received.controlId.startsWith('S')).map(({ server }) => server),
    ).size,
  ).toBe(1);
});

test('fragments of a continued message go to one server, in order, before what comes of the patient behind them', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    more: { orderMemory: orderMemory() },
  });
  const [sender, other] = await Promise.all([connectSender(hl7.address), connectSender(hl7.address)]);
  await sender.write(tied({ controlId: 'F1', patient: 'P1', continued: 'W4xy' }));
  await held.answer('F1');
  expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe('F1');
  // The server whose turn it is now is the other one; and nobody has anything of the patient in hand.
  await other.write(hl7Message({ controlId: 'X1', patient: 'P2' }));
  await held.answer('X1');
  await other.write(hl7Message({ controlId: 'X2', patient: 'P3' }));
  await held.answer('X2');
  await sender.write(tied({ controlId: 'F2', patient: null, continues: 'W4xy', continued: 'V292' }));
  await sender.write(tied({ controlId: 'F3', patient: null, continues: 'V292' }));
  await sender.write(hl7Message({ controlId: 'AFTER', patient: 'P1' }));
  for (const id of ['F2', 'F3', 'AFTER']) {
    await held.find(({ received }) => received.controlId === id);
    expect(held.items.at(-1)!.received.controlId).toBe(id);
    await held.answer(id);
  }
  const serverOf = (id: string) => held.items.find(({ received }) => received.controlId === id)!.server;
  expect(['F2', 'F3'].map(serverOf)).toEqual([serverOf('F1'), serverOf('F1')]);
});
