/** What is not C-STORE: queries, C-CANCEL, and what servers ask of the client themselves. */
import { describe, expect, test } from 'vitest';
import type { Pool } from '../../../../src/pools/pool.ts';
import { COMMAND, type Command, responseTo } from '../../../peers/commands.ts';
import type { DimseMessage } from '../../../peers/dicom-peer.ts';
import { accepting, type Scp, type ScpAssociation } from '../../../peers/dicom-scp.ts';
import type { ScuAssociation } from '../../../peers/dicom-scu.ts';
import { VERIFICATION } from '../../../peers/pdus.ts';
import { scp } from '../setup.ts';
import { poolOf } from '../start-front-end.ts';
import {
  element,
  endOf,
  instanceOf,
  nextStatus,
  open,
  queryFor,
  received,
  STUDY_FIND,
  STUDY_GET,
  STUDY_MOVE,
  type StudyRig,
  type StudySketch,
  startStudy,
  storeCommand,
} from './start-study.ts';

const MIB = 1024 * 1024;
const N_EVENT_REPORT = 0x0100;
const CANCELLED = 0xfe00;
const PENDING = 0xff00;
const STUDIES = ['1.2.1', '1.2.2'] as const;

/** `1.2.1` is on the lead, `1.2.2` on the other server. */
async function twoServers(
  answer: (message: DimseMessage, association: ScpAssociation) => Promise<boolean>,
  sketch: StudySketch = {},
): Promise<{ rig: StudyRig; servers: Scp[] }> {
  const servers = [await scp(accepting({ answer })), await scp(accepting({ answer }))];
  const rig = await startStudy(servers, sketch);
  for (const [index, study] of STUDIES.entries()) rig.pin(study, `s${index + 1}`);
  return { rig, servers };
}

function fields({ associations }: Scp): number[] {
  return associations.items.flatMap(({ messages }) => messages.map(({ command }) => command.field));
}

describe('queries', () => {
  const NOTHING = async () => false;

  test.each([
    ['C-FIND', COMMAND.C_FIND_RQ, STUDY_FIND],
    ['C-MOVE', COMMAND.C_MOVE_RQ, STUDY_MOVE],
    ['C-GET', COMMAND.C_GET_RQ, STUDY_GET],
  ])('%s with a study UID goes where the study is, without one to the lead', async (_, field, sopClass) => {
    const { rig, servers } = await twoServers(NOTHING);
    const scu = await open(rig);
    for (const study of ['1.2.2', '1.2.1', undefined, '1.2.9'])
      expect(await scu.operate({ field, sopClass, hasDataSet: true }, queryFor(study))).toBe(0);
    expect(servers.map(fields)).toEqual([[field, field, field], [field]]);
    expect(servers[1]!.messages()[0]!.dataSet.equals(queryFor('1.2.2'))).toBe(true);
    await scu.release();
  });

  test('for a study that a rule of its images sent elsewhere go where it is; a rule of their own goes first', async () => {
    const servers = [await scp(), await scp(), await scp()] as const;
    const pools = servers.slice(1).map(({ address }, index) => poolOf(['CT', 'INDEX'][index]!, [address]));
    const rule = (name: string, pattern: string, pool: Pool | undefined) => ({
      when: { facts: [{ name, patterns: [pattern] }] },
      pool,
    });
    const rules = () => [rule('command', 'C-STORE', pools[0]), rule('accession', 'A-1', pools[1])];
    const rig = await startStudy(servers.slice(0, 1), { rules });
    const scu = await open(rig);
    expect(await scu.store(instanceOf('1.2.5'))).toBe(0);
    const query = { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true };
    expect(await scu.operate(query, queryFor('1.2.5'))).toBe(0);
    const accession = element(0x00080050, 'SH', Buffer.from('A-1 '));
    expect(await scu.operate(query, Buffer.concat([accession, queryFor('1.2.5')]))).toBe(0);
    const { C_STORE_RQ, C_FIND_RQ } = COMMAND;
    expect(servers.map(fields)).toEqual([[], [C_STORE_RQ, C_FIND_RQ], [C_FIND_RQ]]);
    await scu.release();
  });

  test('pending responses and their data sets come back as they are', async () => {
    const { rig } = await twoServers(async ({ contextId, command }, association) => {
      for (const study of STUDIES)
        await association.send(
          contextId,
          { ...responseTo(command, PENDING), hasDataSet: true },
          queryFor(study),
        );
      return false;
    });
    const scu = await open(rig);
    await scu.start({ field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true }, queryFor('1.2.2'));
    for (const study of STUDIES)
      expect(await scu.next()).toMatchObject({ command: { status: PENDING }, dataSet: queryFor(study) });
    expect(await nextStatus(scu)).toBe('0000 @1');
    await scu.release();
  });

  test('a response that is larger than what is kept passes while it comes', async () => {
    const large = Buffer.alloc(3 * MIB, 7);
    const { rig } = await twoServers(async ({ contextId, command }, association) => {
      await association.send(contextId, { ...responseTo(command, PENDING), hasDataSet: true }, large);
      return false;
    });
    const scu = await open(rig);
    await scu.start({ field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true }, queryFor('1.2.2'));
    const arrival = await scu.next();
    expect(arrival.kind === 'message' && arrival.dataSet.equals(large)).toBe(true);
    expect(await nextStatus(scu)).toBe('0000 @1');
    await scu.release();
  });
});

test('C-CANCEL follows at once to the server that has the operation', async () => {
  const { rig, servers } = await twoServers(async ({ contextId, command }, association) => {
    if (command.field === COMMAND.C_CANCEL_RQ) {
      await association.send(contextId, {
        field: COMMAND.C_FIND_RSP,
        respondsTo: command.respondsTo!,
        status: CANCELLED,
        hasDataSet: false,
      });
      return true;
    }
    return command.field === COMMAND.C_FIND_RQ;
  });
  const scu = await open(rig);
  const find = { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true };
  const ids = [];
  for (const study of STUDIES) ids.push(await scu.start(find, queryFor(study)));
  await Promise.all(
    servers.map(({ associations }) => associations.find(({ messages }) => messages.length > 0)),
  );
  const cancel = (id: number | undefined) =>
    scu.send(scu.contextFor(STUDY_FIND), { field: COMMAND.C_CANCEL_RQ, respondsTo: id!, hasDataSet: false });
  await cancel(ids[1]);
  expect(await nextStatus(scu)).toBe(`fe00 @${ids[1]}`);
  await cancel(ids[0]);
  expect(await nextStatus(scu)).toBe(`fe00 @${ids[0]}`);
  // What is not open any more has nothing to cancel.
  await cancel(ids[0]);
  expect(await scu.echo()).toBe(0);
  expect(servers.map(fields)).toEqual([
    [COMMAND.C_FIND_RQ, COMMAND.C_CANCEL_RQ, COMMAND.C_ECHO_RQ],
    [COMMAND.C_FIND_RQ, COMMAND.C_CANCEL_RQ],
  ]);
  await scu.release();
});

describe('C-GET sub-operations from two servers', () => {
  /** Sends `count` instances of `size` bytes, one after another, with ids that are the same on every server. */
  const storing =
    (count: number, size: number) =>
    async ({ contextId, command, dataSet }: DimseMessage, association: ScpAssociation): Promise<boolean> => {
      if (command.field !== COMMAND.C_GET_RQ) return false;
      const study = dataSet.includes(Buffer.from(STUDIES[1])) ? 2 : 1;
      for (let number = 1; number <= count; number++) {
        const instance = instanceOf(STUDIES[study - 1], study * 100 + number, size);
        await association.send(3, { ...storeCommand(instance), messageId: number }, instance.dataSet);
        const arrival = await association.next();
        if (arrival.kind !== 'message' || arrival.command.status !== study * 16 + number)
          throw new Error('not the response to this one');
      }
      await association.send(contextId, responseTo(command, 0));
      return true;
    };

  const get = { field: COMMAND.C_GET_RQ, sopClass: STUDY_GET, hasDataSet: true };

  /** Answers each C-STORE with a status that tells which it was, and reads on until so many C-GETs are over. */
  async function takeAll(scu: ScuAssociation, gets: number): Promise<string[]> {
    const stored: string[] = [];
    for (let left = gets; left > 0; ) {
      const arrival = await scu.next();
      if (arrival.kind !== 'message') throw new Error(`there came: ${arrival.kind}`);
      const { command, contextId, dataSet } = arrival;
      if (command.field !== COMMAND.C_STORE_RQ) {
        left--;
        continue;
      }
      const number = Number(command.sopInstance!.split('.').at(-1));
      const study = Math.floor(number / 100);
      const size = dataSet.length - instanceOf(STUDIES[study - 1], number, 0).dataSet.length;
      expect(dataSet.equals(instanceOf(STUDIES[study - 1], number, size).dataSet)).toBe(true);
      await scu.send(contextId, responseTo(command, study * 16 + (number % 100)));
      stored.push(command.sopInstance!);
    }
    return stored;
  }

  test.each([
    ['small', 5, 64],
    ['large', 2, 3 * MIB],
  ])('come one at a time, %s ones, and each server gets its own responses', async (_, count, size) => {
    const { rig } = await twoServers(storing(count, size));
    const scu = await open(rig);
    for (const study of STUDIES) await scu.start(get, queryFor(study));
    const stored = await takeAll(scu, 2);
    expect(stored).toHaveLength(2 * count);
    expect(new Set(stored).size).toBe(2 * count);
    await scu.release();
  });

  test('a server that is lost before its request went out: the other one’s go on', async () => {
    const { rig, servers } = await twoServers(async (message, association) => {
      if (association.connection.socket.localPort === servers[1]!.address.port) {
        const instance = instanceOf(STUDIES[1], 201);
        await association.send(3, { ...storeCommand(instance), messageId: 1 }, instance.dataSet);
        association.connection.end();
        return true;
      }
      return storing(2, 64)(message, association);
    });
    const scu = await open(rig);
    await scu.start(get, queryFor(STUDIES[0]));
    const first = await scu.next();
    expect(first).toMatchObject({ command: { field: COMMAND.C_STORE_RQ } });
    await scu.start(get, queryFor(STUDIES[1]));
    // Its request waits for the response to the one before; then it is gone.
    expect(await nextStatus(scu)).toBe('a702 @2');
    if (first.kind !== 'message') throw new Error('no message');
    await scu.send(first.contextId, responseTo(first.command, 17));
    const stored = await takeAll(scu, 1);
    expect(stored).toHaveLength(1);
    await scu.release();
  });

  test('the client answers what nobody asked, with the id of what was answered: A-ABORT 2/6', async () => {
    const { rig } = await twoServers(storing(1, 64));
    const scu = await open(rig);
    await scu.start(get, queryFor(STUDIES[1]));
    const arrival = await scu.next();
    if (arrival.kind !== 'message') throw new Error('no message');
    const answer = responseTo(arrival.command, 33);
    await scu.send(arrival.contextId, answer);
    expect(await nextStatus(scu)).toBe('0000 @1');
    await scu.send(arrival.contextId, answer);
    expect(await endOf(scu)).toBe('abort 2/6');
  });

  test('the client answers nobody in particular: A-ABORT 2/6', async () => {
    const { rig } = await twoServers(storing(1, 64));
    const scu = await open(rig);
    await scu.send(1, { field: COMMAND.C_ECHO_RSP, status: 0, hasDataSet: false });
    expect(await endOf(scu)).toBe('abort 2/6');
  });

  test('the client answers with another operation’s response: A-ABORT 2/6', async () => {
    const { rig } = await twoServers(storing(1, 64));
    const scu = await open(rig);
    await scu.start(get, queryFor(STUDIES[1]));
    const arrival = await scu.next();
    if (arrival.kind !== 'message') throw new Error('no message');
    await scu.send(arrival.contextId, { ...responseTo(arrival.command, 0), field: COMMAND.C_ECHO_RSP });
    expect(await endOf(scu)).toBe('abort 2/6');
  });
});

test('N-EVENT-REPORT of a server reaches the client, and its response the server', async () => {
  const report: Command = {
    field: N_EVENT_REPORT,
    sopClass: VERIFICATION,
    sopInstance: '1.2.3.4',
    messageId: 1,
    hasDataSet: true,
  };
  const { rig, servers } = await twoServers(async ({ command }, association) => {
    if (command.field !== COMMAND.C_STORE_RQ) return false;
    await association.send(1, report, queryFor('1.2.2'));
    return false;
  });
  const scu = await open(rig);
  const instance = instanceOf('1.2.2');
  await scu.start(storeCommand(instance), instance.dataSet);
  const seen = [await scu.next(), await scu.next()];
  const asked = seen.find((one) => one.kind === 'message' && one.command.field === N_EVENT_REPORT)!;
  expect(asked).toMatchObject({ command: report, dataSet: queryFor('1.2.2') });
  // Its data set is larger than a chunk.
  const body = Buffer.alloc(600_000, 5);
  await scu.send(1, { ...responseTo(report, 0), hasDataSet: true }, body);
  await servers[1]!.associations.find(({ messages }) => messages.length === 2);
  const answer = servers[1]!.messages()[1]!;
  expect([answer.command.respondsTo, answer.dataSet.equals(body)]).toEqual([1, true]);
  expect(received(servers[0]!)).toEqual([]);
  await scu.release();
});

test('a server may ask for more than one response: the next request of a server waits for the last one', async () => {
  const find = { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, messageId: 5, hasDataSet: false };
  const report = {
    field: N_EVENT_REPORT,
    sopClass: VERIFICATION,
    sopInstance: '1.2',
    messageId: 6,
    hasDataSet: false,
  };
  const { rig, servers } = await twoServers(async ({ command }, association) => {
    if (command.field !== COMMAND.C_STORE_RQ) return false;
    await association.send(1, find);
    await association.send(1, report);
    return false;
  });
  const scu = await open(rig);
  const instance = instanceOf('1.2.2');
  await scu.start(storeCommand(instance), instance.dataSet);
  expect([await scu.next(), await scu.next()]).toMatchObject([{ command: find }, { command: { status: 0 } }]);
  for (const status of [PENDING, PENDING, 0]) {
    expect(scu.connection.buffered).toBe(0);
    await scu.send(1, responseTo(find, status));
  }
  expect(await scu.next()).toMatchObject({ command: report });
  await scu.send(1, responseTo(report, 0));
  await servers[1]!.associations.find(({ messages }) => messages.length === 5);
  const answers = servers[1]!.messages().map(({ command }) => command.status);
  expect(answers).toEqual([undefined, PENDING, PENDING, 0, 0]);
  await scu.release();
});

test('a response to a server that is gone is dropped, however large it is', async () => {
  const { rig, servers } = await twoServers(async ({ command }, association) => {
    if (command.field !== COMMAND.C_STORE_RQ) return false;
    await association.send(1, {
      field: N_EVENT_REPORT,
      sopClass: VERIFICATION,
      sopInstance: '1.2',
      messageId: 1,
      hasDataSet: false,
    });
    return false;
  });
  const scu = await open(rig);
  const instance = instanceOf('1.2.2');
  await scu.start(storeCommand(instance), instance.dataSet);
  await scu.next();
  await scu.next();
  servers[1]!.associations.items[0]!.connection.reset();
  while (rig.servers[1]!.active > 0) await new Promise(setImmediate);
  const response = { field: N_EVENT_REPORT | 0x8000, respondsTo: 1, status: 0, hasDataSet: true };
  await scu.send(1, response, Buffer.alloc(8 * MIB));
  expect(await scu.echo()).toBe(0);
  for (const budget of rig.budgets()) expect(budget.kept).toBe(0);
  await scu.release();
});
