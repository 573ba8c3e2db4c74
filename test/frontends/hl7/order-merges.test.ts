/** Merges over two servers: what names the old id afterwards keeps its order with what names the new one. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ALIAS_LIMITS, Aliases } from '../../../src/frontends/hl7/aliases.ts';
import type { OrderMemory } from '../../../src/frontends/hl7/order.ts';
import { openQueue } from '../../../src/queue/queue.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { Table } from '../../../src/tables/table.ts';
import { acknowledgementOf, fieldOf, hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';
import {
  connectSender,
  type MllpConnection,
  mllpFrame,
  type ReceivedMessage,
} from '../../peers/mllp-peer.ts';
import { randomFrom } from '../../peers/random.ts';
import { scratchFolder } from '../../queue/scratch.ts';
import { SETTINGS } from '../../queue/settings.ts';
import { holding } from './holding.ts';
import { startHl7, type TestFrontEnd } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

const ofPatient = (controlId: string, patient: string, mode: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId, patient, event: 'A08', ...mode });
/** ADT^A40: the prior patient is merged into the other. */
const merge = (controlId: string, into: string, prior: string, mode: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId, event: 'A40', patient: into, segments: [`MRG|${prior}^^^HOSP^MR`], ...mode });

function orderMemory(): OrderMemory {
  return { aliases: new Aliases(new Table(createMemoryStore({ ...ALIAS_LIMITS, now: () => 0 }))) };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const keyed = items.map((item) => ({ item, key: random() }));
  return keyed.sort((one, other) => one.key - other.key).map(({ item }) => item);
}

interface Waiting {
  readonly received: ReceivedMessage;
  readonly connection: MllpConnection;
}

/** Whose messages go before the merge, and behind it. */
const PATIENTS = ['OLD', 'NEW', 'OLD', 'NEW'];

/** So many merges, each between messages of both patients; two receivers that note who came before who had to. */
class Rounds {
  /** The patient of each message, round by round; the merge is the fifth. */
  readonly script: readonly (readonly string[])[];
  /** What came too early. */
  readonly faults: string[] = [];
  readonly #random: () => number;
  readonly #answered: readonly Set<number>[];
  #waiting: Waiting[] = [];
  #isAnswering = false;

  constructor(count: number, random: () => number) {
    this.#random = random;
    this.script = Array.from({ length: count }, () => [
      ...shuffled(PATIENTS, random),
      'MERGE',
      ...shuffled(PATIENTS, random),
    ]);
    this.#answered = this.script.map(() => new Set());
  }

  /** A receiver's script. */
  receive(received: ReceivedMessage, connection: MllpConnection): void {
    const [round = 0, index = 0] = received.controlId.split('-').map(Number);
    for (const earlier of this.#before(round, index)) {
      if (!this.#answered[round]!.has(earlier)) this.faults.push(`${received.controlId} before ${earlier}`);
    }
    this.#waiting.push({ received, connection });
    if (!this.#isAnswering) void this.#answer();
  }

  /** Those of the same round that have to be answered first: from the merge on the two are one patient. */
  #before(round: number, index: number): number[] {
    const patients = this.script[round]!;
    return patients
      .slice(0, index)
      .flatMap((patient, earlier) =>
        index >= PATIENTS.length || patient === patients[index] ? [earlier] : [],
      );
  }

  /** Answers one that waits after another, each after some turns of the event loop. */
  async #answer(): Promise<void> {
    this.#isAnswering = true;
    while (this.#waiting.length > 0) {
      for (let turns = Math.floor(this.#random() * 4); turns > 0; turns--) await new Promise(setImmediate);
      const chosen = this.#waiting[Math.floor(this.#random() * this.#waiting.length)]!;
      this.#waiting = this.#waiting.filter((one) => one !== chosen);
      const [round = 0, index = 0] = chosen.received.controlId.split('-').map(Number);
      this.#answered[round]!.add(index);
      void chosen.connection.write(acknowledgementOf(chosen.received.bytes));
    }
    this.#isAnswering = false;
  }

  /** Eight senders send all rounds, each round at once; resolves when everything is answered. */
  async send(hl7: TestFrontEnd, modeOf: () => Partial<MessageOptions>): Promise<void> {
    const senders = await Promise.all(Array.from({ length: 8 }, () => connectSender(hl7.address)));
    await Promise.all(
      senders.map(async (sender, number) => {
        for (let round = number; round < this.script.length; round += senders.length) {
          const messages = this.script[round]!.map((patient, index) => {
            const id = `${round}-${index}`;
            return patient === 'MERGE'
              ? merge(id, `NEW${round}`, `OLD${round}`, modeOf())
              : ofPatient(id, `${patient}${round}`, modeOf());
          });
          await sender.connection.write(Buffer.concat(messages.map(mllpFrame)));
          for (const [index] of messages.entries()) {
            expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe(`${round}-${index}`);
          }
        }
      }),
    );
  }
}

test('A40 between messages of both patients, 1 000 times with random timing over 2 servers: order held', async () => {
  const rounds = new Rounds(1000, randomFrom(40));
  const script = rounds.receive.bind(rounds);
  const receivers = await Promise.all([receiverFor(script), receiverFor(script)]);
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    more: { orderMemory: orderMemory() },
  });
  await rounds.send(hl7, () => ({}));
  expect(rounds.faults).toEqual([]);
  for (const { messages } of receivers) expect(messages.length).toBeGreaterThan(1000);
}, 60_000);

test('the same with messages of which some are stored and some relayed', async () => {
  const random = randomFrom(41);
  const rounds = new Rounds(150, random);
  const script = rounds.receive.bind(rounds);
  const receivers = await Promise.all([receiverFor(script), receiverFor(script)]);
  const queue = await openQueue({ file: join(scratchFolder(), 'queue'), settings: SETTINGS });
  onTestFinished(() => queue.close());
  const store = { ackOnStore: undefined, returnTo: { default: undefined, byApplication: {} } };
  await using hl7 = await startHl7({
    pools: { main: { servers: receivers.map(({ address }) => address) } },
    hl7: { store },
    more: { orderMemory: orderMemory(), queue },
  });
  const stored = { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'NE' };
  await rounds.send(hl7, () => (random() < 0.5 ? stored : {}));
  await hl7.messages.count(
    rounds.script.length * (2 * PATIENTS.length + 1),
    ({ outcome }) => outcome === 'delivered',
  );
  expect(rounds.faults).toEqual([]);
  expect(hl7.messages.items.filter(({ outcome }) => outcome === 'stored').length).toBeGreaterThan(300);
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
