/** The real peers, directly and without a balancer: what the interop tests compare with. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  dcmdump,
  dcmsend,
  echoscu,
  findscu,
  getscu,
  movescu,
  startDcmqrscp,
  startStorescp,
  storescu,
} from './dcmtk.ts';
import {
  createFolder,
  expectedDataSets,
  MODALITIES,
  storedDataSets,
  type TestFolder,
  writeInstances,
} from './dicom-files.ts';
import { startOrthanc } from './orthanc.ts';
import { describeWith, freePort, runProgram, skipWithout } from './processes.ts';

let folder: TestFolder;
const stops: (() => Promise<void>)[] = [];
function stopLater<T extends { stop(): Promise<void> }>(peer: T): T {
  stops.push(() => peer.stop());
  return peer;
}
beforeEach(() => {
  folder = createFolder();
});
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
  folder.remove();
});

describeWith(['dcmtk'], 'DCMTK', () => {
  test('what storescu and dcmsend send is what storescp writes, bit for bit', async () => {
    const server = stopLater(await startStorescp(join(folder.path, 'store')));
    const instances = writeInstances(join(folder.path, 'files'), 8);
    const paths = instances.map((instance) => instance.path);
    expect(await dcmdump(paths[0]!)).toContain('[DEMO^INVENTED]');
    expect(await echoscu(server.address)).toMatchObject({ code: 0 });
    expect(await storescu(server.address, paths.slice(0, 4))).toMatchObject({ code: 0 });
    expect(await dcmsend(server.address, paths.slice(4))).toMatchObject({ code: 0 });
    expect(storedDataSets(server.folder)).toEqual(expectedDataSets(instances));
    expect(new Set(instances.map((instance) => instance.modality))).toEqual(new Set(MODALITIES));
    await server.stop();
    expect((await echoscu(server.address)).code).not.toBe(0);
    await server.restart();
    expect(await echoscu(server.address)).toMatchObject({ code: 0 });
  });

  test('dcmqrscp finds, gets and moves', async () => {
    const target = stopLater(await startStorescp(join(folder.path, 'target')));
    const server = stopLater(
      await startDcmqrscp(join(folder.path, 'archive'), { destinations: { TARGET: target.address } }),
    );
    const instances = writeInstances(join(folder.path, 'files'), 4);
    const called = 'ARCHIVE';
    const paths = instances.map((instance) => instance.path);
    expect(await storescu(server.address, paths, { called })).toMatchObject({ code: 0 });
    const keys = [`StudyInstanceUID=${instances[0]!.studyInstance}`];
    const found = await findscu(server.address, keys, { called, args: ['-v'] });
    expect(found.output).toContain(instances[0]!.studyInstance);
    expect(await getscu(server.address, join(folder.path, 'got'), keys, { called })).toMatchObject({
      code: 0,
    });
    expect(readdirSync(join(folder.path, 'got'))).toHaveLength(1);
    expect(await movescu(server.address, 'TARGET', keys, { called })).toMatchObject({ code: 0 });
    expect(target.files()).toHaveLength(1);
    expect((await echoscu(server.address, { called: 'NOBODY' })).output).toContain(
      'Called AE Title Not Recognized',
    );
  });
});

describeWith(['dcmtk', 'orthanc'], 'Orthanc', () => {
  test('stores', async () => {
    const orthanc = stopLater(await startOrthanc(join(folder.path, 'orthanc')));
    const instances = writeInstances(join(folder.path, 'files'), 4);
    const paths = instances.map((instance) => instance.path);
    expect(await storescu(orthanc.address, paths, { called: 'ORTHANC' })).toMatchObject({ code: 0 });
    expect(new Set(await orthanc.instances())).toEqual(new Set(expectedDataSets(instances).keys()));
  });
});

test('a program that is not there is said so', async () => {
  expect(await runProgram('no-such-program', [])).toMatchObject({ code: 127 });
  expect(await freePort()).toBeGreaterThan(0);
});

describeWith(['python3-hl7'], 'python3-hl7', () => {
  skipWithout('python3-hl7');
  test('mllp_send is there', async () => {
    expect((await runProgram('mllp_send', ['--version'])).output).toMatch(/^\d+\.\d+/);
  });
});
