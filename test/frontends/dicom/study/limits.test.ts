/** Limits and further associations: each takes a slot of its server, and work waits for one. */
import { expect, test } from 'vitest';
import { COMMAND } from '../../../peers/commands.ts';
import type { Scp } from '../../../peers/dicom-scp.ts';
import type { ScuAssociation } from '../../../peers/dicom-scu.ts';
import { scp } from '../setup.ts';
import {
  instanceOf,
  open,
  queryFor,
  REFUSED,
  received,
  STUDY_FIND,
  type StudyRig,
  type StudySketch,
  startStudy,
} from './start-study.ts';

const PINNED = '1.2.2';

async function twoServers(sketch: StudySketch): Promise<{ rig: StudyRig; servers: readonly [Scp, Scp] }> {
  const servers = [await scp(), await scp()] as const;
  const rig = await startStudy(servers, sketch);
  rig.pin(PINNED, 's2');
  return { rig, servers };
}

/** `s2` takes one association. */
const ONE = { servers: [{}, { maxConnections: 1 }] } as const;

/** A client that leads on `s1` and has the slot of `s2`. */
async function holderOf(rig: StudyRig): Promise<ScuAssociation> {
  const holder = await open(rig);
  expect(await holder.store(instanceOf(PINNED, 100))).toBe(0);
  return holder;
}

/** A client that leads on `s2` and so has its slot. */
async function leaderOf(rig: StudyRig): Promise<ScuAssociation> {
  rig.servers[0]!.halt();
  const leader = await open(rig);
  rig.servers[0]!.online();
  expect(await leader.store(instanceOf(PINNED, 100))).toBe(0);
  return leader;
}

test('a further association takes a slot of its server while it is open', async () => {
  const { rig } = await twoServers({});
  const scu = await open(rig);
  expect(await scu.store(instanceOf(PINNED))).toBe(0);
  expect(rig.servers.map(({ active }) => active)).toEqual([1, 1]);
  await rig.advance(10_000);
  while (rig.servers[1]!.active > 0) await new Promise(setImmediate);
  expect(rig.servers[0]!.active).toBe(1);
  await scu.release();
});

test('maxConnections: no slot, no wait: 0xA700, and never more than the limit; who is open there needs none', async () => {
  const { rig, servers } = await twoServers(ONE);
  const holder = await holderOf(rig);
  const scu = await open(rig);
  expect(await scu.store(instanceOf(PINNED, 2))).toBe(REFUSED);
  expect(rig.servers[1]!.active).toBe(1);
  expect(await holder.store(instanceOf(PINNED, 3))).toBe(0);
  expect(rig.placeOf(PINNED)).toBe('s2');
  await holder.release();
  expect(await scu.store(instanceOf(PINNED, 2))).toBe(0);
  expect(servers.map((server) => received(server).length)).toEqual([0, 3]);
  await scu.release();
});

test('perServer: the same', async () => {
  const servers = [await scp(), await scp(), await scp()];
  const limits = { associations: undefined, perCalling: undefined, perServer: 1 };
  const rig = await startStudy(servers, { more: { limits } });
  rig.pin(PINNED, 's2');
  const holder = await holderOf(rig);
  const scu = await open(rig);
  expect(await scu.store(instanceOf(PINNED, 2))).toBe(REFUSED);
  expect(rig.servers.map(({ active }) => active)).toEqual([1, 1, 1]);
  expect(await holder.store(instanceOf(PINNED, 3))).toBe(0);
  await holder.release();
  expect(await scu.store(instanceOf(PINNED, 2))).toBe(0);
  expect(servers.map((server) => received(server).length)).toEqual([0, 3, 0]);
  await scu.release();
});

test('wait: the instance is stored as soon as a slot is free', async () => {
  const { rig, servers } = await twoServers({ ...ONE, more: { wait: 20_000 } });
  const holder = await leaderOf(rig);
  const scu = await open(rig);
  let isOver = false;
  const stored = scu.store(instanceOf(PINNED, 2, 3_000_000)).finally(() => {
    isOver = true;
  });
  expect(await holder.echo()).toBe(0);
  expect([isOver, received(servers[1]).length]).toEqual([false, 1]);
  await holder.release();
  expect(await stored).toBe(0);
  expect(received(servers[1])).toHaveLength(2);
  await scu.release();
});

test('wait: 0xA700 when nothing gets free in time', async () => {
  const { rig } = await twoServers({ ...ONE, more: { wait: 200 } });
  const holder = await leaderOf(rig);
  const scu = await open(rig);
  expect(await scu.store(instanceOf(PINNED, 2, 3_000_000))).toBe(REFUSED);
  expect(await scu.store(instanceOf('1.2.9', 3))).toBe(0);
  await scu.release();
  await holder.release();
});

test('a client that is lost while its instance waits leaves nothing behind', async () => {
  const { rig } = await twoServers({ ...ONE, more: { wait: 20_000 } });
  const holder = await holderOf(rig);
  const scu = await open(rig);
  const lost = scu.store(instanceOf(PINNED, 2)).catch(() => 'lost');
  expect(await holder.echo()).toBe(0);
  scu.connection.reset();
  await rig.associations.count(1);
  expect(await lost).toBe('lost');
  await holder.release();
  expect(rig.servers.map(({ active }) => active)).toEqual([0, 0]);
});

test('a query for a study whose server is full: no more than its limit, the lead answers', async () => {
  const { rig, servers } = await twoServers(ONE);
  const holder = await holderOf(rig);
  const scu = await open(rig);
  const find = { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, hasDataSet: true };
  expect(await scu.operate(find, queryFor(PINNED))).toBe(0);
  expect(rig.servers[1]!.active).toBe(1);
  expect(servers[0].messages().map(({ command }) => command.field)).toEqual([COMMAND.C_FIND_RQ]);
  await scu.release();
  await holder.release();
});

test('wait: a further association without work gives its slot to who waits', async () => {
  const { rig, servers } = await twoServers({ ...ONE, more: { wait: 20_000 } });
  const holder = await holderOf(rig);
  const scu = await open(rig);
  expect(await scu.store(instanceOf(PINNED, 2))).toBe(0);
  expect(await holder.store(instanceOf(PINNED, 3))).toBe(0);
  expect(await scu.store(instanceOf(PINNED, 4))).toBe(0);
  expect(received(servers[1])).toHaveLength(4);
  await scu.release();
  await holder.release();
});

test('wait: two clients that each lead where the study of the other is do not wait for each other', async () => {
  const sketch = { servers: [{ maxConnections: 1 }, { maxConnections: 1 }], more: { wait: 20_000 } };
  const { rig, servers } = await twoServers(sketch);
  rig.pin('1.2.1', 's1');
  const clients = [await open(rig), await open(rig)] as const;
  const both = clients.map((scu, index) => scu.store(instanceOf(index === 0 ? PINNED : '1.2.1', index + 1)));
  expect(await Promise.all(both)).toEqual([0, 0]);
  expect(servers.map((server) => received(server).length)).toEqual([1, 1]);
  for (const scu of clients) {
    expect(await scu.echo()).toBe(0);
    await scu.release();
  }
});
