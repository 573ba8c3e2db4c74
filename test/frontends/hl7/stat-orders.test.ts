/** Urgent orders are learned from messages that a server took, before their sender hears of it. */
import { expect, test } from 'vitest';
import { fieldPath } from '../../../protocols/hl7/field-path.ts';
import { createMemoryStore } from '../../../src/tables/memory.ts';
import { STAT_ORDER_LIMITS, StatOrders } from '../../../src/tables/stat-orders.ts';
import { Table } from '../../../src/tables/table.ts';
import { acknowledgementOf, fieldOf, hl7Message, type MessageOptions } from '../../peers/hl7-messages.ts';
import {
  answering,
  answeringLate,
  answeringWith,
  connectSender,
  type MllpConnection,
  type ReceivedMessage,
  type ReceiverScript,
} from '../../peers/mllp-peer.ts';
import { createGate } from '../../peers/waiting.ts';
import { type Sketch, startHl7 } from './start-front-end.ts';
import { receiverFor } from './start-receivers.ts';

/** An invented order for `accession`. */
function order(
  controlId: string,
  accession: string,
  { control = 'NW', priority = 'S', ...options }: Partial<MessageOptions> & OrderOptions = {},
): Buffer {
  const segments = [
    `ORC|${control}|P-${accession}|||||^^^^^${priority}`,
    `OBR|1|P-${accession}||CT^INVENTED|${'|'.repeat(13)}${accession}`,
  ];
  return hl7Message({ controlId, type: 'ORM', event: 'O01', segments, ...options });
}

interface OrderOptions {
  /** ORC-1. */
  readonly control?: string;
  /** ORC-7.6. */
  readonly priority?: string;
}

/** A VIP that learns orders, its servers' answers by `script`, and a sender. */
async function learning(script: ReceiverScript = answering(), sketch: Partial<Sketch> = {}) {
  const receiver = await receiverFor(script);
  const table = new Table(createMemoryStore({ ...STAT_ORDER_LIMITS, now: () => performance.now() }));
  const orders = new StatOrders(table);
  const hl7 = await startHl7({
    pools: { main: { servers: [receiver.address] } },
    more: { statOrders: orders },
    ...sketch,
  });
  const sender = await connectSender(hl7.address);
  return {
    hl7,
    receiver,
    sender,
    table,
    knows: (accession: string) => orders.isUrgent(accession, undefined),
    [Symbol.asyncDispose]: () => hl7[Symbol.asyncDispose](),
  };
}

const codeOf = (answer: Buffer | undefined) => answer && fieldOf(answer, 'MSA', 1);

test('a STAT order is known when its sender has its acknowledgement, and not before the server gave it', async () => {
  const gate = createGate();
  await using vip = await learning(answeringLate(gate));
  await vip.sender.write(order('O1', 'A1'));
  await vip.receiver.messages.count(1);
  expect(vip.knows('A1')).toBe(false);
  gate.open();
  expect(codeOf(await vip.sender.read())).toBe('AA');
  expect(vip.knows('A1')).toBe(true);
});

test.each(['AE', 'AR', 'XX'])('an order that was refused (%s) is none', async (code) => {
  await using vip = await learning(answering(code));
  expect(codeOf(await vip.sender.send(order('O1', 'A1')))).toBe(code);
  expect(vip.knows('A1')).toBe(false);
});

const enhanced = { acceptAcknowledgement: 'AL', applicationAcknowledgement: 'AL' };

test('an order counts with CA, and no more when its application refuses it after all', async () => {
  const inTurn = (...codes: string[]): ReceiverScript => {
    return async ({ bytes }: ReceivedMessage, connection: MllpConnection) => {
      for (const code of codes) await connection.write(acknowledgementOf(bytes, code));
    };
  };
  await using vip = await learning(inTurn('CA', 'AR'));
  expect(codeOf(await vip.sender.send(order('O1', 'A1', enhanced)))).toBe('CA');
  expect(codeOf(await vip.sender.read())).toBe('AR');
  expect(vip.knows('A1')).toBe(false);
  vip.receiver.script = inTurn('CA', 'AA');
  expect(codeOf(await vip.sender.send(order('O2', 'A2', enhanced)))).toBe('CA');
  expect(vip.knows('A2')).toBe(true);
  expect(codeOf(await vip.sender.read())).toBe('AA');
  expect(vip.knows('A2')).toBe(true);
  vip.receiver.script = inTurn('CA', 'AR');
  await vip.sender.send(order('O3', 'A2', enhanced));
  await vip.sender.read();
  expect(vip.knows('A2')).toBe(true);
});

test('an order whose sender wants no answer counts when it was sent', async () => {
  await using vip = await learning(answeringWith(() => undefined));
  const options = { acceptAcknowledgement: 'NE', applicationAcknowledgement: 'NE' };
  await vip.sender.write(order('O1', 'A1', options));
  await vip.hl7.messages.find(({ outcome }) => outcome === 'unconfirmed');
  expect(vip.knows('A1')).toBe(true);
});

test('orders of one patient, of which the later ones waited their turn', async () => {
  await using vip = await learning();
  for (const accession of ['A1', 'A2', 'A3']) await vip.sender.write(order(accession, accession));
  for (const accession of ['A1', 'A2', 'A3']) {
    expect(fieldOf((await vip.sender.read())!, 'MSA', 2)).toBe(accession);
    expect(vip.knows(accession)).toBe(true);
  }
});

test('an order that only the second server took', async () => {
  const [first, second] = [await receiverFor(), await receiverFor()];
  await first.stop();
  const pools = { main: { servers: [first.address, second.address], balance: 'first' as const } };
  await using vip = await learning(answering(), { pools });
  expect(codeOf(await vip.sender.send(order('O1', 'A1')))).toBe('AA');
  expect(vip.knows('A1')).toBe(true);
});

test('cancelled, or routine after all: no longer known', async () => {
  await using vip = await learning();
  for (const accession of ['A1', 'A2', 'A3']) await vip.sender.send(order(accession, accession));
  await vip.sender.send(order('C1', 'A1', { control: 'CA' }));
  await vip.sender.send(order('C2', 'A2', { control: 'XO', priority: 'R' }));
  await vip.sender.send(order('C3', 'A3', { control: 'SC', priority: '' }));
  expect(['A1', 'A2', 'A3'].map(vip.knows)).toEqual([false, false, true]);
  vip.receiver.script = answering('AE');
  await vip.sender.send(order('C4', 'A3', { control: 'CA' }));
  expect(vip.knows('A3')).toBe(true);
});

test('the accession number is where the configuration says', async () => {
  await using vip = await learning(answering(), { hl7: { accession: [fieldPath('OBR-2')] } });
  await vip.sender.send(order('O1', 'A1'));
  expect([vip.knows('P-A1'), vip.knows('A1')]).toEqual([true, false]);
});

test('what a rule turns away is no order', async () => {
  const when = { facts: [{ name: 'type', patterns: ['ORM'] }] };
  await using vip = await learning(answering(), { rules: () => [{ when, reject: 'not-wanted' }] });
  await vip.sender.send(order('O1', 'A1'));
  expect(vip.table.size).toBe(0);
});

test('routine orders, results and admissions leave nothing behind', async () => {
  await using vip = await learning();
  await vip.sender.send(order('O1', 'A1', { priority: 'R' }));
  await vip.sender.send(order('O2', 'A2', { type: 'ORU', event: 'R01' }));
  await vip.sender.send(hl7Message({ controlId: 'M1' }));
  expect(vip.table.size).toBe(0);
});

test('nothing of an order is in what is said about its message', async () => {
  await using vip = await learning();
  await vip.sender.send(order('O1', 'ACCESSION-7'));
  await vip.hl7.messages.count(1);
  expect(JSON.stringify([vip.hl7.messages.items, vip.hl7.notices.items])).not.toContain('ACCESSION-7');
});

test('a VIP that nobody asks for orders learns none', async () => {
  await using vip = await learning(answering(), { more: {} });
  expect(codeOf(await vip.sender.send(order('O1', 'A1')))).toBe('AA');
  expect(vip.table.size).toBe(0);
});
