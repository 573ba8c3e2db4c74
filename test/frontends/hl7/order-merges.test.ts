/** Merges over two servers: what names the old id afterwards keeps its order with what names the new one. */
import { expect, test } from 'vitest';
import { ALIAS_LIMITS, Aliases } from '../../../src/frontends/hl7/aliases.ts';
import type { OrderMemory } from '../../../src/frontends/hl7/order.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import {
  connectSender,
  type MllpConnection,
  mllpFrame,
  type ReceivedMessage,
} from '../../peers/mllp-peer.ts';
import { holding } from './holding.ts';
import { startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const ofPatient = (controlId: string, patient: string) => hl7Message({ controlId, patient, event: 'A08' });
/** ADT^A40: the prior patient is merged into the other. */
const merge = (controlId: string, into: string, prior: string) =>
  hl7Message({ controlId, event: 'A40', patient: into, segments: [`MRG|${prior}^^^HOSP^MR`] });

function orderMemory(): OrderMemory {
  return { aliases: new Aliases(new Table(createMemoryStore({ ...ALIAS_LIMITS, now: () => 0 }))) };
}

/** The same numbers, from 0 up to, not including, 1, in each run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const keyed = items.map((item) => ({ item, key: random() }));
  return keyed.sort((one, other) => one.key - other.key).map(({ item }) => item);
}

interface Waiting {
  readonly received: ReceivedMessage;
  readonly connection: MllpConnection;
}

test('A40 between messages of both patients, 1 000 times with random timing over 2 servers: order held', async () => {
  const random = randomNumbers(40);
  const rounds = 1000;
  const before = ['OLD', 'NEW', 'OLD', 'NEW'];
  /** The patient of each message, round by round; the merge is the fifth. */
  const script = Array.from({ length: rounds }, () => [
    ...shuffled(before, random),
    'MERGE',
    ...shuffled(before, random),
  ]);
  const answered = script.map(() => new Set<number>());
  const faults: string[] = [];
  let waiting: Waiting[] = [];
  let isAnswering = false;

  /** Who went before in the same round, and has to be answered first. */
  const due = (round: number, index: number) =>
    script[round]!.slice(0, index).flatMap((patient, earlier) =>
      index >= before.length || patient === script[round]![index] ? [earlier] : [],
    );
  /** Answers one that waits after another, each after some turns of the event loop. */
  const answerAll = async () => {
    isAnswering = true;
    while (waiting.length > 0) {
      for (let turns = Math.floor(random() * 4); turns > 0; turns--) await new Promise(setImmediate);
      const chosen = waiting[Math.floor(random() * waiting.length)]!;
      waiting = waiting.filter((one) => one !== chosen);
      const [round, index] = chosen.received.controlId.split('-').map(Number);
      answered[round!]!.add(index!);
      void chosen.connection.write(acknowledgementOf(chosen.received.bytes));
    }
    isAnswering = false;
  };
  const script2 = (received: ReceivedMessage, connection: MllpConnection) => {
    const [round, index] = received.controlId.split('-').map(Number);
    for (const earlier of due(round!, index!)) {
      if (!answered[round!]!.has(earlier)) faults.push(`${received.controlId} before ${earlier}`);
    }
    waiting.push({ received, connection });
    if (!isAnswering) void answerAll();
  };
  const receivers = await Promise.all([receiverFor(script2), receiverFor(script2)]);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    more: { orderMemory: orderMemory() },
  });
  const senders = await Promise.all(Array.from({ length: 8 }, () => connectSender(hl7.address)));
  await Promise.all(
    senders.map(async (sender, number) => {
      for (let round = number; round < rounds; round += senders.length) {
        const messages = script[round]!.map((patient, index) => {
          const id = `${round}-${index}`;
          return patient === 'MERGE'
            ? merge(id, `NEW${round}`, `OLD${round}`)
            : ofPatient(id, `${patient}${round}`);
        });
        await sender.connection.write(Buffer.concat(messages.map(mllpFrame)));
        for (const [index] of messages.entries()) {
          expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(`${round}-${index}`);
        }
      }
    }),
  );
  expect(faults).toEqual([]);
  for (const { messages } of receivers) expect(messages.length).toBeGreaterThan(rounds);
}, 60_000);

test('a merge that a server refuses is none: the old patient is another one', async () => {
  const { held, receivers } = await holding(2);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    more: { orderMemory: orderMemory() },
  });
  const sender = await connectSender(hl7.address);
  await sender.write(merge('A40', 'NEW', 'OLD'));
  const [{ received, connection } = held.items[0]!] = await held.count(1);
  await connection.write(acknowledgementOf(received.bytes, 'AE'));
  expect(fieldOf((await sender.read())!, 'MSA', 1)).toBe('AE');
  await sender.write(ofPatient('M1', 'NEW'));
  await sender.write(ofPatient('M2', 'OLD'));
  await held.count(3);
});

test('rules and persistence by patient take who was merged for who that is now', async () => {
  const [main, special] = await Promise.all([receiverFor(), receiverFor()]);
  await using hl7 = await startHl7({
    pools: { main: { servers: [main.address] }, special: { servers: [special.address] } },
    rules: (pools) => [
      { when: { facts: [{ name: 'patient', patterns: ['NEW^HOSP'] }] }, pool: pools.special! },
    ],
    more: { orderMemory: orderMemory() },
  });
  const sender = await connectSender(hl7.address);
  await sender.send(ofPatient('BEFORE', 'OLD'));
  await sender.send(merge('A40', 'NEW', 'OLD'));
  await sender.send(ofPatient('AFTER', 'OLD'));
  expect(main.messages.items.map(({ controlId }) => controlId)).toEqual(['BEFORE']);
  expect(special.messages.items.map(({ controlId }) => controlId)).toEqual(['A40', 'AFTER']);
});
