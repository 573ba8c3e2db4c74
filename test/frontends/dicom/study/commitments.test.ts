/** Storage commitment inside one association: what servers say of their parts, and what the client hears of it. */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { sequenceElement } from '../../../../protocols/dicom/data-set.ts';
import { writeDataSet } from '../../../../protocols/dicom/data-set-write.ts';
import { TAG } from '../../../../protocols/dicom/tags.ts';
import { type Affinity, createAffinity } from '../../../../src/frontends/dicom/affinity/affinity.ts';
import { instanceKey } from '../../../../src/frontends/dicom/affinity/instance-key.ts';
import { createMemoryStore } from '../../../../src/tables/memory.ts';
import { Table } from '../../../../src/tables/table.ts';
import { COMMAND, type Command, responseTo } from '../../../peers/commands.ts';
import type { DimseMessage } from '../../../peers/dicom-peer.ts';
import { accepting, type Scp, type ScpAssociation } from '../../../peers/dicom-scp.ts';
import type { ScuAssociation } from '../../../peers/dicom-scu.ts';
import { CT_IMAGE_STORAGE } from '../../../peers/pdus.ts';
import {
  EXPLICIT,
  instancesIn as instancesOf,
  item,
  read,
  reported as reportOf,
  uidOf,
} from '../affinity/data-sets.ts';
import { scp } from '../setup.ts';
import { associationsOf, endsAt, instanceOf, nextStatus, open, startStudy } from './start-study.ts';

const COMMITMENT = '1.2.840.10008.1.20.1';
const COMMITMENT_INSTANCE = '1.2.840.10008.1.20.1.1';
const CLIENT = '1.2.826.77';
const FAILED = 0x0110;

const dataSetOf = (uid: string, good: readonly string[], bad: readonly string[] = []) =>
  reportOf(uid, { good, bad, transferSyntax: EXPLICIT })[0];
const transactionIn = (bytes: Buffer) => uidOf(read(bytes, EXPLICIT));
const instancesIn = (bytes: Buffer, tag: number = TAG.REFERENCED_SOP_SEQUENCE) =>
  instancesOf(read(bytes, EXPLICIT), tag);

const request: Command = {
  field: COMMAND.N_ACTION_RQ,
  requestedSopClass: COMMITMENT,
  requestedSopInstance: COMMITMENT_INSTANCE,
  actionType: 1,
  hasDataSet: true,
};

/** `places`: SOP instance → `s1` or `s2`. */
function affinityWith(places: Readonly<Record<string, string>>): Affinity {
  const table = () => new Table(createMemoryStore({ ttl: 60_000, size: 1000, now: () => 1 }));
  const tables = { objects: table(), instances: table(), transactions: table() };
  for (const [instance, server] of Object.entries(places))
    tables.instances.restore({ key: instanceKey(instance), server: `P/${server}`, remaining: 60_000 });
  return createAffinity({ ...tables, storage: 'shared', hasEgress: true, randomBytes });
}

async function start(servers: readonly Scp[], places: Readonly<Record<string, string>>) {
  const rig = await startStudy(servers, { study: { affinity: affinityWith(places) } });
  const scu = await open(rig, { propose: [COMMITMENT, CT_IMAGE_STORAGE] });
  return { rig, scu };
}

async function ask(scu: ScuAssociation, dataSet: Buffer, messageId = 7): Promise<void> {
  await scu.send(scu.contextFor(COMMITMENT), { ...request, messageId }, dataSet);
}

/** The association on which the server was asked, and what. */
async function askedOf(server: Scp): Promise<{ association: ScpAssociation; message: DimseMessage }> {
  const isAsk = ({ command }: DimseMessage) => command.field === COMMAND.N_ACTION_RQ;
  const association = await server.associations.find(({ messages }) => messages.some(isAsk));
  return { association, message: association.messages.find(isAsk)! };
}

/** The server reports on what it was asked, as request `messageId`. */
async function report(
  { association, message }: Awaited<ReturnType<typeof askedOf>>,
  messageId: number,
  dataSet: Buffer,
  eventType = 1,
): Promise<void> {
  const sopInstance = COMMITMENT_INSTANCE;
  const field = COMMAND.N_EVENT_REPORT_RQ;
  const command = { field, sopClass: COMMITMENT, sopInstance, messageId, eventType, hasDataSet: true };
  await association.send(message.contextId, command, dataSet);
}

/** Its N-EVENT-REPORT-RQ, the next message that the client gets. */
async function reported(scu: ScuAssociation): Promise<DimseMessage> {
  const arrival = await scu.next();
  if (arrival.kind !== 'message') throw new Error(`a report was awaited, there came: ${arrival.kind}`);
  expect(arrival.command.field).toBe(COMMAND.N_EVENT_REPORT_RQ);
  return arrival;
}

async function answer(scu: ScuAssociation, { contextId, command }: DimseMessage, status = 0): Promise<void> {
  await scu.send(contextId, responseTo(command, status));
}

/** `ID STATUS` of the responses that the server got. */
async function answersAt(server: Scp, count: number): Promise<string[]> {
  const isAnswer = ({ command }: DimseMessage) => (command.field & 0x8000) !== 0;
  const answers = () => server.messages().filter(isAnswer);
  await server.associations.find(() => answers().length >= count);
  return answers().map(
    ({ command }) => `${command.respondsTo} ${command.status!.toString(16).padStart(4, '0')}`,
  );
}

const BOTH = { '1.1': 's1', '1.2': 's2', '1.3': 's1' };

describe('instances on two servers', () => {
  test('one answer to the request, one report when the last part came, on the same association', async () => {
    const servers = [await scp(), await scp()];
    const { scu } = await start(servers, BOTH);
    await ask(scu, dataSetOf(CLIENT, ['1.1', '1.2', '1.3']));
    expect(await nextStatus(scu)).toBe('0000 @7');
    const [first, second] = [await askedOf(servers[0]!), await askedOf(servers[1]!)];
    expect(instancesIn(first.message.dataSet)).toEqual(['1.1', '1.3']);
    expect(instancesIn(second.message.dataSet)).toEqual(['1.2']);
    expect(first.message.command).toEqual({ ...request, messageId: 7 });

    // Message ids of the two may well be the same.
    await report(second, 1, dataSetOf(transactionIn(second.message.dataSet), ['1.2']));
    expect(await answersAt(servers[1]!, 1)).toEqual(['1 0000']);
    await report(first, 1, dataSetOf(transactionIn(first.message.dataSet), ['1.1'], ['1.3']), 2);
    const whole = await reported(scu);
    expect(whole.command).toMatchObject({ eventType: 2, sopInstance: COMMITMENT_INSTANCE });
    expect(transactionIn(whole.dataSet)).toBe(CLIENT);
    expect(instancesIn(whole.dataSet)).toEqual(['1.1', '1.2']);
    expect(instancesIn(whole.dataSet, TAG.FAILED_SOP_SEQUENCE)).toEqual(['1.3']);
    await answer(scu, whole);
    expect(await answersAt(servers[0]!, 1)).toEqual(['1 0000']);
    await scu.release();
  });

  test('what the client did not take is told to the server, and comes again when that reports again', async () => {
    const servers = [await scp(), await scp()];
    const { scu } = await start(servers, BOTH);
    await ask(scu, dataSetOf(CLIENT, ['1.1', '1.2', '1.3']));
    await nextStatus(scu);
    const [first, second] = [await askedOf(servers[0]!), await askedOf(servers[1]!)];
    await report(first, 1, dataSetOf(transactionIn(first.message.dataSet), ['1.1', '1.3']));
    await answersAt(servers[0]!, 1);
    const last = dataSetOf(transactionIn(second.message.dataSet), ['1.2']);
    await report(second, 1, last);
    await answer(scu, await reported(scu), FAILED);
    expect(await answersAt(servers[1]!, 1)).toEqual(['1 0110']);
    await report(second, 2, last);
    const again = await reported(scu);
    expect(instancesIn(again.dataSet)).toEqual(['1.1', '1.3', '1.2']);
    await answer(scu, again);
    // From now on it is nobody's.
    await report(second, 3, last);
    expect(await answersAt(servers[1]!, 3)).toEqual(['1 0110', '2 0000', '3 0000']);
    await scu.release();
  });

  test('a server that is lost before it answers: the client is told so, and hears of no part', async () => {
    const servers = [await scp(), await scp(accepting({ status: () => undefined }))];
    const { scu } = await start(servers, BOTH);
    await ask(scu, dataSetOf(CLIENT, ['1.1', '1.2', '1.3']));
    const first = await askedOf(servers[0]!);
    const { association } = await askedOf(servers[1]!);
    association.connection.reset();
    expect(await nextStatus(scu)).toBe('0110 @7');
    await report(first, 1, dataSetOf(transactionIn(first.message.dataSet), ['1.1', '1.3']));
    expect(await answersAt(servers[0]!, 1)).toEqual(['1 0000']);
    await scu.release();
  });

  test('an association on which a report may come outlives the others; after the report it does not', async () => {
    const servers = [await scp(), await scp(), await scp()];
    const { rig, scu } = await start(servers, BOTH);
    await ask(scu, dataSetOf(CLIENT, ['1.1', '1.2', '1.3']));
    await nextStatus(scu);
    rig.pin('1.2.3', 's3');
    expect(await scu.store(instanceOf('1.2.3'))).toBe(0);
    await rig.advance(20_000);
    expect(await endsAt(servers[2]!)).toEqual(['release']);
    const second = await askedOf(servers[1]!);
    await report(second, 1, dataSetOf(transactionIn(second.message.dataSet), ['1.2']));
    expect(await answersAt(servers[1]!, 1)).toEqual(['1 0000']);
    await rig.advance(20_000);
    expect(await endsAt(servers[1]!)).toEqual(['release']);
    await scu.release();
  });

  test('the message id is in use until all have answered; a client that goes leaves nothing behind', async () => {
    const servers = [await scp(), await scp(accepting({ status: () => undefined }))];
    const { scu } = await start(servers, BOTH);
    const dataSet = dataSetOf(CLIENT, ['1.1', '1.2', '1.3']);
    await ask(scu, dataSet);
    await askedOf(servers[1]!);
    await ask(scu, dataSet);
    expect(await nextStatus(scu)).toBe('0210 @7');
    await scu.abort();
    await associationsOf(servers[1]!);
  });
});

describe('as it is', () => {
  const cases: Record<string, Buffer> = {
    'instances of one server': dataSetOf(CLIENT, ['1.1', '1.3']),
    'a data set that cannot be read': Buffer.alloc(10, 1),
    'a data set without a Transaction UID': writeDataSet(
      [sequenceElement(TAG.REFERENCED_SOP_SEQUENCE, [item('1.2')])],
      EXPLICIT,
    ),
    'more than is kept': dataSetOf(
      CLIENT,
      Array.from({ length: 80_000 }, (_, index) => `1.2.826.0.1.3680043.10.1234567890.${100_000 + index}`),
    ),
  };

  test.each(Object.entries(cases))('a request with %s goes on byte for byte', async (_, dataSet) => {
    const servers = [await scp(), await scp()];
    const { scu } = await start(servers, BOTH);
    await ask(scu, dataSet);
    expect(await nextStatus(scu)).toBe('0000 @7');
    expect((await askedOf(servers[0]!)).message.dataSet.equals(dataSet)).toBe(true);
    expect(servers[1]!.associations.length).toBe(0);
    await scu.release();
  });

  test('a report on what nobody asked for here goes to the client byte for byte', async () => {
    const servers = [await scp(), await scp()];
    const { scu } = await start(servers, BOTH);
    await ask(scu, dataSetOf(CLIENT, ['1.1']));
    await nextStatus(scu);
    const asked = await askedOf(servers[0]!);
    for (const dataSet of [dataSetOf('1.2.826.99', ['1.1'], ['1.9']), Buffer.alloc(10, 1)]) {
      await report(asked, 1, dataSet, 2);
      const got = await reported(scu);
      expect(got.dataSet.equals(dataSet)).toBe(true);
      expect(got.command.eventType).toBe(2);
      await answer(scu, got);
    }
    expect(await answersAt(servers[0]!, 2)).toEqual(['1 0000', '1 0000']);
    await scu.release();
  });

  test('other actions and other events are not looked into', async () => {
    const servers = [await scp(), await scp()];
    const { scu } = await start(servers, BOTH);
    const dataSet = dataSetOf(CLIENT, ['1.2']);
    const command = { ...request, actionType: 2, messageId: 7 };
    await scu.send(scu.contextFor(COMMITMENT), command, dataSet);
    expect(await nextStatus(scu)).toBe('0000 @7');
    expect((await askedOf(servers[0]!)).message.dataSet.equals(dataSet)).toBe(true);
    await scu.release();
  });
});
