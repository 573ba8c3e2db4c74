/** DR with real processes: `gantry run`, storescu and storescp, each in a network namespace of its own. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createFolder,
  expectedDataSets,
  storedDataSets,
  type TestFolder,
  writeInstances,
} from '../peers/dicom-files.ts';
import {
  createSite,
  type Namespace,
  namespacesOrSkip,
  prepareForDirectReturn,
  type Site,
} from '../peers/namespaces.ts';
import { describeWith, type PeerProcess } from '../peers/processes.ts';

const VIP = '10.50.0.10';
const OTHER_VIP = '10.50.0.11';
const IMAGES = 200;
/** storescp goes no further than so many images before the test lets it. */
const STOPS = [20, 60, 100, 140];

let site: Site;
let folder: TestFolder;

interface Sees {
  readonly server: string;
  readonly local: string;
  readonly remote: string;
}

beforeEach(() => {
  folder = createFolder();
});
afterEach(async () => {
  await site?.close();
  folder.remove();
});

describeWith(['iproute2', 'nftables', 'dcmtk'], 'DR', () => {
  namespacesOrSkip('one-arm', () => {
    test('storescu of 200 images: the server sees the client and the VIP and replies straight, and no restart or reload cuts it', async () => {
      site = await createSite({ clients: 1, servers: 2, vips: [VIP, OTHER_VIP] });
      await prepareForDirectReturn(site.servers, [VIP, OTHER_VIP]);
      const stores = await Promise.all(
        site.servers.map((server, index) => startStore(server, `store-${index}`)),
      );
      await observe(site.lb);
      const file = join(folder.path, 'gantry.yaml');
      writeFileSync(
        file,
        configuration('round-robin', `ARCHIVE: { mode: dr, listen: ["${VIP}:104"], pool: archive }`),
      );
      let gantry = await site.lb.startGantry(file);

      const [client] = site.clients;
      const instances = writeInstances(join(folder.path, 'sent'), IMAGES);
      const paths = instances.map(({ path }) => path);
      const sender = client!.start('storescu', ['-R', '-aec', 'ANY-SCP', VIP, '104', ...paths]);
      const store = await firstWith(stores, STOPS[0]!, sender);

      // In its middle: who sees whom.
      const shown = await store.server.must('ss', ['-Htn', 'state', 'established', 'sport', '=', ':104']);
      const [local, remote] = shown.trim().split(/\s+/).slice(-2);
      expect(local).toBe(`${VIP}:104`);
      expect(remote).toMatch(new RegExp(`^${client!.address}:`));

      // A changed file: another VIP, and the server that has the association is given nothing new.
      const weights = stores.map((one) => (one === store ? 0 : 3));
      const more = `ARCHIVE: { mode: dr, listen: ["${VIP}:104"], pool: archive }
  MORE: { mode: dr, listen: ["${OTHER_VIP}:*"], pool: archive, persistence: source-ip }`;
      writeFileSync(file, configuration('round-robin', more, weights));
      gantry.signal('SIGHUP');
      await gantry.log.find(({ msg }) => msg === 'reloaded');
      store.pass(STOPS[0]!);
      await store.holds(STOPS[1]!, sender);

      // Restarted; and while there is none, images go on.
      expect(await gantry.end()).toBe(0);
      store.pass(STOPS[1]!);
      await store.holds(STOPS[2]!, sender);
      gantry = await site.lb.startGantry(file);
      await gantry.kill();
      store.pass(STOPS[2]!);
      await store.holds(STOPS[3]!, sender);
      gantry = await site.lb.startGantry(file);
      store.pass(STOPS[3]!);

      expect(await sender.exited).toMatchObject({ code: 0, output: '' });
      expect(storedDataSets(store.folder)).toEqual(expectedDataSets(instances));
      const { toVip, fromVip } = await observed(site.lb);
      expect(toVip).toBeGreaterThan(IMAGES);
      expect(fromVip).toBe(0);

      // What the reload said holds for what is new: it goes to the other server.
      const [again] = writeInstances(join(folder.path, 'again'), 1, 64, 'again');
      await client!.must('storescu', ['-R', VIP, '104', again!.path]);
      const other = stores.find((one) => one !== store)!;
      expect([...storedDataSets(other.folder).keys()]).toEqual([again!.sopInstance]);
      // The rules of a table that is not Gantry's are as they were.
      expect(await site.lb.must('nft', ['list', 'table', 'netdev', 'observer'])).toContain('counter');
      await gantry.end();
    }, 180_000);

    test('all ports of an EIS over three ports: one server, also when the balancer is new; two clients, two servers', async () => {
      site = await createSite({ clients: 2, servers: 2, vips: [VIP] });
      await prepareForDirectReturn(site.servers, [VIP]);
      const ports = [443, 3100, 50_000];
      for (const [index, server] of site.servers.entries()) {
        const agent = await server.startAgent();
        await agent.ask('listenEcho', { name: 'ab'[index]!, ports });
      }
      const clients = await Promise.all(site.clients.map((one) => one.startAgent()));
      const file = join(folder.path, 'gantry.yaml');
      const vips = `EIS: { mode: dr, listen: ["${VIP}:*"], pool: archive, persistence: source-ip }`;
      writeFileSync(file, configuration('round-robin', vips, [1, 1], 443));
      let gantry = await site.lb.startGantry(file);
      const reach = async (client: number, port: number) => {
        const { connection } = await clients[client]!.ask('connect', { host: VIP, port });
        const answer = JSON.parse(
          await clients[client]!.ask('exchange', { connection, text: 'hello\n' }),
        ) as Sees;
        expect(answer.local).toBe(`${VIP}:${port}`);
        expect(answer.remote).toContain(`${site.clients[client]!.address}:`);
        return { server: answer.server, connection };
      };
      const first = [await reach(0, 443), await reach(1, 443)];
      expect(new Set(first.map(({ server }) => server))).toEqual(new Set(['a', 'b']));
      const everyPort = async (client: number) => {
        for (const port of ports) expect((await reach(client, port)).server).toBe(first[client]!.server);
      };
      await everyPort(0);
      await everyPort(1);
      await gantry.kill();
      gantry = await site.lb.startGantry(file);
      await everyPort(0);
      await everyPort(1);
      for (const [client, { connection }] of first.entries()) {
        expect(await clients[client]!.ask('isOpen', { connection })).toBe(true);
        await clients[client]!.ask('exchange', { connection, text: 'still here\n' });
      }
      await gantry.end();
    }, 180_000);

    test('a server that was not made ready answers ARP for the VIP; one that was does not', async () => {
      site = await createSite({ clients: 1, servers: 1 });
      const [server] = site.servers;
      const [client] = site.clients;
      const resolves = async () => {
        await client!.ip('neighbour flush dev eth0');
        await client!.run('ping', ['-c1', '-W1', VIP]);
        return /lladdr/.test(await client!.must('ip', ['neighbour', 'show', VIP]));
      };
      // The VIP on lo alone: Linux answers for every address it has, on every interface.
      await server!.ip(`address add ${VIP}/32 dev lo`);
      expect(await resolves()).toBe(true);
      await server!.ip(`address delete ${VIP}/32 dev lo`);
      await prepareForDirectReturn([server!], [VIP]);
      expect(await resolves()).toBe(false);
    });
  });
});

function configuration(balance: string, vips: string, weights = [1, 1], port = 104): string {
  return `version: 1
admin: { listen: 127.0.0.1:9090 }
pools:
  archive:
    balance: ${balance}
    servers:
      - { name: a, address: ${site.servers[0]!.address}, weight: ${weights[0]} }
      - { name: b, address: ${site.servers[1]!.address}, weight: ${weights[1]} }
    health: { check: connect, port: ${port}, interval: 1s, timeout: 10s }
vips:
  ${vips}
`;
}

interface Store {
  readonly server: Namespace;
  readonly folder: string;
  /** Lets it go on past the stop at so many images. */
  pass(images: number): void;
  /** Resolves when it has so many images. */
  holds(images: number, sender: PeerProcess): Promise<void>;
}

/** storescp that waits at each of the stops until it may go on. */
async function startStore(server: Namespace, name: string): Promise<Store> {
  const files = join(folder.path, name);
  mkdirSync(files);
  const gate = (images: number) => join(folder.path, `${name}-${images}`);
  const script = join(folder.path, `${name}.sh`);
  const waits = STOPS.map((images) => `${images}) while [ ! -e ${gate(images)} ]; do sleep 0.02; done ;;`);
  writeFileSync(script, `#!/bin/sh\ncase $(ls ${files} | wc -l) in\n${waits.join('\n')}\nesac\n`, {
    mode: 0o755,
  });
  server.start('storescp', ['-q', '+B', '-od', files, '--fork', '-xcr', script, '-xs', '104']);
  const agent = await server.startAgent();
  await agent.ask('listening', { host: server.address, ports: [104] });
  return {
    server,
    folder: files,
    pass: (images) => writeFileSync(gate(images), ''),
    holds: (images, sender) => until(() => readdirSync(files).length >= images, sender),
  };
}

/** The one of the stores that the sender's association is with. */
async function firstWith(stores: readonly Store[], images: number, sender: PeerProcess): Promise<Store> {
  const found = () => stores.find((one) => readdirSync(one.folder).length >= images);
  await until(() => found() !== undefined, sender);
  return found()!;
}

async function until(isSo: () => boolean, sender: PeerProcess): Promise<void> {
  let over: string | undefined;
  void sender.exited.then(({ code, output }) => {
    over = `the sender ended with ${code}: ${output}`;
  });
  const deadline = performance.now() + 30_000;
  while (!isSo()) {
    if (over !== undefined) throw new Error(over);
    if (performance.now() > deadline) throw new Error('no more images come');
    await pause(20);
  }
}

/** A table of somebody else's, which counts what comes in by the balancer's interface. */
async function observe(lb: Namespace): Promise<void> {
  const rules = `table netdev observer {
  counter to_vip { }
  counter from_vip { }
  chain seen {
    type filter hook ingress device "eth0" priority -300; policy accept;
    ip daddr ${VIP} tcp dport 104 counter name "to_vip"
    ip saddr ${VIP} tcp sport 104 counter name "from_vip"
  }
}
`;
  await lb.must('nft', ['-f', '-'], { input: rules });
}

async function observed(lb: Namespace): Promise<{ toVip: number; fromVip: number }> {
  const text = await lb.must('nft', ['-j', 'list', 'counters', 'table', 'netdev', 'observer']);
  const { nftables } = JSON.parse(text) as { nftables: { counter?: { name: string; packets: number } }[] };
  const packets = (name: string) => nftables.find(({ counter }) => counter?.name === name)!.counter!.packets;
  return { toVip: packets('to_vip'), fromVip: packets('from_vip') };
}
