/**
 * Clients that are lost, abort, or do not wait for their answers, by chance, while archives die and are halted: nothing
 * may be left of them (start-study.ts looks), and who comes afterwards is served. A failed run names its seed.
 */
import { describe, expect, test } from 'vitest';
import { COMMAND, writeCommand } from '../../../peers/commands.ts';
import { associate, type ScuAssociation } from '../../../peers/dicom-scu.ts';
import { abort, pData, pDataSeries, releaseRequest } from '../../../peers/pdus.ts';
import { createRandom, pick, STEADY, startArchive, type Vices } from './random-archives.ts';
import {
  instanceOf,
  open,
  PATIENT,
  queryFor,
  STUDY_FIND,
  type StudyRig,
  startStudy,
  storeCommand,
} from './start-study.ts';

const STUDIES = ['1.2.1', '1.2.2', '1.2.3'];
const WICKED: Vices = { refusal: 0.1, death: 0.2, silence: 0.1, failure: 0.1 };
const KIB = 1024;
const [CT, FIND] = [3, 5];

/** A stream of whole messages that a client sends without waiting for answers. */
function messages(random: () => number): Buffer {
  const parts: Buffer[] = [];
  for (let id = 1; id <= 1 + Math.floor(random() * 4); id++) {
    const study = pick(random, STUDIES);
    if (random() < 0.2) {
      const find = { field: COMMAND.C_FIND_RQ, sopClass: STUDY_FIND, messageId: id, hasDataSet: true };
      parts.push(
        pData(FIND, 'command', true, writeCommand(find)),
        pData(FIND, 'data', true, queryFor(study)),
      );
      continue;
    }
    const size = pick(random, [64, 40 * KIB, 400 * KIB]);
    const instance = instanceOf(study, 100 + Math.floor(random() * 800), size);
    parts.push(pData(CT, 'command', true, writeCommand({ ...storeCommand(instance), messageId: id })));
    parts.push(...pDataSeries(CT, 'data', instance.dataSet));
    if (random() < 0.1)
      parts.push(
        pData(
          CT,
          'command',
          true,
          writeCommand({ field: COMMAND.C_CANCEL_RQ, respondsTo: id, hasDataSet: false }),
        ),
      );
  }
  return Buffer.concat(parts);
}

/** Reads messages until something else comes. */
async function drain(scu: ScuAssociation): Promise<void> {
  for (;;) {
    const { kind } = await scu.next();
    if (kind !== 'message') return;
  }
}

async function comeAndGo(rig: StudyRig, random: () => number): Promise<void> {
  const propose = ['1.2.840.10008.1.1', '1.2.840.10008.5.1.4.1.1.2', STUDY_FIND];
  const scu = await associate(rig.address, { propose, maxLength: pick(random, [0, 16_384, 128]) });
  if (scu.outcome !== 'accepted') return;
  const stream = messages(random);
  const end = pick(random, ['release', 'abort', 'reset', 'close'] as const);
  const length = end === 'release' ? stream.length : Math.floor(random() * stream.length);
  const reading = random() < 0.8 ? drain(scu) : undefined;
  for (let at = 0; at < length; ) {
    const next = Math.min(length, at + 1 + Math.floor(random() * 60_000));
    await scu.write(stream.subarray(at, next));
    at = next;
  }
  if (end === 'release') await scu.write(releaseRequest());
  if (end === 'abort') await scu.write(abort(0, 0));
  if (end === 'reset') scu.connection.reset();
  else if (end !== 'release') scu.connection.end();
  await (reading ?? drain(scu));
  scu.connection.end();
}

describe.each([1, 2, 3, 4])('seed %i', (seed) => {
  test('clients that come and go leave nothing behind', async () => {
    const random = createRandom(seed * 7919);
    const archives = [];
    for (const vices of [WICKED, WICKED, WICKED]) archives.push(await startArchive(random, vices));
    const rig = await startStudy(
      archives.map(({ scp }) => scp),
      {
        pool: { balance: 'round-robin', drain: 40 },
        more: { wait: 100, limits: { associations: undefined, perCalling: undefined, perServer: 6 } },
        study: { replay: { perInstance: 300 * KIB, total: 1024 * KIB } },
        timeouts: { stall: 2000, release: 500 },
      },
    );
    const clients = Array.from({ length: 5 }, async () => {
      for (let round = 0; round < 8; round++) {
        await comeAndGo(rig, random);
        const server = pick(random, rig.servers.slice(1));
        if (random() < 0.15) server.halt();
        else server.online();
      }
    });
    await Promise.all(clients);
    for (const archive of archives) archive.vices = STEADY;
    for (const server of rig.servers) server.online();
    while (rig.servers.some(({ active }) => active > 0)) await new Promise(setImmediate);
    rig.frontEnd.reconfigure({ ...rig.options, timeouts: PATIENT });
    const scu = await open(rig);
    for (const [index, study] of STUDIES.entries())
      expect(await scu.store(instanceOf(study, 5000 + index, 700 * KIB))).toBe(0);
    await scu.release();
  });
});
