/** Urgent studies and a routine backlog on real storage servers: who goes where, and who waits for whom. */
import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createSample, type SampleInstance } from '../../src/demo/sample-files.ts';
import { type DcmtkServer, startStorescp, storescu } from '../peers/dcmtk.ts';
import { storedDataSets } from '../peers/dicom-files.ts';
import { associate, requestAssociation, type ScuAssociation } from '../peers/dicom-scu.ts';
import { fieldOf, hl7Message } from '../peers/hl7-messages.ts';
import { answering, connectSender, startReceiver } from '../peers/mllp-peer.ts';
import { CT_IMAGE_STORAGE } from '../peers/pdus.ts';
import { describeWith } from '../peers/processes.ts';
import { startTestBalancer } from '../peers/start-balancer.ts';
import type { Address } from '../peers/test-connection.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

/** Studies of each kind. */
const BY_PRIORITY = 17;
const BY_AE = 17;
const BY_ORDER = 16;
const ROUTINE = 24;
/** So many senders of urgent studies by AE at once. */
const SENDERS = 4;
const SUCCESS = 0;
const [MEDIUM, HIGH] = [0, 1];
const PATIENCE_MS = 120_000;

/** In the order in which they were stored. */
interface Stored {
  readonly kind: 'routine' | 'priority' | 'AE' | 'STAT order';
  readonly instance: SampleInstance;
  readonly ms: number;
}

function study(name: string, number = 1): SampleInstance {
  return createSample({ modality: 'CT', study: `urgent test ${name}`, number });
}

/** The same with an accession number, (0008,0050), where it had none. */
function withAccession(instance: SampleInstance, accession: string): SampleInstance {
  const empty = Buffer.from([0x08, 0, 0x50, 0, 0x53, 0x48, 0, 0]);
  const at = instance.dataSet.indexOf(empty);
  const value = Buffer.from(accession.padEnd(accession.length + (accession.length % 2)));
  const header = Buffer.from(empty);
  header.writeUInt16LE(value.length, 6);
  const { dataSet } = instance;
  const parts = [dataSet.subarray(0, at), header, value, dataSet.subarray(at + empty.length)];
  return { ...instance, dataSet: Buffer.concat(parts) };
}

/** A STAT order; of every second one the images are known by their study, of the others by their accession number. */
function statOrder(number: number, instance: SampleInstance, accession: string): Buffer {
  const isByStudy = number % 2 === 0;
  const segments = [
    `ORC|NW|P-${number}|||||^^^^^S`,
    `OBR|1|P-${number}||CT^INVENTED|${'|'.repeat(13)}${isByStudy ? '' : accession}`,
    ...(isByStudy ? [`ZDS|${instance.studyInstance}^INVENTED^Application^DICOM`] : []),
  ];
  return hl7Message({ controlId: `ORDER-${number}`, type: 'ORM', event: 'O01', segments });
}

async function startVips(busy: DcmtkServer, idle: DcmtkServer) {
  const ris = stopLater(await startReceiver(answering()));
  const balancer = stopLater(
    await startTestBalancer(`
pools:
  archive:
    balance: round-robin
    health: { check: none }
    servers:
      - { name: busy, address: "${busy.endpoint}", maxConnections: 16 }
      - { name: idle, address: "${idle.endpoint}", maxConnections: 10 }
  ris: { servers: ["${ris.endpoint}"], health: { check: none } }
vips:
  ARCHIVE:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: archive
    dicom: { route: study, storage: shared, wait: 2m }
    urgent: { reserve: 8, fromOrders: [RIS] }
    routes: [{ when: { calling: "ER*" }, urgent: true }]
  RIS: { protocol: hl7, listen: ["127.0.0.1:0"], pool: ris }
`),
  );
  return { balancer, archive: balancer.address('ARCHIVE'), ris: balancer.address('RIS') };
}

/** Studies of which `server` has the first instance: what comes after that has to go there. */
async function bindStudies(vip: Address, server: DcmtkServer): Promise<string[]> {
  const modality = await associate(vip, { propose: [CT_IMAGE_STORAGE], calling: 'CT1' });
  const names = Array.from({ length: ROUTINE * 2 }, (_, index) => `routine ${index + 1}`);
  for (const name of names) expect(await modality.store(study(name))).toBe(SUCCESS);
  await modality.release();
  const stored = storedDataSets(server.folder);
  return names.filter((name) => stored.has(study(name).sopInstance)).slice(0, ROUTINE);
}

/** An association that is open before the backlog comes, as those of gateways are. */
async function openGateway(vip: Address): Promise<ScuAssociation> {
  const gateway = await associate(vip, { propose: [CT_IMAGE_STORAGE], calling: 'GATEWAY' });
  expect(gateway.outcome).toBe('accepted');
  gateway.connection.patience = PATIENCE_MS;
  return gateway;
}

describeWith(['dcmtk'], 'a busy storescp and an idle one', () => {
  test('50 urgent studies (by priority, by AE, by a STAT order sent over HL7 a moment before) reach the idle node and overtake the wait queue', async () => {
    const first = stopLater(await startStorescp(pathOf('busy')));
    const idle = stopLater(await startStorescp(pathOf('idle')));
    const { balancer, archive, ris } = await startVips(first, idle);
    const bound = await bindStudies(archive, first);
    expect(bound).toHaveLength(ROUTINE);
    // From here on it is slow: it sleeps in each instance.
    await first.stop();
    const { port } = first.address;
    const busy = stopLater(await startStorescp(pathOf('busy'), { port, args: ['--sleep-during', '1'] }));
    const gateways = [await openGateway(archive), await openGateway(archive)];

    const stored: Stored[] = [];
    const timed = async (kind: Stored['kind'], instance: SampleInstance, send: () => Promise<unknown>) => {
      const began = performance.now();
      expect(await send(), kind).toBe(SUCCESS);
      stored.push({ kind, instance, ms: performance.now() - began });
    };

    // The backlog: an association for each study. Some are being stored, the others wait: for the busy node, which has
    // their studies, or behind those for any node at all.
    const requested = await Promise.all(
      bound.map(() => requestAssociation(archive, { propose: [CT_IMAGE_STORAGE], calling: 'CT1' })),
    );
    const backlog = requested.map((association, index) => {
      const instance = study(bound[index]!, 2);
      return timed('routine', instance, async () => {
        association.connection.patience = PATIENCE_MS;
        await association.receiveAnswer();
        const status = await association.store(instance, MEDIUM);
        await association.release();
        return status;
      });
    });
    // The first is stored: by now the node is known to be slow, and all others have been waiting for long.
    await Promise.race(backlog);
    const before = stored.length;

    const byPriority = async () => {
      for (let number = 1; number <= BY_PRIORITY; number++) {
        const instance = study(`priority ${number}`);
        await timed('priority', instance, () => gateways[0]!.store(instance, HIGH));
      }
    };
    const byOrder = async () => {
      const sender = await connectSender(ris);
      for (let number = 1; number <= BY_ORDER; number++) {
        const accession = `ACC${number}`;
        const instance = withAccession(study(`order ${number}`), accession);
        const answer = await sender.send(statOrder(number, instance, accession));
        expect(fieldOf(answer!, 'MSA', 1)).toBe('AA');
        await timed('STAT order', instance, () => gateways[1]!.store(instance, MEDIUM));
      }
      sender.end();
    };
    const byAe = Array.from({ length: BY_AE }, (_, index) => study(`AE ${index + 1}`));
    const sendByAe = async () => {
      for (let instance = byAe.shift(); instance; instance = byAe.shift()) {
        const path = pathOf(`${instance.sopInstance}.dcm`);
        writeFileSync(path, instance.file);
        const sent = instance;
        await timed('AE', sent, async () => (await storescu(archive, [path], { calling: 'ER1' })).code);
      }
    };
    await Promise.all([byPriority(), byOrder(), ...Array.from({ length: SENDERS }, sendByAe)]);
    const after = stored.length;
    await Promise.all(backlog);
    for (const gateway of gateways) await gateway.release();

    report(stored, before, after);
    const urgent = stored.filter(({ kind }) => kind !== 'routine');
    expect(urgent).toHaveLength(50);
    const [onBusy, onIdle] = [storedDataSets(busy.folder), storedDataSets(idle.folder)];
    for (const { kind, instance } of urgent) {
      expect(onIdle.has(instance.sopInstance), `${kind} on the idle node`).toBe(true);
      expect(onBusy.has(instance.sopInstance), `${kind} on the busy node`).toBe(false);
    }
    for (const { instance } of stored.filter(({ kind }) => kind === 'routine'))
      expect(onBusy.has(instance.sopInstance)).toBe(true);
    // They came last and waited least: routine studies that had waited before the first of them came after the last.
    const overtaken = stored.slice(after);
    expect(overtaken.length).toBeGreaterThanOrEqual(ROUTINE / 4);
    const slowest = Math.max(...urgent.map(({ ms }) => ms));
    expect(slowest).toBeLessThan(Math.min(...overtaken.map(({ ms }) => ms)));
    expect(balancer.notices.items.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

/** The times of both kinds, for people. */
function report(stored: readonly Stored[], before: number, after: number): void {
  const round = (ms = 0) => String(Math.round(ms)).padStart(6);
  for (const kind of ['priority', 'AE', 'STAT order', 'routine'] as const) {
    const times = stored.filter((one) => one.kind === kind).map(({ ms }) => ms);
    times.sort((a, b) => a - b);
    const [least, middle, most] = [times[0], times[times.length >> 1], times.at(-1)].map(round);
    console.log(
      `${kind.padEnd(10)} ${times.length} studies, ms: least ${least}, median ${middle}, most ${most}`,
    );
  }
  console.log(
    `of ${ROUTINE} routine studies ${before} were stored before the urgent ones began, ${stored.length - after} after the last of them`,
  );
}
