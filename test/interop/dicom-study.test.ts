/** Study routing with real senders and real archives. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DcmtkServer, dcmsend, startStorescp, storescu } from '../peers/dcmtk.ts';
import {
  createInstances,
  type InstanceFile,
  listDataSets,
  splitFile,
  storedDataSets,
} from '../peers/dicom-files.ts';
import { startGantry } from '../peers/gantry-process.ts';
import { describeWith, freePort, runProgram } from '../peers/processes.ts';
import { pathOf, startVip, stopLater } from './dicom-setup.ts';

const NAMES = ['a', 'b', 'c'];

describeWith(['dcmtk'], 'study routing', () => {
  test('a study on three associations through two listeners: one server; after a restart of the balancer: the same', async () => {
    const servers = await startServers();
    const ports = [await freePort(), await freePort()];
    const [first, second] = ports.map((port) => ({ host: '127.0.0.1', port }));
    const file = pathOf('gantry.yaml');
    const list = servers.map(({ endpoint }, index) => `{ name: ${NAMES[index]}, address: "${endpoint}" }`);
    writeFileSync(
      file,
      `version: 1
admin: off
table: { memory: { file: table } }
pools: { P: { servers: [${list.join(', ')}], balance: round-robin, health: { check: none } } }
vips:
  V:
    protocol: dicom
    listen: [${ports.map((port) => `"127.0.0.1:${port}"`).join(', ')}]
    pool: P
    dicom: { route: study, storage: shared }
`,
    );
    const studies = Array.from({ length: 6 }, (_, index) => studyOf(`study ${index}`, 4));
    const send = async (sender: typeof storescu, to: typeof first, instances: readonly InstanceFile[]) => {
      const paths = instances.map(({ path }) => path);
      const { code, output } = await sender(to!, paths);
      expect(code, output).toBe(0);
    };

    const before = await startGantry(file);
    stopLater({ stop: () => before.kill() });
    // Two that begin one after the other begin on two servers; the others begin on three associations at once.
    const begun = studies.slice(0, 2);
    for (const [one] of begun) await send(storescu, first, [one!]);
    for (const [one, two, three] of studies) {
      await Promise.all([
        begun.some((study) => study[0] === one) || send(storescu, first, [one!]),
        send(dcmsend, second, [two!]),
        send(storescu, second, [three!]),
      ]);
    }
    const places = studies.map((instances) => serversWith(servers, instances));
    expect(places.map((names) => names.length)).toEqual(studies.map(() => 1));
    expect(new Set(places.flat()).size).toBeGreaterThan(1);
    expect(await before.end()).toBe(0);

    const after = await startGantry(file);
    stopLater({ stop: () => after.kill() });
    for (const instances of studies.toReversed()) await send(storescu, first, instances.slice(3));
    expect(studies.map((instances) => serversWith(servers, instances))).toEqual(places);
    expect(servers.reduce((sum, server) => sum + server.files().length, 0)).toBe(24);
  });

  test('studies mixed on one association go each to its own server', async () => {
    const servers = await startServers();
    const balancer = await startVip(
      servers.map(({ endpoint }, index) => ({ name: NAMES[index]!, endpoint })),
      {
        vip: 'dicom: { route: study, storage: shared }',
      },
    );
    const studies = Array.from({ length: 6 }, (_, index) => studyOf(`study ${index}`, 3));
    const mixed = [0, 1, 2].flatMap((number) => studies.map((instances) => instances[number]!.path));
    const { code, output } = await storescu(balancer.vip, mixed);
    expect(code, output).toBe(0);
    const places = studies.map((instances) => serversWith(servers, instances));
    expect(places.map((names) => names.length)).toEqual(studies.map(() => 1));
    expect(new Set(places.flat())).toEqual(new Set(NAMES));
    expect((await balancer.associations.count(1))[0]).toMatchObject({
      end: 'release',
      operations: { 'C-STORE': { '0000': 18 } },
    });
  });

  test('a new study that is alone on its association needs no other server than the one that leads', async () => {
    const servers = await startServers();
    const balancer = await startVip(
      servers.map(({ endpoint }, index) => ({ name: NAMES[index]!, endpoint })),
      { pool: 'health: { check: none }', vip: 'dicom: { route: study, storage: shared }' },
    );
    for (const number of [1, 2, 3, 4, 5, 6]) {
      const { code, output } = await storescu(
        balancer.vip,
        studyOf(`study ${number}`, 2).map(({ path }) => path),
      );
      expect(code, output).toBe(0);
    }
    const ends = await balancer.associations.count(6);
    expect(ends.map(({ server, servers: answered }) => answered?.[server!])).toEqual(ends.map(() => 2));
    expect(ends.map(({ attempts }) => attempts)).toEqual(ends.map(() => 1));
    expect(new Set(ends.map(({ server }) => server))).toEqual(new Set(NAMES));
  });

  /** Transfer syntax → what makes a file of it, and what makes storescu send it. */
  const ENCODINGS = {
    '1.2.840.10008.1.2': { program: ['dcmconv', '+ti'], propose: '-xi' },
    '1.2.840.10008.1.2.1': { program: ['dcmconv', '+te'], propose: '-xe' },
    '1.2.840.10008.1.2.2': { program: ['dcmconv', '+tb'], propose: '-xb' },
    '1.2.840.10008.1.2.1.99': { program: ['dcmconv', '+td'], propose: '-xd' },
    '1.2.840.10008.1.2.4.70': { program: ['dcmcjpeg', '+e1'], propose: '-xs' },
  } as const;

  test('transfer syntaxes: implicit, explicit, big endian, deflated, JPEG (encapsulated), each byte-identical on the server', async () => {
    // What they prefer, but they take what else is proposed.
    const servers = await startServers(['+xa']);
    const direct = stopLater(await startStorescp(pathOf('direct'), { args: ['+xa'] }));
    const balancer = await startVip(
      servers.map(({ endpoint }, index) => ({ name: NAMES[index]!, endpoint })),
      {
        vip: 'dicom: { route: study, storage: shared }',
      },
    );
    const instances = studyOf('encodings', 5, 200);
    const encoded = Object.values(ENCODINGS).map(({ program: [name, option] }, index) => ({
      name,
      option,
      from: instances[index]!.path,
      to: pathOf(`${option}.dcm`),
    }));
    for (const { name, option, from, to } of encoded)
      expect((await runProgram(name, [option, from, to])).code).toBe(0);
    for (const to of [direct.address, balancer.vip]) {
      for (const [index, { propose }] of Object.values(ENCODINGS).entries()) {
        const { code, output } = await storescu(to, [encoded[index]!.to], { args: ['-R', propose] });
        expect(code, output).toBe(0);
      }
    }
    // Associations take turns among the servers; only who reads the study in each encoding finds the one it is on.
    const used = servers.map(({ folder }) => folder).filter((folder) => readdirSync(folder).length > 0);
    expect(used).toHaveLength(1);
    expect(transferSyntaxesIn(used[0]!).sort()).toEqual(Object.keys(ENCODINGS).sort());
    expect(listDataSets(used[0]!)).toEqual(listDataSets(direct.folder));
  });
});

function startServers(args: readonly string[] = []): Promise<DcmtkServer[]> {
  return Promise.all(NAMES.map(async (name) => stopLater(await startStorescp(pathOf(name), { args }))));
}

/** CT instances of one study, in files. */
function studyOf(name: string, count: number, size = 64): InstanceFile[] {
  const folder = pathOf('files', name);
  mkdirSync(folder, { recursive: true });
  return createInstances('CT', count, name, size).map((instance, index) => {
    const path = join(folder, `${index}.dcm`);
    writeFileSync(path, instance.file);
    return { ...instance, path };
  });
}

/** Names of the servers that have any of the instances. */
function serversWith(servers: readonly DcmtkServer[], instances: readonly InstanceFile[]): string[] {
  return NAMES.filter((_, index) => {
    const stored = storedDataSets(servers[index]!.folder);
    return instances.some(({ sopInstance }) => stored.has(sopInstance));
  });
}

function transferSyntaxesIn(folder: string): string[] {
  return readdirSync(folder).map((name) => splitFile(readFileSync(join(folder, name))).transferSyntax);
}
