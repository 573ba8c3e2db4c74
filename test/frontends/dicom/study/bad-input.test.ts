/** Study routing and what breaks the standard: the answer that the design has for it. */
import { describe, expect, test } from 'vitest';
import { COMMAND, responseTo, writeCommand } from '../../../peers/commands.ts';
import type { DimseMessage } from '../../../peers/dicom-peer.ts';
import { accepting, dyingAfter, type ScpAssociation, type ScpScript } from '../../../peers/dicom-scp.ts';
import type { ScuAssociation } from '../../../peers/dicom-scu.ts';
import { CT_IMAGE_STORAGE, pData, pDataSeries, VERIFICATION } from '../../../peers/pdus.ts';
import { createGate } from '../../../peers/waiting.ts';
import { scp } from '../setup.ts';
import {
  element,
  endOf,
  endsAt,
  instanceOf,
  nextStatus,
  open,
  REFUSED,
  received,
  type StudyRig,
  startStudy,
  storeCommand,
} from './start-study.ts';

const MIB = 1024 * 1024;
const SMALL_BUDGET = { study: { replay: { perInstance: MIB, total: 2 * MIB } } };
const INVALID = 'abort 2/6';

const storeOf = (messageId = 1) => writeCommand({ ...storeCommand(instanceOf('1.2.3')), messageId });
const echo = { field: COMMAND.C_ECHO_RQ, sopClass: VERIFICATION, hasDataSet: false };

/** What a client sends that breaks the standard, in the context of CT. */
type Breach = (contextId: number) => readonly Buffer[];

const LIES: Record<string, Breach> = {
  'a group length that is longer': (id) => {
    const command = storeOf();
    command.writeUInt32LE(command.length, 8);
    return [pData(id, 'command', true, command)];
  },
  'an element that is longer than the set': (id) => {
    const command = storeOf();
    command.writeUInt32LE(0x7ffffffe, 16);
    return [pData(id, 'command', true, command)];
  },
  'a set that is cut off': (id) => [pData(id, 'command', true, storeOf().subarray(0, -6))],
  'a set without end': (id) =>
    Array.from({ length: 70 }, () => pData(id, 'command', false, Buffer.alloc(1000))),
};

const begin = (id: number) => pData(id, 'command', true, storeOf());

const BREACHES: Record<string, Breach> = {
  'PDVs for contexts not accepted: a command': () => [pData(99, 'command', true, storeOf())],
  'PDVs for contexts not accepted: a data set': (id) => [
    begin(id),
    pData(99, 'data', true, Buffer.alloc(20)),
  ],
  'odd fragments: of a data set': (id) => [begin(id), pData(id, 'data', true, Buffer.alloc(21))],
  'odd fragments: of a command': (id) => [pData(id, 'command', false, storeOf().subarray(0, 21))],
  'interleaved messages: a command inside a data set': (id) => [
    begin(id),
    pData(id, 'data', false, Buffer.alloc(20)),
    pData(id, 'command', true, writeCommand({ ...echo, messageId: 2 })),
  ],
  'interleaved messages: a data set of another context': (id) => [
    begin(id),
    pData(id === 1 ? 3 : 1, 'data', true, Buffer.alloc(20)),
  ],
  'responses nobody asked for': (id) => [
    pData(
      id,
      'command',
      true,
      writeCommand(responseTo({ ...storeCommand(instanceOf('1')), messageId: 7 }, 0)),
    ),
  ],
};

async function refusesBreach(breach: Breach): Promise<void> {
  const servers = [await scp(), await scp()];
  const rig = await startStudy(servers);
  const scu = await open(rig);
  expect(await scu.store(instanceOf('1.2.3'))).toBe(0);
  for (const bytes of breach(scu.contextFor(CT_IMAGE_STORAGE))) await scu.write(bytes);
  expect(await endOf(scu)).toBe(INVALID);
  const [line] = await rig.associations.count(1);
  expect(line).toMatchObject({ end: 'abort', code: '2/6' });
  expect(received(servers[0]!)).toHaveLength(1);
  // Its server has broken nothing, and is told so; inside a message that was under way it is reset.
  expect(await endsAt(servers[0]!)).toEqual([expect.stringMatching(/^(abort 2\/0|reset)$/)]);
}

describe('command sets that lie about their length', () => {
  test.each(Object.keys(LIES))('from a client, %s: A-ABORT 2/6', async (name) => {
    await refusesBreach(LIES[name]!);
  });

  test('from a server: that one is lost, another one does it', async () => {
    await servedByAnother(async ({ contextId, command }, association) => {
      const lie = writeCommand(responseTo(command, 0));
      lie.writeUInt32LE(2, 8);
      await association.write(pData(contextId, 'command', true, lie));
    });
  });
});

describe('from a client: A-ABORT 2/6', () => {
  test.each(Object.keys(BREACHES))('%s', async (name) => {
    await refusesBreach(BREACHES[name]!);
  });
});

/** Two servers; the first one breaks the standard instead of answering a C-STORE. */
async function servedByAnother(
  breach: (message: DimseMessage, association: ScpAssociation) => Promise<void>,
): Promise<void> {
  const bad = await scp(
    accepting({
      async answer(message, association) {
        if (message.command.field !== COMMAND.C_STORE_RQ) return false;
        await breach(message, association);
        return true;
      },
    }),
  );
  const good = await scp();
  const rig = await startStudy([bad, good]);
  const scu = await open(rig);
  const instance = instanceOf('1.2.3', 1, 200_000);
  expect(await scu.store(instance)).toBe(0);
  const { messages } = good.associations.items[0]!;
  expect(messages.map(({ dataSet }) => dataSet.equals(instance.dataSet))).toEqual([true]);
  expect(await endsAt(bad)).toEqual([INVALID]);
  expect(await scu.echo()).toBe(0);
  await scu.release();
  expect((await rig.associations.count(1))[0]).toMatchObject({
    end: 'release',
    replays: 1,
    operations: { 'C-STORE': { '0000': 1 } },
  });
  expect(rig.placeOf('1.2.3')).toBe('s2');
}

describe('from a server: that server is lost, another one does it', () => {
  test('odd fragments', () =>
    servedByAnother(async ({ contextId }, association) =>
      association.write(pData(contextId, 'command', false, Buffer.alloc(21))),
    ));

  test('PDVs for contexts not accepted', () =>
    servedByAnother(async ({ command }, association) =>
      association.write(pData(99, 'command', true, writeCommand(responseTo(command, 0)))),
    ));

  test('interleaved messages', () =>
    servedByAnother(async ({ contextId, command }, association) => {
      const response = writeCommand(responseTo(command, 0));
      await association.write(pData(contextId, 'command', false, response.subarray(0, 20)));
      await association.write(pData(contextId, 'data', true, Buffer.alloc(20)));
    }));

  test('responses nobody asked for: another operation', () =>
    servedByAnother(async ({ contextId, command }, association) =>
      association.send(contextId, responseTo({ ...command, field: COMMAND.C_FIND_RQ }, 0)),
    ));

  test('an answer without a status is no success', () =>
    servedByAnother(async ({ contextId, command }, association) => {
      const { status: _, ...rest } = responseTo(command, 0);
      await association.send(contextId, rest);
    }));

  test('a server that answers another message id', () =>
    servedByAnother(async ({ contextId, command }, association) =>
      association.send(contextId, responseTo({ ...command, messageId: 4711 }, 0)),
    ));

  test('a server that answers another message id, with no other server: 0xA700, the association lives on', async () => {
    let isBad = true;
    const server = await scp(
      accepting({
        async answer({ contextId, command }, association) {
          if (!isBad) return false;
          isBad = false;
          await association.send(contextId, responseTo({ ...command, messageId: 4711 }, 0));
          return true;
        },
      }),
    );
    const rig = await startStudy([server]);
    const scu = await open(rig);
    expect(await scu.store(instanceOf('1.2.3'))).toBe(REFUSED);
    expect(await scu.store(instanceOf('1.2.3'))).toBe(0);
    await scu.release();
  });
});

test('responses nobody asked for, from a server that has nothing to do: the client sees nothing', async () => {
  const server = await scp();
  const rig = await startStudy([server]);
  const scu = await open(rig);
  expect(await scu.echo()).toBe(0);
  const [association] = server.associations.items;
  await association!.send(1, responseTo({ ...echo, messageId: 1 }, 0));
  expect(await endsAt(server)).toEqual([INVALID]);
  expect(await scu.echo()).toBe(0);
  await scu.release();
});

test('data sets without a study UID go to the lead', async () => {
  const servers = [await scp(), await scp(), await scp()];
  const rig = await startStudy(servers, { pool: { balance: 'round-robin' } });
  const scu = await open(rig);
  for (let number = 1; number <= 4; number++) expect(await scu.store(instanceOf(undefined, number))).toBe(0);
  expect(await scu.store(instanceOf('', 5))).toBe(0);
  expect(
    servers.map(({ associations }) => associations.length).toSorted((one, other) => one - other),
  ).toEqual([0, 0, 1]);
  await scu.release();
});

describe('study UID beyond the replay budget', () => {
  /** So many bytes go before its study UID. */
  function lateStudy(bytes: number) {
    const instance = instanceOf('1.2.3', 9);
    const front = element(0x00091001, 'OB', Buffer.alloc(bytes, 7));
    return {
      ...instance,
      dataSet: Buffer.concat([
        front,
        instance.dataSet.subarray(instance.dataSet.indexOf(Buffer.of(0x20, 0, 0x0d, 0))),
      ]),
    };
  }

  test('0xA700, the association lives on', async () => {
    const server = await scp();
    const rig = await startStudy([server], SMALL_BUDGET);
    const scu = await open(rig);
    expect(await scu.store(lateStudy(3 * MIB))).toBe(REFUSED);
    expect(received(server)).toEqual([]);
    expect(await scu.store(instanceOf('1.2.3', 1))).toBe(0);
    await scu.release();
    expect((await rig.associations.count(1))[0]).toMatchObject({
      end: 'release',
      operations: { 'C-STORE': { A700: 1, '0000': 1 } },
    });
  });

  test('within it, however far: it goes where its study is', async () => {
    const servers = [await scp(), await scp()];
    const rig = await startStudy(servers);
    rig.pin('1.2.3', 's2');
    const scu = await open(rig);
    const instance = lateStudy(3 * MIB);
    expect(await scu.store(instance)).toBe(0);
    expect(servers.map((one) => received(one).length)).toEqual([0, 1]);
    expect(servers[1]!.messages()[0]!.dataSet.equals(instance.dataSet)).toBe(true);
    await scu.release();
  });
});

describe('C-STORE larger than the replay budget', () => {
  const large = instanceOf('1.2.3', 1, 8 * MIB);

  test('it streams to a server that stays', async () => {
    const server = await scp();
    const rig = await startStudy([server], SMALL_BUDGET);
    const scu = await open(rig);
    expect(await scu.store(large)).toBe(0);
    expect(server.messages()[0]!.dataSet.equals(large.dataSet)).toBe(true);
    await scu.release();
  });

  test.each(['first', 'only'])(
    'the %s server is lost in the middle of it: 0xA700 at its end, the association lives on',
    async (which) => {
      const dying = await scp(dyingAfter(5 * MIB));
      const servers = which === 'first' ? [dying, await scp()] : [dying];
      const rig = await startStudy(servers, SMALL_BUDGET);
      const scu = await open(rig);
      expect(await scu.store(large)).toBe(REFUSED);
      expect(servers.flatMap(received)).toEqual([]);
      dying.script = accepting();
      expect(await scu.store(instanceOf('1.2.3', 2))).toBe(0);
      expect(await scu.echo()).toBe(0);
      await scu.release();
    },
  );

  test('its server is lost before the budget is used up: another one gets all of it', async () => {
    const servers = [await scp(dyingAfter(MIB / 2)), await scp()];
    const rig = await startStudy(servers, SMALL_BUDGET);
    const scu = await open(rig);
    await sendSlowly(rig, scu);
    expect(await nextStatus(scu)).toBe('0000 @1');
    expect(servers[1]!.messages()[0]!.dataSet.equals(large.dataSet)).toBe(true);
    await scu.release();
  });

  /** The first 768 KiB, the rest once the other server has been asked. */
  async function sendSlowly(rig: StudyRig, scu: ScuAssociation): Promise<void> {
    const contextId = scu.contextFor(CT_IMAGE_STORAGE);
    const command = writeCommand({ ...storeCommand(large), messageId: 1 });
    const pdus = [...pDataSeries(contextId, 'data', large.dataSet, 65_536)];
    await scu.write(pData(contextId, 'command', true, command));
    for (const one of pdus.slice(0, 12)) await scu.write(one);
    await until(() => rig.servers[1]!.active === 1);
    for (const one of pdus.slice(12)) await scu.write(one);
  }
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

describe('duplicate instances on two associations at once', () => {
  test('one server has both, and each client gets its own answer', async () => {
    const gate = createGate();
    const script: ScpScript = accepting({
      holdResponse: gate.opened,
      status: (_, association) => (association.parsed?.calling === 'CT1' ? 0 : 0xb000),
    });
    const servers = [await scp(script), await scp(script)];
    const rig = await startStudy(servers, { pool: { balance: 'round-robin' } });
    const [one, two] = [await open(rig, { calling: 'CT1' }), await open(rig, { calling: 'CT2' })];
    const statuses = Promise.all([one.store(instanceOf('1.2.3')), two.store(instanceOf('1.2.3'))]);
    await until(() => servers.flatMap(received).length === 2);
    gate.open();
    expect(await statuses).toEqual([0, 0xb000]);
    expect(servers.map((server) => received(server).length).toSorted((one, other) => one - other)).toEqual([
      0, 2,
    ]);
    await one.release();
    await two.release();
  });

  test('the server dies: both are replayed to one other server', async () => {
    const gate = createGate();
    const dying: ScpScript = accepting({
      async answer({ command }, association) {
        if (command.field !== COMMAND.C_STORE_RQ) return false;
        await gate.opened;
        association.connection.reset();
        return true;
      },
    });
    const servers = [await scp(dying), await scp(), await scp()];
    const rig = await startStudy(servers);
    const [one, two] = [await open(rig), await open(rig)];
    const statuses = Promise.all([one.store(instanceOf('1.2.3')), two.store(instanceOf('1.2.3'))]);
    await until(() => received(servers[0]!).length === 2);
    gate.open();
    expect(await statuses).toEqual([0, 0]);
    expect(servers.slice(1).map((server) => received(server).length)).toEqual([2, 0]);
    await one.release();
    await two.release();
  });
});

test('a message id that is in use: 0x0210, once, and the association lives on', async () => {
  const gate = createGate();
  const server = await scp(accepting({ holdResponse: gate.opened }));
  const rig = await startStudy([server]);
  const scu = await open(rig);
  const echoOf = (messageId: number) => pData(1, 'command', true, writeCommand({ ...echo, messageId }));
  await scu.write(echoOf(1));
  await scu.write(echoOf(1));
  expect(await nextStatus(scu)).toBe('0210 @1');
  gate.open();
  expect(await nextStatus(scu)).toBe('0000 @1');
  await scu.write(echoOf(2));
  expect(await nextStatus(scu)).toBe('0000 @2');
  await scu.release();
});
