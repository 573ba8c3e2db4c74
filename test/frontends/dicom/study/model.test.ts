/**
 * Study routing against what it promises, by chance: archives that die and come back, clients that send the instances of
 * a few studies at the same time. A failed run names its seed.
 */
import { describe, expect, test } from 'vitest';
import { associate, type Instance, type ScuAssociation } from '../../../peers/dicom-scu.ts';
import { CT_IMAGE_STORAGE, VERIFICATION } from '../../../peers/pdus.ts';
import {
  type Archive,
  createRandom,
  FAILURE,
  pick,
  STEADY,
  startArchive,
  type Vices,
} from './random-archives.ts';
import { instanceOf, open, REFUSED, type StudyRig, type StudySketch, startStudy } from './start-study.ts';

const STUDIES = ['1.2.1', '1.2.2', '1.2.3', '1.2.4', '1.2.5'];
const CLIENTS = 4;
const INSTANCES = 12;
const KIB = 1024;
const WICKED: Vices = { refusal: 0.15, death: 0.3, silence: 0.15, failure: 0 };

interface Sent {
  readonly study: string;
  readonly instance: Instance;
  readonly status: number;
}

interface Run {
  readonly rig: StudyRig;
  readonly archives: readonly Archive[];
  readonly sent: readonly Sent[];
}

/** Clients send until all is sent; archives but the first are killed and restarted meanwhile. */
async function run(seed: number, vices: readonly Vices[], sketch: StudySketch = {}): Promise<Run> {
  const random = createRandom(seed);
  const archives: Archive[] = [];
  for (const one of vices) archives.push(await startArchive(random, one));
  const rig = await startStudy(
    archives.map(({ scp }) => scp),
    {
      pool: { balance: 'round-robin' },
      ...sketch,
      study: { replay: { perInstance: 2048 * KIB, total: 8192 * KIB }, ...sketch.study },
    },
  );
  const chaos = createChaos(archives, random);
  const sent: Sent[] = [];
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    const scu = await openSomehow(rig, `CT${client}`);
    for (let number = 1; number <= INSTANCES; number++) {
      const study = pick(random, STUDIES);
      const size = pick(random, [64, 20 * KIB, 120 * KIB, 700 * KIB]) + 2 * Math.floor(random() * 99);
      const instance = instanceOf(study, client * 1000 + number, size);
      sent.push({ study, instance, status: await scu.store(instance) });
      if (random() < 0.2) await scu.echo();
      await chaos();
    }
    await scu.release();
  });
  await Promise.all(clients);
  for (const { scp } of archives) await scp.stop();
  for (const archive of archives) {
    archive.vices = STEADY;
    await archive.scp.restart();
  }
  const lines = await rig.associations.count(CLIENTS, ({ end }) => end !== 'reject');
  expect(lines.map(({ end }) => end)).toEqual(lines.map(() => 'release'));
  return { rig, archives, sent };
}

/** A client that is rejected, as no server takes its association, asks again. */
async function openSomehow(rig: StudyRig, calling: string): Promise<ScuAssociation> {
  const scu = await associate(rig.address, { calling, propose: [VERIFICATION, CT_IMAGE_STORAGE] });
  return scu.outcome === 'accepted' ? scu : openSomehow(rig, calling);
}

/** Now and then an archive, but never the first, is killed or comes back. */
function createChaos(archives: readonly Archive[], random: () => number): () => Promise<void> {
  const isDown = new Set<Archive>();
  return async () => {
    const [, ...mortal] = archives;
    if (random() > 0.3 || mortal.length === 0) return;
    const one = pick(random, mortal);
    if (isDown.delete(one)) await one.scp.restart();
    else {
      isDown.add(one);
      await one.scp.stop();
    }
  };
}

/** What was answered as stored is stored: whole, byte for byte, by an archive that said so. */
function expectStored({ archives, sent }: Run): void {
  for (const { instance, status } of sent) {
    if (status !== 0) continue;
    const keepers = archives.filter(({ answers }) => answers.has(`${instance.sopInstance} 0`));
    expect(keepers.length, `${instance.sopInstance} was stored`).toBeGreaterThan(0);
    for (const { stored } of keepers)
      for (const dataSet of stored.get(instance.sopInstance)!)
        expect(dataSet.equals(instance.dataSet), `${instance.sopInstance} is whole`).toBe(true);
  }
}

function placesOf({ archives, sent }: Run, study: string): readonly Archive[] {
  const instances = sent.filter((one) => one.study === study).map(({ instance }) => instance.sopInstance);
  return archives.filter(({ stored }) => instances.some((instance) => stored.has(instance)));
}

async function storeMore(rig: StudyRig, count: number): Promise<ScuAssociation> {
  const scu = await open(rig);
  for (let number = 1; number <= count; number++)
    for (const [index, study] of STUDIES.entries())
      expect(await scu.store(instanceOf(study, 9000 + index * 100 + number))).toBe(0);
  return scu;
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

describe.each(SEEDS)('seed %i', (seed) => {
  test('with a server always up no failure: every success was stored whole, no client sees an abort', async () => {
    const all = await run(seed, [STEADY, WICKED, WICKED]);
    expect(all.sent.map(({ status }) => status)).toEqual(all.sent.map(() => 0));
    expectStored(all);
    // At peace, each study is on one server.
    const before = all.archives.map(({ stored }) => new Set(stored.keys()));
    await (await storeMore(all.rig, 2)).release();
    const places = STUDIES.map((_, index) =>
      all.archives.filter(({ stored }, at) =>
        [...stored.keys()].some((one) => !before[at]!.has(one) && one.includes(`.${90 + index}`)),
      ),
    );
    expect(places.map((at) => at.length)).toEqual(STUDIES.map(() => 1));
  });

  test('with servers that fail: what a client is told is what a server said, or 0xA700', async () => {
    const vices = { ...WICKED, failure: 0.2 };
    const all = await run(seed, [vices, vices, vices], {
      study: { replay: { perInstance: 300 * KIB, total: 900 * KIB } },
    });
    expectStored(all);
    for (const { instance, status } of all.sent) {
      expect([0, FAILURE, REFUSED]).toContain(status);
      const said = `${instance.sopInstance} ${FAILURE}`;
      if (status === FAILURE) expect(all.archives.some(({ answers }) => answers.has(said))).toBe(true);
    }
  });

  test('independent archives: a study is never split, and what was refused can be sent again', async () => {
    const all = await run(seed, [WICKED, WICKED, WICKED], { study: { storage: 'separate' } });
    expectStored(all);
    for (const study of STUDIES) expect(placesOf(all, study).length, study).toBeLessThanOrEqual(1);
    for (const { status } of all.sent) expect([0, REFUSED]).toContain(status);
    const scu = await open(all.rig);
    const again: Sent[] = [];
    for (const one of all.sent.filter(({ status }) => status !== 0))
      again.push({ ...one, status: await scu.store(one.instance) });
    expect(again.filter(({ status }) => status !== 0)).toEqual([]);
    await scu.release();
    for (const study of STUDIES) expect(placesOf(all, study).length, study).toBeLessThanOrEqual(1);
  });
});
