/** What belongs together over several associations, and what servers begin themselves, between real peers. */
import { describe, expect, test } from 'vitest';
import { echoscu, movescu, startDcmqrscp, startStorescp, storescu } from '../peers/dcmtk.ts';
import { listDataSets, listed, writeInstances } from '../peers/dicom-files.ts';
import { completeStep, createStep, sendRequests, startDimsePeer } from '../peers/dimse-services.ts';
import { describeWith, freePort } from '../peers/processes.ts';
import { pathOf, startVip, stopLater } from './dicom-setup.ts';

const called = 'ARCHIVE';
const modality = { calling: 'CT1', called };

/** Two servers on dcmjs-dimse, which lead in turn. */
async function startTwo(vip: string) {
  const servers = [
    stopLater(await startDimsePeer('PACS_A')),
    stopLater(await startDimsePeer('PACS_B')),
  ] as const;
  const balancer = await startVip(
    servers.map(({ ae, endpoint }) => ({ name: ae.toLowerCase(), endpoint })),
    { vip },
  );
  return { balancer, servers };
}

describe('performed procedure steps', () => {
  test('N-SET on a later association goes where the N-CREATE went, whoever leads', async () => {
    const { balancer, servers } = await startTwo('dicom: { route: study, storage: shared }');
    const steps = ['1.2.826.1', '1.2.826.2', '1.2.826.3', '1.2.826.4'];
    for (const step of steps)
      expect(await sendRequests(balancer.vip, modality, [createStep(step)])).toEqual([0]);
    expect(servers.map((server) => server.steps.size)).toEqual([2, 2]);
    for (const step of steps.toReversed())
      expect(await sendRequests(balancer.vip, modality, [completeStep(step)])).toEqual([0]);
    for (const { steps: states } of servers) expect([...states.values()]).toEqual(['COMPLETED', 'COMPLETED']);
    // One that nobody knows goes to the lead, which says so.
    expect(await sendRequests(balancer.vip, modality, [completeStep('1.2.826.9')])).toEqual([0x0112]);
  });
});

describeWith(['dcmtk'], 'egress', () => {
  test('C-MOVE from dcmqrscp through the egress listener to the right storescp', async () => {
    const port = await freePort();
    const near = stopLater(await startStorescp(pathOf('near'), { ae: 'NEAR' }));
    const far = stopLater(await startStorescp(pathOf('far'), { ae: 'FAR' }));
    const egress = { host: '127.0.0.1', port };
    const archive = stopLater(
      await startDcmqrscp(pathOf('archive'), {
        aes: [called],
        destinations: { NEAR: egress, FAR: egress, NOWHERE: egress },
      }),
    );
    const balancer = await startVip([{ name: 'archive', endpoint: archive.endpoint }], {
      vip: `dicom:
  route: study
  storage: shared
  egress:
    listen: ["127.0.0.1:${port}"]
    destinations: { NEAR: "${near.endpoint}", FAR: "${far.endpoint}" }
`,
    });
    const instances = writeInstances(pathOf('files'), 12);
    const paths = instances.map(({ path }) => path);
    expect(await storescu(balancer.vip, paths, { called })).toMatchObject({ code: 0 });
    const of = (modality: string) => instances.filter((one) => one.modality === modality);
    const keysOf = (modality: string) => [`StudyInstanceUID=${of(modality)[0]!.studyInstance}`];

    expect(await movescu(balancer.vip, 'FAR', keysOf('CT'), { called })).toMatchObject({ code: 0 });
    expect(await movescu(balancer.vip, 'NEAR', keysOf('MR'), { called })).toMatchObject({ code: 0 });
    expect(listDataSets(far.folder)).toEqual(listed(of('CT')));
    expect(listDataSets(near.folder)).toEqual(listed(of('MR')));
    const nowhere = await movescu(balancer.vip, 'NOWHERE', keysOf('MR'), { called, args: ['-v'] });
    expect(nowhere.output).toContain('Refused');
    expect(await echoscu(egress, { called: 'NOBODY', args: ['-v'] })).toMatchObject({
      output: expect.stringContaining('Called AE Title Not Recognized'),
    });
  });
});
