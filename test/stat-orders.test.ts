/** How the balancer's parts share STAT orders: HL7 VIPs learn them, DICOM VIPs ask, tables outlive reload and restart. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Assembly, assemble } from '../src/assemble.ts';
import { formatFault } from '../src/config/fault.ts';
import { readConfiguration } from '../src/config/load.ts';
import type { Configuration } from '../src/config/schema.ts';
import { createSample } from '../src/demo/sample-files.ts';
import { differenceOf, touchedVips } from '../src/difference.ts';
import { createFolder } from './peers/dicom-files.ts';
import { startScp } from './peers/dicom-scp.ts';
import { associate } from './peers/dicom-scu.ts';
import { fieldOf, hl7Message } from './peers/hl7-messages.ts';
import { connectSender, startReceiver } from './peers/mllp-peer.ts';
import { CT_IMAGE_STORAGE } from './peers/pdus.ts';
import { startTestBalancer, type TestBalancer } from './peers/start-balancer.ts';

/** Two HL7 VIPs and a DICOM VIP that asks some of them for orders. */
function configurationOf(urgent: string): Configuration {
  const { configuration, faults } = readConfiguration(
    `
version: 1
pools:
  archive: { servers: [{ address: "10.0.0.1:104", maxConnections: 4 }] }
  ris: { servers: ["10.0.0.2:2310"] }
vips:
  ARCHIVE:
    protocol: dicom
    listen: "10.0.0.9:104"
    pool: archive
    dicom: { route: study, storage: shared }
    ${urgent === '' ? '' : `urgent: ${urgent}`}
  RIS: { protocol: hl7, listen: "10.0.0.9:2310", pool: ris }
  LAB: { protocol: hl7, listen: "10.0.0.9:2311", pool: ris }
`,
    { file: 'test.yaml' },
  );
  if (!configuration) throw new Error(faults.map(formatFault).join('\n'));
  return configuration;
}

const assembled = (configuration: Configuration, before?: Assembly) =>
  assemble(configuration, { now: () => 1_000_000, random: () => 0.5 }, before);
const touched = (before: string, after: string) => {
  const [one, other] = [configurationOf(before), configurationOf(after)];
  return touchedVips(differenceOf(one, other), one, other).map(({ name }) => name);
};

test('only VIPs that somebody asks for orders keep any, each in a table of the snapshot', () => {
  const { statOrders, tables } = assembled(configurationOf('{ fromOrders: [RIS] }'));
  expect([...statOrders.keys()]).toEqual(['RIS']);
  expect([...tables.keys()]).toContain('orders RIS');
  statOrders.get('RIS')!.learn([{ urgency: 'urgent', accessions: ['A1'], studies: [] }]);
  expect(tables.get('orders RIS')!.size).toBe(1);
  expect([...assembled(configurationOf('')).statOrders]).toEqual([]);
});

test('orders that are known outlive a reload', () => {
  const before = assembled(configurationOf('{ fromOrders: [RIS] }'));
  before.statOrders.get('RIS')!.learn([{ urgency: 'urgent', accessions: ['A1'], studies: [] }]);
  const after = assembled(configurationOf('{ fromOrders: [RIS, LAB] }'), before);
  after.commit();
  expect(after.statOrders.get('RIS')!.isUrgent('A1', undefined)).toBe(true);
  expect(after.statOrders.get('LAB')!.isUrgent('A1', undefined)).toBe(false);
});

test('an HL7 VIP is touched by a reload when it begins or ceases to be asked', () => {
  expect(touched('', '{ fromOrders: [RIS] }')).toEqual(['ARCHIVE', 'RIS']);
  expect(touched('{ fromOrders: [RIS] }', '{ fromOrders: [LAB] }')).toEqual(['ARCHIVE', 'RIS', 'LAB']);
  expect(touched('{ fromOrders: [RIS] }', '{ fromOrders: [RIS], reserve: 1 }')).toEqual(['ARCHIVE']);
  expect(touched('{ fromOrders: [RIS] }', '{ fromOrders: [RIS] }')).toEqual([]);
});

test('the reserve of the configuration holds for the director', () => {
  const assembly = assembled(configurationOf('{ reserve: 3 }'));
  const server = assembly.pools.get('archive')!.servers[0]!;
  const director = assembly.directors.get('ARCHIVE')!;
  const facts = { get: () => undefined };
  server.acquire();
  expect(director.choose(facts).next()).toBeUndefined();
  expect(director.choose(facts, { urgent: true }).next()?.server).toBe(server);
});

/** A balancer whose archive has two slots, one of them taken and one kept for urgent work; and what to ask of it. */
async function startVips() {
  const folder = createFolder();
  const [index, archive, ris] = [await startScp(), await startScp(), await startReceiver()];
  onTestFinished(async () => {
    for (const one of [index, archive, ris]) await one.stop();
    folder.remove();
  });
  // The lead is another server, so that a study needs a slot of the archive of its own.
  const yaml = (urgent: string) => `
table: { memory: { file: ${join(folder.path, 'table')} } }
pools:
  index: { servers: ["${index.endpoint}"], health: { check: none } }
  archive: { servers: [{ address: "${archive.endpoint}", maxConnections: 2 }], health: { check: none } }
  ris: { servers: ["${ris.endpoint}"], health: { check: none } }
vips:
  ARCHIVE:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: index
    routes: [{ when: { command: C-STORE }, pool: archive }]
    dicom: { route: study, storage: shared, wait: 50ms }
    urgent: ${urgent}
  RIS: { protocol: hl7, listen: ["127.0.0.1:0"], pool: ris }
`;
  return { yaml };
}

const ct = (study: string) => createSample({ modality: 'CT', study, number: 1, size: 8 });

/** The statuses of an instance of each study while one slot is taken: 0xA700 where the last one is kept from it. */
async function storeAll(balancer: TestBalancer, ...studies: string[]): Promise<(number | undefined)[]> {
  const vip = balancer.address('ARCHIVE');
  const open = () => associate(vip, { propose: [CT_IMAGE_STORAGE] });
  const holder = await open();
  expect(await holder.store(ct('holder'))).toBe(0);
  const statuses: (number | undefined)[] = [];
  for (const study of studies) {
    const modality = await open();
    statuses.push(await modality.store(ct(study)));
    await modality.release();
  }
  await holder.release();
  return statuses;
}

async function order(balancer: TestBalancer, study: string, priority = 'S'): Promise<void> {
  const sender = await connectSender(balancer.address('RIS'));
  const segments = [`ORC|NW|P-1|||||^^^^^${priority}`, 'OBR|1|P-1||CT', `ZDS|${ct(study).studyInstance}`];
  const answer = await sender.send(hl7Message({ controlId: 'O1', type: 'ORM', event: 'O01', segments }));
  expect(fieldOf(answer!, 'MSA', 1)).toBe('AA');
  sender.end();
}

test('a STAT order counts at once, after a restart as well, and only where it is asked for', async () => {
  const { yaml } = await startVips();
  const [asked, notAsked] = [yaml('{ reserve: 1, fromOrders: [RIS] }'), yaml('{ reserve: 1 }')];
  await using first = await startTestBalancer(notAsked);
  await order(first, 'before');
  expect(await storeAll(first, 'before')).toEqual([0xa700]);
  await first.apply(asked);
  expect(await storeAll(first, 'before', 'stat')).toEqual([0xa700, 0xa700]);
  await order(first, 'stat');
  await order(first, 'routine', 'R');
  expect(await storeAll(first, 'stat', 'routine')).toEqual([0, 0xa700]);
  await order(first, 'kept');
  await first.stop();
  await using second = await startTestBalancer(asked);
  expect(await storeAll(second, 'kept', 'routine')).toEqual([0, 0xa700]);
  await order(second, 'kept', 'R');
  expect(await storeAll(second, 'kept')).toEqual([0xa700]);
});
