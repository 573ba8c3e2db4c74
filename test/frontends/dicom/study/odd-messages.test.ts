/**
 * Messages that are well formed and make no sense where they come, from clients and from servers, by chance: whatever the
 * answer is, nothing may be left (start-study.ts looks), and who comes afterwards is served. A failed run names its seed.
 */
import { describe, expect, test } from 'vitest';
import { COMMAND, type Command, responseTo } from '../../../peers/commands.ts';
import type { DicomConnection } from '../../../peers/dicom-peer.ts';
import { accepting, type ScpScript } from '../../../peers/dicom-scp.ts';
import { associate } from '../../../peers/dicom-scu.ts';
import {
  abort,
  CT_IMAGE_STORAGE,
  releaseRequest,
  releaseResponse,
  VERIFICATION,
} from '../../../peers/pdus.ts';
import { scp } from '../setup.ts';
import { createRandom, pick } from './random-archives.ts';
import { instanceOf, open, PATIENT, queryFor, STUDY_FIND, type StudyRig, startStudy } from './start-study.ts';

const PROPOSED = [VERIFICATION, CT_IMAGE_STORAGE, STUDY_FIND];
const REQUESTS = [
  0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0100, 0x0110, 0x0120, 0x0130, 0x0140, 0x0150, 0x1234,
];
const STATUSES = [0, 0xff00, 0xff01, 0xa700, 0xb000, 0xfe00, 0x0122];
const IDS = [0, 1, 2, 3, 0xffff];

function oddCommand(random: () => number): Command {
  const chance = random();
  const field = pick(random, REQUESTS);
  if (chance < 0.1) return { field: COMMAND.C_CANCEL_RQ, respondsTo: pick(random, IDS), hasDataSet: false };
  const common = { sopClass: pick(random, PROPOSED), sopInstance: '1.2.3.4', hasDataSet: random() < 0.5 };
  if (chance < 0.7)
    return { ...common, field, messageId: pick(random, IDS), priority: pick(random, [0, 1, 2]) };
  return { ...common, field: field | 0x8000, respondsTo: pick(random, IDS), status: pick(random, STATUSES) };
}

async function sendOdd(to: DicomConnection, random: () => number): Promise<void> {
  const command = oddCommand(random);
  const dataSet = pick(random, [
    Buffer.alloc(0),
    Buffer.alloc(50, 0xff),
    queryFor('1.2.1'),
    instanceOf('1.2.2', 1, 300_000).dataSet,
  ]);
  await to.send(pick(random, [1, 3, 5]), command, command.hasDataSet ? dataSet : undefined);
}

/** Answers as it should, mostly. */
function oddServer(random: () => number): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    await association.sendAccept();
    for (;;) {
      const arrival = await association.next();
      if (arrival.kind === 'release-request') await association.write(releaseResponse());
      if (arrival.kind !== 'message') break;
      const { command, contextId } = arrival;
      if (random() < 0.2) await sendOdd(association, random);
      if (command.messageId !== undefined && random() < 0.8)
        await association.send(contextId, responseTo(command, pick(random, STATUSES)));
    }
    association.ended('end');
    association.connection.end();
  };
}

async function oddClient(rig: StudyRig, random: () => number): Promise<void> {
  const scu = await associate(rig.address, { propose: PROPOSED });
  if (scu.outcome !== 'accepted') return;
  const reading = (async () => {
    for (;;) {
      const arrival = await scu.next();
      if (arrival.kind !== 'message') return;
      // Servers are answered, or not.
      const { command, contextId } = arrival;
      if (command.messageId !== undefined && random() < 0.7)
        await scu.send(contextId, responseTo(command, pick(random, STATUSES)));
    }
  })();
  const count = 1 + Math.floor(random() * 12);
  for (let sent = 0; sent < count; sent++) await sendOdd(scu, random);
  await scu.write(random() < 0.5 ? releaseRequest() : abort(0, 0));
  if (random() < 0.5) scu.connection.end();
  await reading;
  scu.connection.end();
}

describe.each([1, 2, 3, 4, 5, 6])('seed %i', (seed) => {
  test('messages that make no sense leave nothing behind', async () => {
    const random = createRandom(seed * 104_729);
    const servers = [
      await scp(oddServer(random)),
      await scp(oddServer(random)),
      await scp(oddServer(random)),
    ];
    const rig = await startStudy(servers, {
      pool: { balance: 'round-robin' },
      timeouts: { stall: 500, idle: 500, release: 200 },
    });
    const clients = Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 10; round++) await oddClient(rig, random);
    });
    await Promise.all(clients);
    while (rig.servers.some(({ active }) => active > 0)) await new Promise(setImmediate);
    for (const server of servers) server.script = accepting();
    rig.frontEnd.reconfigure({ ...rig.options, timeouts: PATIENT });
    const scu = await open(rig);
    expect(await scu.store(instanceOf('1.2.9', 1, 300_000))).toBe(0);
    await scu.release();
  });
});
