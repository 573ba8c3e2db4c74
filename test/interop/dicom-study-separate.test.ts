/** Study routing over independent archives, with real senders and real archives. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runHere } from '../cli/run-cli.ts';
import { type DcmtkServer, startStorescp, storescu } from '../peers/dcmtk.ts';
import { createInstances, type InstanceFile, storedDataSets } from '../peers/dicom-files.ts';
import { type GantryProcess, startGantry } from '../peers/gantry-process.ts';
import { describeWith, freePort } from '../peers/processes.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

const NAMES = ['a', 'b', 'c'];

describeWith(['dcmtk'], 'study routing with `storage: separate`', () => {
  test('an archive is killed: 0xA700 for its studies until it is back, not loss and not a split study; over a restart of the balancer the same', async () => {
    const servers = await Promise.all(
      NAMES.map(async (name) => stopLater(await startStorescp(pathOf(name)))),
    );
    const vip = { host: '127.0.0.1', port: await freePort() };
    const admin = { host: '127.0.0.1', port: await freePort() };
    const file = pathOf('gantry.yaml');
    const list = servers.map(({ endpoint }, index) => `{ name: ${NAMES[index]}, address: "${endpoint}" }`);
    writeFileSync(
      file,
      `version: 1
admin: { listen: "127.0.0.1:${admin.port}" }
table: { memory: { file: table } }
pools: { P: { servers: [${list.join(', ')}], health: { check: none } } }
vips:
  V:
    protocol: dicom
    listen: "127.0.0.1:${vip.port}"
    pool: P
    dicom: { route: study, storage: separate }
`,
    );
    const studies = Array.from({ length: 8 }, (_, index) => studyOf(`study ${index}`, 4));
    const places = () => studies.map((instances) => placesOf(servers, instances));
    /** One instance of each of these studies, all on one association. */
    const send = (number: number, which = studies) =>
      storescu(
        vip,
        which.map((instances) => instances[number]!.path),
        { args: ['-R', '--no-halt'] },
      );

    const before = await startGantry(file);
    stopLater({ stop: () => before.kill() });
    expect((await send(0)).code).toBe(0);
    // Over on all sides: in the log it is before the next.
    await associations(before, 1);
    const first = places();
    expect(first.map((names) => names.length)).toEqual(studies.map(() => 1));
    expect(new Set(first.flat()).size).toBeGreaterThan(1);
    const lost = servers[NAMES.indexOf(first[0]![0]!)]!;
    const hit = studies.filter((_, index) => first[index]![0] === first[0]![0]);

    await lost.stop();
    await send(1);
    const { operations } = (await associations(before, 2))[1]!;
    const failed = { A700: hit.length, '0000': studies.length - hit.length };
    expect(operations).toEqual({ 'C-STORE': failed });
    expect(places()).toEqual(first);

    const entries = await runHere(['persistence', '--admin', `http://127.0.0.1:${admin.port}`]);
    expect(entries.stdout.match(/^vip V +P +study +[\d.]+ +[abc] +for ever$/gm)).toHaveLength(studies.length);
    expect(await before.end()).toBe(0);

    // The archive is still away: nothing that the balancer forgot would tell it so.
    const after = await startGantry(file);
    stopLater({ stop: () => after.kill() });
    await send(2);
    expect((await associations(after, 1))[0]!.operations).toEqual({ 'C-STORE': failed });
    await lost.restart();
    for (const number of [1, 2]) expect((await send(number, hit)).code).toBe(0);
    expect((await send(3)).code).toBe(0);
    expect(places()).toEqual(first);
    for (const [index, instances] of studies.entries()) {
      const stored = storedDataSets(servers[NAMES.indexOf(first[index]![0]!)]!.folder);
      for (const { sopInstance } of instances) expect(stored.has(sopInstance)).toBe(true);
    }
  });
});

/** CT instances of one study, in files. */
function studyOf(name: string, count: number): InstanceFile[] {
  mkdirSync(pathOf('files', name), { recursive: true });
  return createInstances('CT', count, name, 16).map((instance, index) => {
    const path = pathOf('files', name, `${index}.dcm`);
    writeFileSync(path, instance.file);
    return { ...instance, path };
  });
}

/** Names of the servers that have any of the instances. */
function placesOf(servers: readonly DcmtkServer[], instances: readonly InstanceFile[]): string[] {
  return NAMES.filter((_, index) => {
    const stored = storedDataSets(servers[index]!.folder);
    return instances.some(({ sopInstance }) => stored.has(sopInstance));
  });
}

function associations(gantry: GantryProcess, count: number) {
  return gantry.log.count(count, ({ msg }) => msg === 'association');
}
