/** DCMTK's senders go on sending while the configuration is changed and servers are drained, halted and put back. */
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { changeServer, expectNothingLeft, statusOf } from '../peers/admin-api.ts';
import {
  type DcmtkServer,
  dcmsend,
  startStorescp,
  startStorescu,
  storescu,
  whileStopped,
} from '../peers/dcmtk.ts';
import { type InstanceFile, storedDataSets, writeInstances } from '../peers/dicom-files.ts';
import { describeWith } from '../peers/processes.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';
import { createGate } from '../peers/waiting.ts';
import { pathOf, stopLater } from './dicom-setup.ts';

interface Variant {
  readonly balance?: string;
  /** Lines of the VIP. */
  readonly vip?: string;
  readonly servers?: readonly number[];
}

/** A VIP `V` over a pool `P` of these servers, `s1`, `s2`, … */
function configuration(servers: readonly DcmtkServer[], variant: Variant = {}): string {
  const { balance = 'round-robin', vip = '', servers: wanted = servers.keys() } = variant;
  const list = [...wanted].map((at) => `{ name: s${at + 1}, address: "${servers[at]!.endpoint}" }`);
  return `
admin: { listen: "127.0.0.1:0" }
pools:
  P: { balance: ${balance}, servers: [${list.join(', ')}], health: { check: none } }
vips:
  V: { protocol: dicom, listen: ["127.0.0.1:0"], pool: P${vip} }
`;
}

/** Senders side by side, each with instances of its own, a few to an association; the last ones wait for `mayEnd`. */
function send(
  balancer: TestBalancer,
  instances: readonly InstanceFile[],
  perAssociation: number,
  mayEnd: Promise<void>,
) {
  const groups = [0, 1, 2].map((which) => instances.filter((_, at) => at % 3 === which));
  return groups.map(async (group, which) => {
    const program = which === 2 ? dcmsend : storescu;
    for (let at = 0; at < group.length; at += perAssociation) {
      if (at + perAssociation >= group.length) await mayEnd;
      const paths = group.slice(at, at + perAssociation).map(({ path }) => path);
      const { code, output } = await program(balancer.address('V'), paths, { calling: `CT${which}` });
      expect(code, output).toBe(0);
    }
  });
}

describeWith(['dcmtk'], 'changes under load', () => {
  test('reloads, drains and weights while three senders store: nothing fails, nothing is cut, everything is stored once', async () => {
    const servers = await Promise.all(
      ['a', 'b', 'c'].map(async (name) => stopLater(await startStorescp(pathOf(name)))),
    );
    const balancer = stopLater(await startTestBalancer(configuration(servers)));
    const instances = writeInstances(pathOf('files'), 120, 256);
    let isSending = true;
    const enough = createGate();
    const sending = Promise.all(send(balancer, instances, 5, enough.opened)).finally(() => {
      isSending = false;
    });
    const variants: readonly Variant[] = [
      { balance: 'least-busy' },
      { servers: [0, 2] },
      { vip: ', limits: { perCalling: 3 }' },
      { servers: [2, 1, 0], balance: 'hash' },
      { vip: ', routes: [{ when: { calling: CT1 }, pool: P, balance: first }]' },
      {},
    ];
    for (let turns = 0; isSending; turns++) {
      if (turns === variants.length) enough.open();
      await balancer.apply(configuration(servers, variants[turns % variants.length]));
      const drained = `P/s${turns % 2 === 0 ? 1 : 3}`;
      await changeServer(balancer, drained, turns % 4 < 2 ? 'drain' : 'drain?strict=true');
      await pause(20);
      await changeServer(balancer, drained, 'online');
    }
    await sending;
    await expectNothingLeft(balancer);
    expect(balancer.associations.items.filter(({ end }) => end !== 'release')).toEqual([]);
    const stored = servers.flatMap(({ folder }) => [...storedDataSets(folder).keys()]);
    expect(stored.toSorted()).toEqual(instances.map(({ sopInstance }) => sopInstance).toSorted());
    await balancer.apply(configuration(servers));
    for (const name of ['s1', 's2', 's3']) await changeServer(balancer, `P/${name}`, 'drain');
    const { pools } = await statusOf(balancer);
    expect(pools[0]!.servers.map(({ state }) => state)).toEqual(['drained', 'drained', 'drained']);
  });

  test('a server halted in the middle of a series: what was acknowledged is stored, and nothing else', async () => {
    const servers = [
      stopLater(await startStorescp(pathOf('a'))),
      stopLater(await startStorescp(pathOf('b'))),
    ];
    const balancer = stopLater(await startTestBalancer(configuration(servers, { balance: 'first' })));
    const instances = writeInstances(pathOf('files'), 200, 512);
    const paths = instances.map(({ path }) => path);
    const running = stopLater(startStorescu(balancer.address('V'), paths, { args: ['-R', '-v'] }));
    while (servers[0]!.files().length < 5) await new Promise(setImmediate);
    // In the middle, however long the API takes.
    await whileStopped(running, () => changeServer(balancer, 'P/s1', 'halt'));
    const { code, output } = await running.exited;
    expect(code, output).not.toBe(0);
    const [cut] = await balancer.associations.count(1);
    expect(cut).toMatchObject({ server: 's1', end: 'abort', detail: 'its server was halted' });
    const acknowledged = cut!.operations['C-STORE']!['0000']!;
    expect(acknowledged).toBeLessThan(200);
    expect(storedDataSets(servers[0]!.folder).size).toBe(acknowledged);
    // The modality comes again, and goes on elsewhere.
    const again = await storescu(balancer.address('V'), paths.slice(acknowledged));
    expect(again.code, again.output).toBe(0);
    expect(storedDataSets(servers[1]!.folder).size).toBe(200 - acknowledged);
    await expectNothingLeft(balancer);
  });
});
