/** What belongs together over several associations, and what servers begin themselves, between real peers. */
import { mkdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { echoscu, getscu, movescu, startDcmqrscp, startStorescp, storescu } from '../peers/dcmtk.ts';
import { type InstanceFile, listDataSets, listed, writeInstances } from '../peers/dicom-files.ts';
import {
  completeStep,
  createStep,
  type DimsePeer,
  type Reference,
  requestCommitment,
  sendRequests,
  startDimsePeer,
  storeFile,
} from '../peers/dimse-services.ts';
import { startOrthanc } from '../peers/orthanc.ts';
import { describeWith, freePort } from '../peers/processes.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';
import type { Address } from '../peers/test-connection.ts';
import { pathOf, record, startVip, stopLater } from './dicom-setup.ts';

const called = 'ARCHIVE';
const modality = { calling: 'CT1', called };

interface Site {
  /** They lead in turn. */
  readonly servers: readonly [DimsePeer, DimsePeer];
  /** Destinations for what servers begin. */
  readonly ct1: DimsePeer;
  readonly ct2: DimsePeer;
  readonly egress: Address;
  /** Starts the balancer, with what the one before it left in its table. */
  readonly start: () => Promise<{ readonly balancer: TestBalancer; readonly vip: Address }>;
}

async function createSite(storage: 'shared' | 'separate'): Promise<Site> {
  const peer = async (ae: string) => stopLater(await startDimsePeer(ae));
  const servers = [await peer('PACS_A'), await peer('PACS_B')] as const;
  const [ct1, ct2] = [await peer('CT1'), await peer('CT2')];
  const egress = { host: '127.0.0.1', port: await freePort() };
  mkdirSync(pathOf(), { recursive: true });
  const yaml = `
table: { memory: { file: "${pathOf('table')}" } }
pools:
  archive:
    balance: round-robin
    health: { check: none }
    servers:
${servers.map(({ ae, endpoint }) => `      - { name: ${ae}, address: "${endpoint}" }`).join('\n')}
vips:
  V:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: archive
    dicom:
      route: study
      storage: ${storage}
      egress:
        listen: ["127.0.0.1:${egress.port}"]
        destinations: { CT1: "${ct1.endpoint}", CT2: "${ct2.endpoint}" }
`;
  const start = async () => {
    const balancer = stopLater(await startTestBalancer(yaml));
    return { balancer, vip: balancer.address('V') };
  };
  return { servers, ct1, ct2, egress, start };
}

const uids = (references: readonly Reference[]) =>
  references.map(({ sopInstance }) => sopInstance).toSorted();

const referencesTo = (instances: readonly InstanceFile[]): Reference[] =>
  instances.map(({ sopClass, sopInstance }) => ({ sopClass, sopInstance }));

/** Stores instances of four studies. */
async function store(vip: Address, count: number): Promise<Reference[]> {
  const instances = writeInstances(pathOf('files'), count);
  const statuses = await sendRequests(
    vip,
    modality,
    instances.map(({ path }) => storeFile(path)),
  );
  expect(statuses).toEqual(instances.map(() => 0));
  return referencesTo(instances);
}

describe('performed procedure steps', () => {
  test('N-SET on a later association goes where the N-CREATE went, whoever leads', async () => {
    const { servers, start } = await createSite('shared');
    const { vip } = await start();
    const steps = ['1.2.826.1', '1.2.826.2', '1.2.826.3', '1.2.826.4'];
    for (const step of steps) expect(await sendRequests(vip, modality, [createStep(step)])).toEqual([0]);
    expect(servers.map((server) => server.steps.size)).toEqual([2, 2]);
    for (const step of steps.toReversed())
      expect(await sendRequests(vip, modality, [completeStep(step)])).toEqual([0]);
    for (const { steps: states } of servers) expect([...states.values()]).toEqual(['COMPLETED', 'COMPLETED']);
    // One that nobody knows goes to the lead, which says so.
    expect(await sendRequests(vip, modality, [completeStep('1.2.826.9')])).toEqual([0x0112]);
  });

  test('a restart of the balancer between N-CREATE and N-SET: still the same server', async () => {
    const { servers, start } = await createSite('separate');
    const { balancer, vip } = await start();
    expect(await sendRequests(vip, modality, [createStep('1.2.826.1')])).toEqual([0]);
    expect(await sendRequests(vip, modality, [createStep('1.2.826.2')])).toEqual([0]);
    await balancer.stop();
    const after = (await start()).vip;
    expect(await sendRequests(after, modality, [completeStep('1.2.826.2')])).toEqual([0]);
    expect(await sendRequests(after, modality, [completeStep('1.2.826.1')])).toEqual([0]);
    // An independent archive that is away: nobody else is asked.
    const owner = servers.find(({ steps }) => steps.has('1.2.826.1'))!;
    await owner.stop();
    expect(await sendRequests(after, modality, [completeStep('1.2.826.1')])).toEqual([0x0110]);
  });
});

describe('storage commitment', () => {
  /** Asks for instances that both servers have; what each of them was asked. */
  async function ask({ servers }: Site, vip: Address) {
    const wanted = await store(vip, 16);
    for (const { stored } of servers) expect(stored.length).toBeGreaterThan(0);
    expect(await sendRequests(vip, modality, [requestCommitment('1.2.826.77', wanted)])).toEqual([0]);
    const parts = servers.map(({ asked, stored }) => {
      expect(asked.length).toBe(1);
      const [part] = asked.items;
      expect(part).toMatchObject({ calling: 'CT1', type: 1 });
      expect(part!.transaction).toMatch(/^2\.25\./);
      expect(uids(part!.referenced)).toEqual(stored.items.toSorted());
      return part!;
    });
    return { wanted, parts: [parts[0]!, parts[1]!] as const };
  }

  test.for(['shared', 'separate'] as const)(
    'instances on two servers, %s storage: split, and one N-EVENT-REPORT on a later association to who asked',
    async (storage) => {
      const site = await createSite(storage);
      const { servers, ct1, ct2, egress, start } = site;
      const { balancer, vip } = await start();
      const { wanted, parts } = await ask(site, vip);
      // The second server has lost one of its instances since.
      const lost = servers[1].stored.items.pop()!;
      expect(await servers[0].report(parts[0], egress)).toEqual([0]);
      expect(ct1.reported.length).toBe(0);
      // It calls another AE title of ours: who asked is told all the same.
      expect(await servers[1].report({ ...parts[1], calling: 'CT2' }, egress)).toEqual([0]);
      expect([ct1.reported.length, ct2.reported.length]).toEqual([1, 0]);
      const [report] = ct1.reported.items;
      expect(report).toMatchObject({ calling: 'PACS_B', transaction: '1.2.826.77', type: 2 });
      expect(report!.failed).toMatchObject([{ sopInstance: lost, reason: 0x0112 }]);
      expect(uids([...report!.referenced, ...report!.failed])).toEqual(uids(wanted));
      // What is reported again after that is nobody's.
      expect(await servers[0].report(parts[0], egress)).toEqual([0]);
      expect(ct1.reported.length).toBe(1);
      const events = await balancer.associations.count(5);
      expect(events.slice(2).map(({ pool, operations }) => [pool, operations])).toEqual([
        ['egress CT1', { 'N-EVENT-REPORT': { '0000': 1 } }],
        ['egress CT2', { 'N-EVENT-REPORT': { '0000': 1 } }],
        ['egress CT1', { 'N-EVENT-REPORT': { '0000': 1 } }],
      ]);
    },
  );

  test('the balancer restarts between request and report: the parts still come together', async () => {
    const site = await createSite('separate');
    const { servers, ct1, egress, start } = site;
    const { balancer, vip } = await start();
    const { wanted, parts } = await ask(site, vip);
    expect(await servers[1].report(parts[1], egress)).toEqual([0]);
    await balancer.stop();
    await start();
    expect(await servers[0].report(parts[0], egress)).toEqual([0]);
    const [report] = await ct1.reported.count(1);
    expect(report).toMatchObject({ transaction: '1.2.826.77', type: 1, failed: [] });
    expect(uids(report!.referenced)).toEqual(uids(wanted));
  });

  test('instances on one server: it is asked, whoever leads, and its report is passed on', async () => {
    const { servers, ct1, egress, start } = await createSite('shared');
    const { vip } = await start();
    const wanted = await store(vip, 1);
    // The other server leads now.
    expect(await sendRequests(vip, modality, [requestCommitment('1.2.826.78', wanted)])).toEqual([0]);
    const server = servers.find(({ stored }) => stored.length === 1)!;
    const [asked] = server.asked.items;
    expect(asked).toMatchObject({ transaction: '1.2.826.78', referenced: wanted });
    expect(await server.report(asked!, egress)).toEqual([0]);
    expect(ct1.reported.items).toMatchObject([
      { transaction: '1.2.826.78', type: 1, calling: server.ae, referenced: wanted },
    ]);
  });

  test('who asked is away: the server is told so, and tries again until it is there', async () => {
    const site = await createSite('separate');
    const { servers, ct1, ct2, egress, start } = site;
    const { vip } = await start();
    const { parts } = await ask(site, vip);
    expect(await servers[0].report(parts[0], egress)).toEqual([0]);
    await ct1.stop();
    await expect(servers[1].report(parts[1], egress)).rejects.toThrow('rejected 2/3/1');
    const elsewhere = { ...parts[1], calling: ct2.ae };
    expect(await servers[1].report(elsewhere, egress)).toEqual([0x0110]);
    const back = stopLater(await startDimsePeer('CT1', ct1.address.port));
    expect(await servers[1].report(elsewhere, egress)).toEqual([0]);
    expect([back.reported.length, ct2.reported.length]).toEqual([1, 0]);
  });

  test('a server that does not take its part: the client is told so, and nothing is reported', async () => {
    const { servers, ct1, egress, start } = await createSite('separate');
    const { vip } = await start();
    const asking = () => [requestCommitment('1.2.826.79', wanted)];
    const wanted = await store(vip, 16);
    servers[1].statusOfAction = 0x0213;
    expect(await sendRequests(vip, modality, asking())).toEqual([0x0213]);
    expect(await servers[0].report(servers[0].asked.items[0]!, egress)).toEqual([0]);
    expect(ct1.reported.length).toBe(0);
    await servers[1].stop();
    expect(await sendRequests(vip, modality, asking())).toEqual([0x0110]);
  });

  test('instances that nobody knows: the lead is asked with shared storage, else it is refused, 0110', async () => {
    const unknown = [{ sopClass: '1.2.840.10008.5.1.4.1.1.2', sopInstance: '1.2.826.5' }];
    const asking = () => [requestCommitment('1.2.826.80', unknown)];
    const shared = await createSite('shared');
    expect(await sendRequests((await shared.start()).vip, modality, asking())).toEqual([0]);
    expect(shared.servers.map(({ asked }) => asked.length)).toEqual([1, 0]);
    const separate = await createSite('separate');
    expect(await sendRequests((await separate.start()).vip, modality, asking())).toEqual([0x0110]);
    expect(separate.servers.map(({ asked }) => asked.length)).toEqual([0, 0]);
  });
});

describeWith(['dcmtk'], 'egress', () => {
  test('C-MOVE from dcmqrscp through the egress listener to the right storescp', async () => {
    const port = await freePort();
    const near = stopLater(await startStorescp(pathOf('near'), { ae: 'NEAR' }));
    const far = stopLater(await startStorescp(pathOf('far'), { ae: 'FAR' }));
    const egress = { host: '127.0.0.1', port };
    const [before, behind] = [await record(egress), await record(far.address)];
    const destinations = { NEAR: egress, FAR: before.address, NOWHERE: egress };
    const archive = stopLater(await startDcmqrscp(pathOf('archive'), { aes: [called], destinations }));
    const balancer = await startVip([{ name: 'archive', endpoint: archive.endpoint }], {
      vip: `dicom:
  route: study
  storage: shared
  egress:
    listen: ["127.0.0.1:${port}"]
    destinations: { NEAR: "${near.endpoint}", FAR: "${behind.endpoint}" }
`,
    });
    const instances = writeInstances(pathOf('files'), 12);
    const paths = instances.map(({ path }) => path);
    expect(await storescu(balancer.vip, paths, { called })).toMatchObject({ code: 0 });
    const of = (kind: string) => instances.filter((one) => one.modality === kind);
    const keysOf = (kind: string) => [`StudyInstanceUID=${of(kind)[0]!.studyInstance}`];

    expect(await movescu(balancer.vip, 'FAR', keysOf('CT'), { called })).toMatchObject({ code: 0 });
    expect(await movescu(balancer.vip, 'NEAR', keysOf('MR'), { called })).toMatchObject({ code: 0 });
    expect(listDataSets(far.folder)).toEqual(listed(of('CT')));
    expect(listDataSets(near.folder)).toEqual(listed(of('MR')));
    // Calling AE title and Move Originator untouched, as everything else.
    const [sent, got] = await Promise.all(
      [before, behind].map(({ recordings }) => recordings.find(({ over }) => over)),
    );
    expect(got!.request.toString('latin1', 26, 42).trim()).toBe(called);
    expect(got!.toServer.includes('TESTSCU')).toBe(true);
    expect(got!.toServer.equals(sent!.toServer)).toBe(true);
    expect(sent!.toClient.equals(got!.toClient)).toBe(true);
    const nowhere = await movescu(balancer.vip, 'NOWHERE', keysOf('MR'), { called, args: ['-v'] });
    expect(nowhere.output).toContain('Refused');
    expect(await echoscu(egress, { called: 'NOBODY', args: ['-v'] })).toMatchObject({
      output: expect.stringContaining('Called AE Title Not Recognized'),
    });
  });
});

describeWith(['dcmtk', 'orthanc'], 'two independent Orthancs', () => {
  /** Each knows the AE title CT1 at the egress, which leads to `scanner`. */
  async function startArchives(scanner: DimsePeer) {
    const egress = { host: '127.0.0.1', port: await freePort() };
    const archive = async (name: string) =>
      stopLater(await startOrthanc(pathOf(name), { ae: called, modalities: { CT1: egress } }));
    const archives = [await archive('a'), await archive('b')] as const;
    const balancer = stopLater(
      await startTestBalancer(`
table: { memory: { file: "${pathOf('table')}" } }
pools:
  archive:
    health: { check: none }
    servers:
      - { name: a, address: "${archives[0].endpoint}" }
      - { name: b, address: "${archives[1].endpoint}" }
vips:
  V:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    pool: archive
    dicom:
      route: study
      storage: separate
      egress: { listen: ["127.0.0.1:${egress.port}"], destinations: { CT1: "${scanner.endpoint}" } }
`),
    );
    const vip = balancer.address('V');
    const instances = writeInstances(pathOf('files'), 16);
    const paths = instances.map(({ path }) => path);
    expect(await storescu(vip, paths, { called, calling: 'CT1' })).toMatchObject({ code: 0 });
    for (const one of archives) expect((await one.instances()).length).toBeGreaterThan(0);
    return { balancer, vip, instances };
  }

  test('C-GET through study routing, whichever of them has the study', async () => {
    const { vip, instances } = await startArchives(stopLater(await startDimsePeer('CT1')));
    const studies = Map.groupBy(instances, ({ studyInstance }) => studyInstance);
    for (const [study, wanted] of studies) {
      const folder = pathOf(`got ${study}`);
      const keys = [`StudyInstanceUID=${study}`];
      expect(await getscu(vip, folder, keys, { called, calling: 'CT1' })).toMatchObject({ code: 0 });
      expect(listDataSets(folder)).toEqual(listed(wanted));
    }
  });

  test('storage commitment: both report through the egress, CT1 hears of it once', async () => {
    const scanner = stopLater(await startDimsePeer('CT1'));
    const { vip, instances } = await startArchives(scanner);
    const wanted = referencesTo(instances);
    expect(await sendRequests(vip, modality, [requestCommitment('1.2.826.81', wanted)])).toEqual([0]);
    const [report] = await scanner.reported.count(1);
    expect(report).toMatchObject({ transaction: '1.2.826.81', type: 1, failed: [] });
    expect(uids(report!.referenced)).toEqual(uids(wanted));
  });
});
