/** A server that hangs in the middle of a study: it still accepts connections, and answers nothing. */
import { expect, test } from 'vitest';
import { startStorescp } from '../peers/dcmtk.ts';
import { createInstances, storedDataSets } from '../peers/dicom-files.ts';
import { associate } from '../peers/dicom-scu.ts';
import { CT_IMAGE_STORAGE } from '../peers/pdus.ts';
import { describeWith } from '../peers/processes.ts';
import { pathOf, startVip, stopLater } from './dicom-setup.ts';

const CHECK = 'health: { check: dicom-echo, interval: 200ms, timeout: 5s, fall: 1, rise: 1 }';

describeWith(['dcmtk'], 'two storescp', () => {
  test('one hangs with an instance in hand: once the check has found it, the study goes on at the other', async () => {
    const [a, b] = [await startStorescp(pathOf('a')), await startStorescp(pathOf('b'))].map(stopLater);
    const balancer = await startVip(
      [
        { name: 'a', endpoint: a!.endpoint },
        { name: 'b', endpoint: b!.endpoint },
      ],
      { pool: `balance: first\n${CHECK}`, vip: 'dicom: { route: study, storage: shared }' },
    );
    const [first, ...rest] = createInstances('CT', 4);
    const scu = await associate(balancer.vip, { propose: [CT_IMAGE_STORAGE] });
    expect(await scu.store(first!)).toBe(0);
    expect([...storedDataSets(a!.folder).keys()]).toEqual([first!.sopInstance]);

    process.kill(-a!.process.pid, 'SIGSTOP');
    for (const instance of rest) expect(await scu.store(instance)).toBe(0);
    await scu.release();
    expect(new Set(storedDataSets(b!.folder).keys())).toEqual(new Set(rest.map((one) => one.sopInstance)));
    expect((await balancer.associations.count(1))[0]).toMatchObject({
      end: 'release',
      servers: { a: 1, b: 3 },
      replays: 1,
    });
  });
});
