/** Persistence with real senders: their processes race for the first association of a calling AE title. */
import { expect, test } from 'vitest';
import { startStorescp, storescu } from '../peers/dcmtk.ts';
import { writeInstances } from '../peers/dicom-files.ts';
import { describeWith, freePort } from '../peers/processes.ts';
import { pathOf, startVip, stopLater } from './dicom-setup.ts';

const NAMES = ['a', 'b', 'c'];
const pool = 'balance: round-robin\nhealth: { check: none }';
const vip = 'persistence: { by: calling, ttl: 30m }';

describeWith(['dcmtk'], 'persistence by calling AE', () => {
  test('8 parallel first associations from one calling AE land on one server; 8 calling AEs on several', async () => {
    const balancer = await startVip(await startServers(NAMES), { pool, vip });
    const files = writeInstances(pathOf('files'), 8).map(({ path }) => path);

    const ofOne = await Promise.all(files.map((file) => storescu(balancer.vip, [file], { calling: 'CT1' })));
    expect(ofOne.map(({ code }) => code)).toEqual(files.map(() => 0));
    const first = await balancer.associations.count(8);
    expect(new Set(first.map(({ server }) => server)).size).toBe(1);

    const ofMany = await Promise.all(
      files.map((file, index) => storescu(balancer.vip, [file], { calling: `MR${index}` })),
    );
    expect(ofMany.map(({ code }) => code)).toEqual(files.map(() => 0));
    const second = await balancer.associations.count(8, ({ calling }) => calling.startsWith('MR'));
    expect(new Set(second.map(({ server }) => server)).size).toBe(3);
  });

  test('8 parallel first associations whose first server is gone land on one other server', async () => {
    const gone = { name: 'gone', endpoint: `127.0.0.1:${await freePort()}` };
    const servers = [gone, ...(await startServers(NAMES))];
    const balancer = await startVip(servers, { pool, vip });
    const files = writeInstances(pathOf('files'), 8).map(({ path }) => path);
    const runs = await Promise.all(files.map((file) => storescu(balancer.vip, [file], { calling: 'CT1' })));
    expect(runs.map(({ code }) => code)).toEqual(files.map(() => 0));
    const ends = await balancer.associations.count(8);
    expect(new Set(ends.map(({ server }) => server)).size).toBe(1);
    expect(Math.max(...ends.map(({ attempts }) => attempts))).toBe(2);
  });
});

async function startServers(names: readonly string[]) {
  return Promise.all(
    names.map(async (name) => {
      const { endpoint } = stopLater(await startStorescp(pathOf(name)));
      return { name, endpoint };
    }),
  );
}
