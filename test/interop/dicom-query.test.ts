/** DCMTK's clients against two archives, directly and through the balancer: they must not be able to tell. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { expect, test } from 'vitest';
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
    ['dcmqrscp', startDcmtkArchive, 'A801'],
    ['Orthanc', startOrthancArchive, 'C000'],
  ] as const)(
    'echoscu, findscu, getscu, movescu against %s through the balancer behave as direct',
    async ([, startArchive, unknownDestination]) => {
      const target = stopLater(await startStorescp(pathOf('target')));
      const direct = await startArchive(target);
      const balancer = await startVip([{ name: 'archive', endpoint: `${direct.host}:${direct.port}` }]);
      const instances = writeInstances(pathOf('files'), 24);
      const paths = instances.map(({ path }) => path);
      expect(await storescu(direct, paths, options)).toMatchObject({ code: 0 });
      const wanted = instances.filter(({ modality }) => modality === 'MR');

      for (const [name, { run, expects }] of Object.entries(clientRuns(wanted, target))) {
        const [from, through] = [await run(direct), await run(balancer.vip)];
        expect(from.said, `${name}, directly`).toContain(expects);
        expect(through, name).toEqual(from);
      }
      const ends = await balancer.associations.count(7);
      expect(ends.map(({ end }) => end)).toEqual([...Array(6).fill('release'), 'reject']);
      expect(ends.map(({ operations }) => operations)).toMatchObject([
        { 'C-ECHO': { '0000': 1 } },
        { 'C-FIND': { '0000': 1 } },
        { 'C-FIND': { '0000': 1 } },
        { 'C-GET': { '0000': 1 }, 'C-STORE': { '0000': wanted.length } },
        { 'C-MOVE': { '0000': 1 } },
        { 'C-MOVE': { [unknownDestination]: 1 } },
        {},
      ]);
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
  readonly retrieved: readonly string[];
}

interface ClientRun {
  readonly run: (to: Address) => Promise<Outcome>;
  /** Something that it says when it did its work, so that equal is not equally wrong. */
  readonly expects: string;
}

function clientRuns(wanted: readonly InstanceFile[], target: DcmtkServer): Record<string, ClientRun> {
  const keys = [`StudyInstanceUID=${wanted[0]!.studyInstance}`];
  const retrieved = listed(wanted);
  const without = async (running: Promise<RunResult>): Promise<Outcome> => ({
    ...outcomeOf(await running),
    retrieved: [],
  });
  return {
    echoscu: { run: (to) => without(echoscu(to, debug)), expects: 'Received Echo Response (Success)' },
    findscu: {
      run: (to) => without(findscu(to, [...keys, 'PatientName'], debug)),
      expects: 'DEMO^INVENTED',
    },
    'findscu, nothing found': {
      run: (to) => without(findscu(to, ['StudyInstanceUID=1.2.3'], debug)),
      expects: '0x0000: Success',
    },
    getscu: {
      async run(to) {
        const folder = pathOf('got');
        const outcome = outcomeOf(await getscu(to, folder, keys, debug));
        const got = listDataSets(folder);
        expect(got).toEqual(retrieved);
        rmSync(folder, { recursive: true });
        return { ...outcome, retrieved: got };
      },
      expects: 'Number of Completed Suboperations : 6',
    },
    movescu: {
      async run(to) {
        const outcome = outcomeOf(await movescu(to, 'TARGET', keys, debug));
        const moved = listDataSets(target.folder);
        expect(moved).toEqual(retrieved);
        renameSync(target.folder, pathOf(`moved-${to.port}`));
        mkdirSync(target.folder);
        return { ...outcome, retrieved: moved };
      },
      expects: '0x0000: Success',
    },
    'movescu, unknown destination': {
      run: (to) => without(movescu(to, 'NOWHERE', keys, debug)),
      expects: 'Move response with error status',
    },
    'echoscu, an AE title that the archive does not have': {
      run: (to) => without(echoscu(to, { ...debug, called: 'SOMEBODY' })),
      expects: 'Called AE Title Not Recognized',
    },
  };
}

function outcomeOf({ code, output }: RunResult): { code: number | undefined; said: string } {
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
