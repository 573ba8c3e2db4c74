/** A balancer that is killed, with study routing: it forgets no study. Real senders, real archives. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type DcmtkServer, startStorescp, storescu } from '../peers/dcmtk.ts';
import { createInstances, type InstanceFile, storedDataSets } from '../peers/dicom-files.ts';
import { startGantry } from '../peers/gantry-process.ts';
import { describeWith, freePort } from '../peers/processes.ts';
import { within } from '../peers/waiting.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

const NAMES = ['a', 'b', 'c'];

describeWith(['dcmtk'], 'a balancer that is killed (-9)', () => {
  test('at once after studies have begun: each goes on at its server after the restart', async () => {
    const { servers, run, places } = await startServers('storage: shared');
    const studies = Array.from({ length: 7 }, (_, index) => studyOf(`study ${index}`));
    await run(studies.map(([one]) => one!));
    const before = studies.map(places);
    expect(new Set(before.flat()).size).toBe(NAMES.length);
    // In turn from the first server on: without memory a study that comes at another turn would not find its own.
    await run([...studies.slice(1), studies[0]!].map(([, two]) => two!));
    expect(studies.map(places)).toEqual(before);
    expect(servers.reduce((sum, server) => sum + server.files().length, 0)).toBe(14);
  });

  test('with `storage: separate`, studies whose first choice was away stay where they are', async () => {
    const { servers, run, places } = await startServers('storage: separate');
    const studies = Array.from({ length: 12 }, (_, index) => studyOf(`study ${index}`));
    await servers[0]!.stop();
    await run(studies.map(([one]) => one!));
    const before = studies.map(places);
    expect(new Set(before.flat())).toEqual(new Set(NAMES.slice(1)));
    await servers[0]!.restart();
    await run(studies.map(([, two]) => two!));
    expect(studies.map(places)).toEqual(before);
  });
});

/** Three archives, and a balancer over them that lives for one association only. */
async function startServers(storage: string) {
  const servers = await Promise.all(
    NAMES.map(async (name): Promise<DcmtkServer> => stopLater(await startStorescp(pathOf(name)))),
  );
  const list = servers.map(({ endpoint }, index) => `{ name: ${NAMES[index]}, address: "${endpoint}" }`);
  const vip = { host: '127.0.0.1', port: await freePort() };
  const file = pathOf('gantry.yaml');
  writeFileSync(
    file,
    `version: 1
admin: off
table: { memory: { file: table } }
pools: { P: { servers: [${list.join(', ')}], balance: round-robin, health: { check: none } } }
vips:
  V:
    protocol: dicom
    listen: "127.0.0.1:${vip.port}"
    pool: P
    dicom: { route: study, ${storage} }
`,
  );
  /** Starts it, sends what is given on one association, and kills it when the last answer has come and it has noted all. */
  const run = async (instances: readonly InstanceFile[]) => {
    const gantry = await startGantry(file);
    stopLater({ stop: () => gantry.kill() });
    const { code, output } = await storescu(
      vip,
      instances.map(({ path }) => path),
    );
    expect(code, output).toBe(0);
    await noted(instances);
    await gantry.kill();
  };
  /** Nobody waits for its notes, which are on their way to the file when the last answer is. */
  const noted = async (instances: readonly InstanceFile[]) => {
    const isNoted = () => {
      const notes = ['table', 'table.journal.old', 'table.journal']
        .map((name) => readIfThere(pathOf(name)))
        .join();
      return instances.every(({ studyInstance }) => notes.includes(studyInstance));
    };
    const all = (async () => {
      while (!isNoted()) await pause(5);
    })();
    await within(all, 'every study to be noted');
  };
  /** Names of the servers that have any of the instances. */
  const places = (instances: readonly InstanceFile[]) =>
    NAMES.filter((_, index) => {
      const stored = storedDataSets(servers[index]!.folder);
      return instances.some(({ sopInstance }) => stored.has(sopInstance));
    });
  return { servers, run, places };
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // Not made yet, or just renamed.
    return '';
  }
}

/** Two CT instances of one study, in files. */
function studyOf(name: string): InstanceFile[] {
  mkdirSync(pathOf('files', name), { recursive: true });
  return createInstances('CT', 2, name, 16).map((instance, index) => {
    const path = pathOf('files', name, `${index}.dcm`);
    writeFileSync(path, instance.file);
    return { ...instance, path };
  });
}
