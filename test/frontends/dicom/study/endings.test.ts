/** How associations of study routing end: to the client, and to every server that takes part. */
import { describe, expect, test } from 'vitest';
import { COMMAND, responseTo, writeCommand } from '../../../peers/commands.ts';
import { accepting, type Scp, type ScpAssociation, type ScpScript } from '../../../peers/dicom-scp.ts';
import type { ScuAssociation } from '../../../peers/dicom-scu.ts';
import { pData, releaseRequest } from '../../../peers/pdus.ts';
import { createGate } from '../../../peers/waiting.ts';
import { scp } from '../setup.ts';
import {
  endOf,
  endsAt,
  instanceOf,
  nextStatus,
  open,
  PATIENT,
  queryFor,
  received,
  STUDY_FIND,
  type StudyRig,
  type StudySketch,
  startStudy,
  storeCommand,
} from './start-study.ts';

const MIB = 1024 * 1024;
const ELSEWHERE = '1.2.2';

/** A client whose instances are on two servers, both open. */
async function onTwoServers(
  further: ScpScript = accepting(),
  sketch: StudySketch = {},
): Promise<{ rig: StudyRig; servers: readonly [Scp, Scp]; scu: ScuAssociation }> {
  const servers = [await scp(), await scp(further)] as const;
  const rig = await startStudy(servers, sketch);
  rig.pin(ELSEWHERE, 's2');
  const scu = await open(rig);
  expect(await scu.store(instanceOf('1.2.1', 1))).toBe(0);
  expect(await scu.store(instanceOf(ELSEWHERE, 2))).toBe(0);
  return { rig, servers, scu };
}

async function endsAtBoth(servers: readonly Scp[]): Promise<string[]> {
  return (await Promise.all(servers.map((server) => endsAt(server)))).flat();
}

/** The association takes bytes until so many have come. */
async function came(one: Scp, bytes: number): Promise<void> {
  const [{ connection }] = (await one.associations.count(1)) as [ScpAssociation];
  while (connection.bytesReceived < bytes) await new Promise(setImmediate);
}

describe('client release', () => {
  test('releases every server, and is answered', async () => {
    const { rig, servers, scu } = await onTwoServers();
    await scu.release();
    expect(await endsAtBoth(servers)).toEqual(['release', 'release']);
    expect((await rig.associations.count(1))[0]).toMatchObject({
      end: 'release',
      servers: { s1: 1, s2: 1 },
    });
  });

  test('is answered within the time for it even when a server never answers, which is aborted', async () => {
    const stubborn: ScpScript = async (association) => {
      await association.receiveRequest();
      await association.sendAccept();
      const arrival = await association.next();
      if (arrival.kind !== 'message') throw new Error('no message');
      await association.send(arrival.contextId, responseTo(arrival.command, 0));
      for (;;) {
        const { kind } = await association.next();
        if (kind === 'abort' || kind === 'ended') {
          association.ended('abort');
          association.connection.end();
          return;
        }
      }
    };
    const { rig, servers, scu } = await onTwoServers(stubborn);
    const released = scu.release();
    expect(await endsAt(servers[0])).toEqual(['release']);
    await rig.advance(PATIENT.release);
    await released;
    expect(await endsAt(servers[1])).toEqual(['abort']);
  });

  test('with an operation open ends that too', async () => {
    const { servers, scu } = await onTwoServers(
      accepting({ status: ({ command }) => (command.field === COMMAND.C_STORE_RQ ? 0 : undefined) }),
    );
    await scu.start(
      { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true },
      queryFor(ELSEWHERE),
    );
    await servers[1].associations.find(({ messages }) => messages.length === 2);
    await scu.release();
    expect(await endsAtBoth(servers)).toEqual(['release', 'release']);
  });

  test('and FIN behind it: the servers are released, and the client gets its answer', async () => {
    const { rig, servers, scu } = await onTwoServers();
    await scu.write(releaseRequest());
    scu.connection.end();
    expect((await scu.next()).kind).toBe('release-response');
    expect(await endsAtBoth(servers)).toEqual(['release', 'release']);
    expect((await rig.associations.count(1))[0]).toMatchObject({ end: 'release' });
  });

  test('and a message after it: A-ABORT 2/2', async () => {
    const { servers, scu } = await onTwoServers();
    const echo = writeCommand({ field: COMMAND.C_ECHO_RQ, messageId: 9, hasDataSet: false });
    await scu.write(Buffer.concat([releaseRequest(), pData(1, 'command', true, echo)]));
    expect(await endOf(scu)).toBe('abort 2/2');
    expect(servers.flatMap((server) => server.messages())).toHaveLength(2);
  });
});

describe('client abort and client loss abort all', () => {
  test('abort: its source and reason reach every server', async () => {
    const { rig, servers, scu } = await onTwoServers();
    await scu.abort(0, 0);
    expect(await endsAtBoth(servers)).toEqual(['abort 0/0', 'abort 0/0']);
    expect((await rig.associations.count(1))[0]).toMatchObject({ end: 'abort', code: '0/0' });
  });

  test.each(['reset', 'end'] as const)('loss by %s', async (how) => {
    const { servers, scu } = await onTwoServers();
    scu.connection[how]();
    expect(await endsAtBoth(servers)).toEqual(['abort 2/0', 'abort 2/0']);
  });

  test('abort between two PDUs of an instance: an A-ABORT to its server', async () => {
    const { servers, scu } = await onTwoServers();
    await scu.start(storeCommand(instanceOf(ELSEWHERE)));
    await scu.write(pData(3, 'data', false, instanceOf(ELSEWHERE).dataSet));
    await scu.abort(0, 0);
    expect(await endsAtBoth(servers)).toEqual(['abort 0/0', 'abort 0/0']);
  });

  test('no A-ABORT inside a PDU, reset instead: a client lost inside one, and the server that has half of it', async () => {
    const { servers, scu } = await onTwoServers();
    const { dataSet } = instanceOf(ELSEWHERE, 3, 10_000);
    const before = servers[1].associations.items[0]!.connection.bytesReceived;
    await scu.start(storeCommand(instanceOf(ELSEWHERE, 3)));
    await scu.write(pData(3, 'data', true, dataSet).subarray(0, 5000));
    await came(servers[1], before + 5000);
    scu.connection.reset();
    expect(await endsAtBoth(servers)).toEqual(['abort 2/0', 'reset']);
  });
});

/** Answers a C-FIND with so many bytes of a data set of 512 KiB, and goes, if need be when that is `taken`. */
function dyingInAnswer(bytes: number, taken?: Promise<void>): ScpScript {
  return accepting({
    async answer({ contextId, command }, association) {
      if (command.field !== COMMAND.C_FIND_RQ) return false;
      const pending = { ...responseTo(command, 0xff00), hasDataSet: true };
      await association.write(pData(contextId, 'command', true, writeCommand(pending)));
      const data = pData(contextId, 'data', false, Buffer.alloc(16_000, 7));
      const all = Buffer.concat(Array.from({ length: 32 }, () => data));
      await association.write(all.subarray(0, bytes));
      await taken;
      association.connection.end();
      return true;
    },
  });
}

describe('a server lost inside a large message to the client', () => {
  const find = { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true };

  test('between two PDUs: A-ABORT', async () => {
    const gate = createGate();
    const bytes = 16_012 * 30;
    const { servers, scu } = await onTwoServers(dyingInAnswer(bytes, gate.opened));
    const before = scu.connection.bytesReceived;
    await scu.start(find, queryFor(ELSEWHERE));
    // While the client has not taken it all, nothing could follow.
    while (scu.connection.bytesReceived < before + bytes) await new Promise(setImmediate);
    gate.open();
    expect(await endOf(scu)).toBe('abort 2/0');
    expect(await endsAtBoth(servers.slice(0, 1))).toEqual(['abort 2/0']);
  });

  test('inside a PDU: no A-ABORT, reset instead', async () => {
    const { servers, scu } = await onTwoServers(dyingInAnswer(16_012 * 30 + 5000));
    await scu.start(find, queryFor(ELSEWHERE));
    expect(await endOf(scu)).toBe('reset');
    expect(await endsAtBoth(servers.slice(0, 1))).toEqual(['abort 2/0']);
  });

  test('in a small one: the client gets nothing of it, and a failure', async () => {
    const { scu } = await onTwoServers(dyingInAnswer(16_012 * 3 + 5000));
    await scu.start(find, queryFor(ELSEWHERE));
    expect(await nextStatus(scu)).toBe('a700 @3');
    expect(await scu.echo()).toBe(0);
    await scu.release();
  });
});

test('a server that releases inside a PDU that it is being sent: reset, and another one stores the instance', async () => {
  let bytes: Buffer | undefined;
  const releasing: ScpScript = async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    await association.readPdu();
    await association.connection.read(3000);
    await association.write(releaseRequest());
    const rest = await association.connection.readToEnd();
    bytes = rest.bytes;
    association.ended(rest.ending);
  };
  const servers = [await scp(releasing), await scp()];
  const rig = await startStudy(servers);
  const scu = await open(rig);
  const instance = instanceOf('1.2.3', 1, 12_000);
  const data = pData(3, 'data', true, instance.dataSet);
  await scu.start(storeCommand(instance));
  await scu.write(data.subarray(0, 5000));
  expect(await endsAt(servers[0]!)).toEqual(['reset']);
  expect(bytes!.length).toBeLessThanOrEqual(2000);
  await scu.write(data.subarray(5000));
  expect(await nextStatus(scu)).toBe('0000 @1');
  expect(servers[1]!.messages()[0]!.dataSet.equals(instance.dataSet)).toBe(true);
  await scu.release();
});

describe('stall', () => {
  const timeouts = { stall: 20_000, idle: 20_000 };

  /** Until `isSo` time passes in leaps, between which everything moves that can: only who is stuck stalls. */
  async function leap(rig: StudyRig, isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate);
      await rig.advance(timeouts.stall);
    }
  }

  test('of a server that takes no more inside an instance: another one stores it', async () => {
    const deaf: ScpScript = async (association) => {
      await association.receiveRequest();
      await association.sendAccept();
      association.connection.pause();
      await association.connection.ending;
    };
    const servers = [await scp(deaf), await scp()];
    const rig = await startStudy(servers, {
      timeouts,
      study: { replay: { perInstance: 64 * MIB, total: 64 * MIB } },
    });
    const scu = await open(rig);
    const instance = instanceOf('1.2.3', 1, 24 * MIB);
    const stored = scu.store(instance);
    await leap(rig, () => rig.servers[1]!.active > 0);
    expect(await stored).toBe(0);
    expect(servers[1]!.messages()[0]!.dataSet.equals(instance.dataSet)).toBe(true);
    await scu.release();
  });

  test.each([
    ['inside a PDU', (response: Buffer) => pData(3, 'command', true, response).subarray(0, 40)],
    ['between two PDUs', (response: Buffer) => pData(3, 'command', false, response.subarray(0, 40))],
  ])('of a server inside its answer, %s: another one stores it', async (_, partOf) => {
    const half = accepting({
      async answer({ command }, association) {
        await association.write(partOf(writeCommand(responseTo(command, 0))));
        return true;
      },
    });
    const servers = [await scp(half), await scp()];
    const rig = await startStudy(servers, { timeouts });
    const scu = await open(rig);
    const stored = scu.store(instanceOf('1.2.3'));
    await servers[0]!.associations.find(({ messages }) => messages.length === 1);
    await leap(rig, () => rig.servers[1]!.active > 0);
    expect(await stored).toBe(0);
    expect(servers.map((server) => received(server).length)).toEqual([1, 1]);
    await scu.release();
  });

  test.each([
    ['between two PDUs', 0, 'abort 2/0', 'abort 2/0'],
    ['inside a PDU', 200, 'abort 2/0', 'reset'],
  ])('of the client inside an instance, %s: abort', async (_, bytes, atClient, atServer) => {
    const server = await scp();
    const rig = await startStudy([server], { timeouts });
    const scu = await open(rig);
    await scu.start(storeCommand(instanceOf('1.2.3')));
    const data = pData(3, 'data', false, instanceOf('1.2.3').dataSet);
    await scu.write(
      Buffer.concat([data, data.subarray(0, bytes)]).subarray(0, data.length + Math.min(bytes, 100)),
    );
    await leap(rig, () => rig.associations.length > 0);
    expect(await endOf(scu)).toBe(atClient);
    expect(await endsAt(server)).toEqual([atServer]);
    expect((await rig.associations.count(1))[0]).toMatchObject({
      end: 'abort',
      detail: 'the client stalled inside a message',
    });
  });

  test('of the client that takes no answer: it is lost, and nobody else', async () => {
    const talkative = accepting({
      async answer({ contextId, command }, association) {
        if (command.field !== COMMAND.C_FIND_RQ) return false;
        const pending = { ...responseTo(command, 0xff00), hasDataSet: true };
        // Until nobody reads any more.
        while (!association.connection.socket.destroyed && association.connection.socket.writable)
          await association.send(contextId, pending, Buffer.alloc(MIB));
        return true;
      },
    });
    const server = await scp(talkative);
    const rig = await startStudy([server], { timeouts });
    const scu = await open(rig);
    scu.connection.pause();
    await scu.start({ field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true }, queryFor('1.2.3'));
    await leap(rig, () => rig.associations.length > 0);
    const [line] = rig.associations.items;
    expect(line).toMatchObject({ end: 'abort', detail: 'the client stalled inside a message' });
    scu.connection.resume();
    await scu.connection.ending;
    expect(rig.servers[0]!.load.operations).toBe(0);
    scu.connection.end();
  });

  test('a server that has all of an instance may take its time', async () => {
    const gate = createGate();
    const server = await scp(accepting({ holdResponse: gate.opened }));
    const rig = await startStudy([server], { timeouts });
    const scu = await open(rig);
    const stored = scu.store(instanceOf('1.2.3'));
    await server.associations.find(({ messages }) => messages.length === 1);
    // A client that says nothing is cut twice meanwhile.
    for (let clock = 0; clock < 2; clock++) {
      const silent = await open(rig);
      await rig.advance(timeouts.idle);
      expect(await endOf(silent)).toBe('abort 2/0');
    }
    gate.open();
    expect(await stored).toBe(0);
    await scu.release();
  });
});

test('shutdown: an abort to everybody', async () => {
  const { rig, servers, scu } = await onTwoServers();
  const closed = rig.frontEnd.close();
  expect(await endOf(scu)).toBe('abort 2/0');
  await closed;
  expect(await endsAtBoth(servers)).toEqual(['abort 2/0', 'abort 2/0']);
});
