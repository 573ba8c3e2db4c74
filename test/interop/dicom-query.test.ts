/** DCMTK's clients against two archives, directly and through the balancer: they must not be able to tell. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { AssociationEvent } from '../../src/observe/events.ts';
import {
  type ClientOptions,
  type DcmtkServer,
  echoscu,
  findscu,
  getscu,
  movescu,
  startDcmqrscp,
  startStorescp,
  storescu,
} from '../peers/dcmtk.ts';
import { type InstanceFile, listDataSets, listed, writeInstances } from '../peers/dicom-files.ts';
import { startOrthanc } from '../peers/orthanc.ts';
import { describeWith, type RunResult } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import { pathOf, startVip, stopLater } from './dicom-setup.ts';

describeWith(['dcmtk', 'orthanc'], 'archives behind a DICOM VIP', () => {
  test.for([
    ['dcmqrscp', 'association', startDcmtkArchive, 'A801'],
    ['Orthanc', 'association', startOrthancArchive, 'C000'],
    ['dcmqrscp', 'study', startDcmtkArchive, 'A801'],
    ['Orthanc', 'study', startOrthancArchive, 'C000'],
  ] as const)(
    'echoscu, findscu, getscu, movescu against %s through %s routing behave as direct',
    async ([, route, startArchive, unknownDestination]) => {
      const target = stopLater(await startStorescp(pathOf('target')));
      const direct = await startArchive(target);
      const storage = route === 'study' ? ', storage: shared' : '';
      const balancer = await startVip([{ name: 'archive', endpoint: `${direct.host}:${direct.port}` }], {
        vip: `dicom: { route: ${route}${storage} }`,
      });
      const instances = writeInstances(pathOf('files'), 24);
      const paths = instances.map(({ path }) => path);
      expect(await storescu(direct, paths, options)).toMatchObject({ code: 0 });
      const wanted = instances.filter(({ modality }) => modality === 'MR');

      const runs = clientRuns(wanted, target, unknownDestination);
      for (const [index, [name, { run, expects }]] of Object.entries(runs).entries()) {
        const [from, through] = [await run(direct), await run(balancer.vip)];
        expect(from.said, `${name}, directly`).toContain(expects);
        expect(through, name).toEqual(from);
        // Over on all sides, before the next begins.
        await balancer.associations.count(index + 1);
      }
      const expected = Object.values(runs).map(({ end = 'release', operations }) => ({ end, operations }));
      const events = await balancer.associations.count(expected.length);
      expect(events.map(({ end, operations }) => ({ end, operations }))).toEqual(expected);
    },
  );
});

const called = 'ARCHIVE';
const options: ClientOptions = { called };
/** With everything that DCMTK has to say: the association as negotiated, every PDU, every data set. */
const debug: ClientOptions = { called, args: ['-d'] };

interface Outcome {
  readonly code: number | undefined;
  readonly said: string;
  /** Data sets that were retrieved. */
  readonly retrieved?: readonly string[];
}

interface ClientRun {
  readonly run: (to: Address) => Promise<Outcome>;
  /** Something that it says when it did its work, so that equal is not equally wrong. */
  readonly expects: string;
  /** What the balancer saw of it. */
  readonly operations: AssociationEvent['operations'];
  readonly end?: AssociationEvent['end'];
}

function clientRuns(
  wanted: readonly InstanceFile[],
  target: DcmtkServer,
  unknownDestination: string,
): Record<string, ClientRun> {
  const keys = [`StudyInstanceUID=${wanted[0]!.studyInstance}`];
  const count = wanted.length;
  return {
    echoscu: {
      run: async (to) => outcomeOf(await echoscu(to, debug)),
      expects: 'Received Echo Response (Success)',
      operations: { 'C-ECHO': { '0000': 1 } },
    },
    'echoscu, which aborts': {
      run: async (to) => outcomeOf(await echoscu(to, { called, args: ['-d', '--abort'] })),
      expects: 'Aborting Association',
      operations: { 'C-ECHO': { '0000': 1 } },
      end: 'abort',
    },
    'echoscu, of an AE title that the archive does not have': {
      run: async (to) => outcomeOf(await echoscu(to, { ...debug, called: 'SOMEBODY' })),
      expects: 'Called AE Title Not Recognized',
      operations: {},
      end: 'reject',
    },
    findscu: {
      run: async (to) => outcomeOf(await findscu(to, [...keys, 'PatientName'], debug)),
      expects: 'DEMO^INVENTED',
      operations: { 'C-FIND': { '0000': 1 } },
    },
    'findscu, nothing found': {
      run: async (to) => outcomeOf(await findscu(to, ['StudyInstanceUID=1.2.3'], debug)),
      expects: '0x0000: Success',
      operations: { 'C-FIND': { '0000': 1 } },
    },
    getscu: {
      async run(to) {
        const folder = pathOf('got');
        const outcome = outcomeOf(await getscu(to, folder, keys, debug));
        const retrieved = listDataSets(folder);
        rmSync(folder, { recursive: true });
        expect(retrieved).toEqual(listed(wanted));
        return { ...outcome, retrieved };
      },
      expects: `Number of Completed Suboperations : ${count}`,
      operations: { 'C-GET': { '0000': 1 }, 'C-STORE': { '0000': count } },
    },
    movescu: {
      async run(to) {
        const outcome = outcomeOf(await movescu(to, 'TARGET', keys, debug));
        const retrieved = listDataSets(target.folder);
        for (const file of target.files()) rmSync(join(target.folder, file));
        expect(retrieved).toEqual(listed(wanted));
        return { ...outcome, retrieved };
      },
      expects: '0x0000: Success',
      operations: { 'C-MOVE': { '0000': 1 } },
    },
    'movescu, to an unknown destination': {
      run: async (to) => outcomeOf(await movescu(to, 'NOWHERE', keys, debug)),
      expects: 'Move response with error status',
      operations: { 'C-MOVE': { [unknownDestination]: 1 } },
    },
  };
}

function outcomeOf({ code, output }: RunResult): Outcome {
  return { code, said: output };
}

async function startDcmtkArchive(target: DcmtkServer): Promise<Address> {
  const destinations = { TARGET: target.address };
  const archive = await startDcmqrscp(pathOf('archive'), { aes: [called], destinations });
  return stopLater(archive).address;
}

async function startOrthancArchive(target: DcmtkServer): Promise<Address> {
  const archive = await startOrthanc(pathOf('archive'), {
    ae: called,
    modalities: { TARGET: target.address },
    configuration: { DicomCheckCalledAet: true },
  });
  return stopLater(archive).address;
}
