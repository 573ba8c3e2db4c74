/** Independent archives: a study stays on its server whatever becomes of that, and nobody answers for the others. */
import { describe, expect, test } from 'vitest';
import { COMMAND } from '../../../peers/commands.ts';
import { accepting, dyingAfter, type Scp } from '../../../peers/dicom-scp.ts';
import { scp } from '../setup.ts';
import { poolOf } from '../start-front-end.ts';
import {
  instanceOf,
  open,
  queryFor,
  REFUSED,
  received,
  STUDY_FIND,
  STUDY_MOVE,
  type StudyRig,
  type StudySketch,
  startStudy,
} from './start-study.ts';

const STUDY = '1.2.2';
const UNABLE = 0xc000;
const WORKLIST = '1.2.840.10008.5.1.4.31';
const find = { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true };

/** The lead is `s1`, a study is on `s2`. */
async function archives(sketch: StudySketch = {}): Promise<{ rig: StudyRig; servers: readonly [Scp, Scp] }> {
  const servers = [await scp(), await scp()] as const;
  const rig = await startStudy(servers, { ...sketch, study: { storage: 'separate' } });
  rig.pin(STUDY, 's2');
  return { rig, servers };
}

describe('a pinned study whose server is away', () => {
  test('0xA700, never elsewhere; the server is back: it goes on there', async () => {
    const { rig, servers } = await archives();
    const scu = await open(rig);
    expect(await scu.store(instanceOf(STUDY, 1))).toBe(0);
    await servers[1].stop();
    expect(await scu.store(instanceOf(STUDY, 2))).toBe(REFUSED);
    expect(await scu.store(instanceOf(STUDY, 3, 3_000_000))).toBe(REFUSED);
    expect(await scu.store(instanceOf('1.2.1', 4))).toBe(0);
    await servers[1].restart();
    expect(await scu.store(instanceOf(STUDY, 2))).toBe(0);
    expect(received(servers[0])).toEqual([instanceOf('1.2.1', 4).sopInstance]);
    expect(received(servers[1])).toEqual([1, 2].map((number) => instanceOf(STUDY, number).sopInstance));
    await scu.release();
  });

  test('lost in the middle of an instance: 0xA700, never elsewhere', async () => {
    const { rig, servers } = await archives();
    servers[1].script = dyingAfter(20_000);
    const scu = await open(rig);
    expect(await scu.store(instanceOf(STUDY, 1, 60_000))).toBe(REFUSED);
    servers[1].script = accepting();
    expect(await scu.store(instanceOf(STUDY, 1, 60_000))).toBe(0);
    expect(servers.map((server) => received(server).length)).toEqual([0, 1]);
    await scu.release();
  });

  test('that was halted: 0xA700 until it is online again', async () => {
    const { rig, servers } = await archives();
    const scu = await open(rig);
    rig.servers[1]!.halt();
    expect(await scu.store(instanceOf(STUDY, 1))).toBe(REFUSED);
    rig.servers[1]!.online();
    expect(await scu.store(instanceOf(STUDY, 1))).toBe(0);
    expect(servers.map((server) => received(server).length)).toEqual([0, 1]);
    await scu.release();
  });

  test('queries for it fail, and are not answered by another one', async () => {
    const { rig, servers } = await archives();
    const scu = await open(rig);
    expect(await scu.operate(find, queryFor(STUDY))).toBe(0);
    expect(servers[1].messages()).toHaveLength(1);
    rig.servers[1]!.halt();
    while (rig.servers[1]!.active > 0) await new Promise(setImmediate);
    expect(await scu.operate(find, queryFor(STUDY))).toBe(REFUSED);
    const move = { field: COMMAND.C_MOVE_RQ, sopClass: STUDY_MOVE, hasDataSet: true };
    expect(await scu.operate(move, queryFor(STUDY))).toBe(0xa702);
    rig.servers[1]!.online();
    await servers[1].stop();
    expect(await scu.operate(find, queryFor(STUDY))).toBe(REFUSED);
    expect(servers[0].messages()).toEqual([]);
    await scu.release();
  });
});

test('a study that nobody has yet goes to the next server when its first one cannot be had, and stays there', async () => {
  const { rig, servers } = await archives({ pool: { balance: 'first' } });
  const scu = await open(rig);
  await servers[0].stop();
  while (rig.servers[0]!.active > 0) await new Promise(setImmediate);
  expect(await scu.store(instanceOf('1.2.7', 1))).toBe(0);
  await servers[0].restart();
  expect(await scu.store(instanceOf('1.2.7', 2))).toBe(0);
  expect(servers.map((server) => received(server).length)).toEqual([0, 2]);
  await scu.release();
});

describe('queries without a study', () => {
  test('0xC000 without a rule: no server sees all studies', async () => {
    const { rig, servers } = await archives();
    const scu = await open(rig);
    expect(await scu.operate(find, queryFor(undefined))).toBe(UNABLE);
    expect(servers.flatMap((server) => server.messages())).toEqual([]);
    expect(await scu.echo()).toBe(0);
    await scu.release();
  });

  test.each(['1.2.2\\1.2.3', '1.2.*'])('0xC000 for several studies too: %s', async (studies) => {
    const { rig, servers } = await archives();
    const scu = await open(rig);
    expect(await scu.operate(find, queryFor(studies))).toBe(UNABLE);
    expect(servers.flatMap((server) => server.messages())).toEqual([]);
    await scu.release();
  });

  test('a rule’s pool with one', async () => {
    const registry = await scp();
    const all = poolOf('ALL', [registry.address]);
    const { rig, servers } = await archives({
      rules: () => [{ when: { facts: [{ name: 'command', patterns: ['C-FIND'] }] }, pool: all }],
    });
    const scu = await open(rig);
    expect(await scu.operate(find, queryFor(undefined))).toBe(0);
    expect(registry.messages()[0]!.dataSet.equals(queryFor(undefined))).toBe(true);
    expect(servers.flatMap((server) => server.messages())).toEqual([]);
    await scu.release();
    expect([all.servers[0]!.active, all.servers[0]!.load.operations]).toEqual([0, 0]);
  });

  test('a worklist has no studies: it is for the lead', async () => {
    const { rig, servers } = await archives();
    const scu = await open(rig, { propose: [WORKLIST] });
    expect(await scu.operate({ ...find, sopClass: WORKLIST }, queryFor(undefined))).toBe(0);
    expect(servers.map((server) => server.messages().length)).toEqual([1, 0]);
    await scu.release();
  });
});
