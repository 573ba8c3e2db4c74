/** A series of invented instances from DCMTK's two senders, through one VIP, to two storescp. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Explanation } from '../../src/director/director.ts';
import { runHere } from '../cli/run-cli.ts';
import { type DcmtkServer, dcmsend, startStorescp, storescu } from '../peers/dcmtk.ts';
import { type InstanceFile, listDataSets, listed, MODALITIES, writeInstances } from '../peers/dicom-files.ts';
import { describeWith } from '../peers/processes.ts';
import { startTestBalancer } from '../peers/start-balancer.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

/** What one sender sends on one association. */
interface Sending {
  readonly calling: string;
  readonly send: typeof storescu;
  readonly instances: readonly InstanceFile[];
  /** Facts for `gantry explain`. */
  readonly facts: readonly string[];
}

describeWith(['dcmtk'], 'two storescp and a DICOM VIP', () => {
  test('400 generated instances of four modalities from storescu -R and dcmsend arrive once each, data sets identical, routed as explain says', async () => {
    // A file of its own for each instance that comes, so that one that comes twice is there twice.
    const options = { args: ['+uf'] };
    const a = stopLater(await startStorescp(pathOf('a'), options));
    const b = stopLater(await startStorescp(pathOf('b'), options));
    const configuration = configurationOf(a, b);
    const balancer = stopLater(await startTestBalancer(configuration));
    const vip = balancer.address('ARCHIVE');
    const sendings = [...sendingsOf('SCU', storescu), ...sendingsOf('SEND', dcmsend)];

    const results = await Promise.all(
      sendings.map(({ calling, send, instances }) => {
        const paths = instances.map(({ path }) => path);
        return send(vip, paths, { called: 'ARCHIVE', calling });
      }),
    );
    expect(results.map(({ code }) => code)).toEqual(sendings.map(() => 0));

    const ends = await balancer.associations.count(sendings.length);
    expect(balancer.associations.length).toBe(sendings.length);
    const servers = { a, b };
    const expected: Record<keyof typeof servers, InstanceFile[]> = { a: [], b: [] };
    const file = pathOf('gantry.yaml');
    writeFileSync(file, configuration);
    for (const { calling, instances, facts } of sendings) {
      const explanation = await explain(file, ['--calling', calling, '--called', 'ARCHIVE', ...facts]);
      const server = explanation.candidates[0]!.server as keyof typeof servers;
      expected[server].push(...instances);
      expect(ends.find((one) => one.calling === calling)).toMatchObject({
        server,
        rule: explanation.rule,
        attempts: 1,
        end: 'release',
        operations: { 'C-STORE': { '0000': instances.length } },
      });
    }
    const all = [...expected.a, ...expected.b];
    expect(new Set(all.map(({ sopInstance }) => sopInstance)).size).toBe(400);
    expect(Math.min(expected.a.length, expected.b.length)).toBeGreaterThan(100);
    for (const [name, server] of Object.entries(servers)) {
      const wanted = expected[name as keyof typeof servers];
      expect(listDataSets(server.folder)).toEqual(listed(wanted));
    }
  });
});

/** 45 instances of each modality, each on an association of its own; and 20 of all four on another. */
function sendingsOf(name: string, send: typeof storescu): Sending[] {
  const instances = writeInstances(folderOf(name), 180, 64, name);
  const mixed = writeInstances(folderOf(`${name} mixed`), 20, 64, `${name} mixed`);
  const sending = (calling: string, some: readonly InstanceFile[], facts: readonly string[]) => ({
    calling: `${calling}_${name}`,
    send,
    instances: some,
    facts,
  });
  return [
    ...MODALITIES.map((modality) => {
      const ofOne = instances.filter((instance) => instance.modality === modality);
      return sending(modality, ofOne, ['--dicom', ofOne[0]!.path]);
    }),
    sending('ALL', mixed, ['--modality', 'MULTI']),
  ];
}

function folderOf(name: string): string {
  const folder = pathOf('files', name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Two modalities to each server; associations of several modalities to either, by a hash of who calls. */
function configurationOf(a: DcmtkServer, b: DcmtkServer): string {
  const serverA = `{ name: a, address: "${a.endpoint}" }`;
  const serverB = `{ name: b, address: "${b.endpoint}" }`;
  return `version: 1
admin: off
pools:
  volumes: { servers: [${serverA}], health: { check: none } }
  images: { servers: [${serverB}], health: { check: none } }
  mixed:
    servers: [${serverA}, ${serverB}]
    balance: hash
    persistence: calling
    health: { check: none }
vips:
  ARCHIVE:
    protocol: dicom
    listen: ["127.0.0.1:0"]
    routes:
      - { when: { modality: [CT, MR] }, pool: volumes }
      - { when: { modality: [US, CR] }, pool: images }
    pool: mixed
`;
}

async function explain(file: string, facts: readonly string[]): Promise<Explanation> {
  const words = ['explain', '-c', file, '--vip', 'ARCHIVE', '--json', ...facts];
  const { code, stdout, stderr } = await runHere(words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Explanation;
}
