/** NAT and SNAT with real processes: `gantry run`, clients and servers in network namespaces, port 80 to 8080. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { untilVerdicts } from '../layer4/field.ts';
import { createFolder, type TestFolder } from '../peers/dicom-files.ts';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import { createSite, namespacesOrSkip, type Site, type SiteOptions } from '../peers/namespaces.ts';
import { describeWith } from '../peers/processes.ts';

interface Sees {
  readonly server: string;
  readonly local: string;
  readonly remote: string;
}

let site: Site;
let folder: TestFolder;

beforeEach(() => {
  folder = createFolder();
});
afterEach(async () => {
  await site?.close();
  folder.remove();
});

describeWith(['iproute2', 'nftables', 'conntrack'], 'layer 4', () => {
  namespacesOrSkip('in namespaces', () => {
    test('NAT, two-arm, 80 to 8080: the server sees the client itself, and its answer comes from the VIP', async () => {
      const vip = '10.60.0.10';
      const { servers, clients, run, reach } = await start(
        { arms: 2, clients: 2, servers: 2, vips: [vip] },
        `WEB: { mode: nat, listen: ["${vip}:80"], pool: web, persistence: source-ip }`,
        vip,
      );
      await useAndLose(servers, clients, run, reach, (client) => site.clients[client]!.address);
    }, 180_000);

    test('SNAT, one-arm, 80 to 8080: the server sees the balancer', async () => {
      const vip = '10.50.0.10';
      const { servers, clients, run, reach } = await start(
        { arms: 1, clients: 2, servers: 2, vips: [vip] },
        `WEB: { mode: snat, listen: ["${vip}:80"], pool: web, persistence: source-ip }`,
        vip,
      );
      await useAndLose(servers, clients, run, reach, () => site.lb.address);
    }, 180_000);

    test('SNAT with `source`: the server sees that address', async () => {
      const vip = '10.50.0.10';
      const { run, reach } = await start(
        { arms: 1, clients: 1, servers: 2, vips: [vip, '10.50.0.11'] },
        `WEB: { mode: snat, listen: ["${vip}:80"], pool: web, source: 10.50.0.11 }`,
        vip,
      );
      const gantry = await run();
      expect((await reach(0)).remote).toMatch(/^10\.50\.0\.11:/);
      await gantry.end();
    });
  });
});

type Started = Awaited<ReturnType<typeof start>>;

/** Both clients, on a server each; a restart cuts nothing; a server that is lost leaves its client to the other. */
async function useAndLose(
  servers: readonly NamespaceAgent[],
  clients: readonly NamespaceAgent[],
  run: Started['run'],
  reach: Started['reach'],
  seenAs: (client: number) => string,
): Promise<void> {
  let gantry = await run();
  const first = [await reach(0), await reach(1)];
  expect(new Set(first.map(({ server }) => server))).toEqual(new Set(['a', 'b']));
  for (const [client, { local, remote, server }] of first.entries()) {
    expect(local).toBe(`${site.servers['ab'.indexOf(server)]!.address}:8080`);
    expect(remote).toContain(`${seenAs(client)}:`);
    expect((await reach(client)).server).toBe(server);
  }
  expect(await gantry.end()).toBe(0);
  gantry = await run();
  await gantry.kill();
  gantry = await run();
  for (const [client, { connection, server }] of first.entries()) {
    await clients[client]!.ask('exchange', { connection, text: 'still here\n' });
    expect((await reach(client)).server).toBe(server);
  }
  const lost = 'ab'.indexOf(first[0]!.server);
  const down = gantry.log.find(({ msg, state }) => msg === 'server' && state === 'down');
  await servers[lost]!.stop();
  await down;
  // The kernel is told a moment later.
  await untilVerdicts(site.lb, 'ip gantry_nat_WEB duties', 'gone', 'live');
  expect((await reach(0)).server).toBe(first[1]!.server);
  expect((await reach(1)).server).toBe(first[1]!.server);
  await clients[1]!.ask('exchange', { connection: first[1]!.connection, text: 'still here\n' });
  await gantry.end();
}

async function start(options: SiteOptions, vips: string, vip: string) {
  site = await createSite(options);
  const [servers, clients] = await Promise.all([
    Promise.all(site.servers.map((one) => one.startAgent())),
    Promise.all(site.clients.map((one) => one.startAgent())),
  ]);
  await Promise.all(
    servers.map((one, index) => one.ask('listenEcho', { name: 'ab'[index]!, ports: [8080] })),
  );
  const file = join(folder.path, 'gantry.yaml');
  writeFileSync(
    file,
    `version: 1
admin: off
pools:
  web:
    balance: round-robin
    servers:
      - { name: a, address: "${site.servers[0]!.address}:8080" }
      - { name: b, address: "${site.servers[1]!.address}:8080" }
    health: { check: connect, interval: 1s, timeout: 10s, fall: 1 }
vips:
  ${vips}
`,
  );
  return {
    servers,
    clients,
    run: () => site.lb.startGantry(file),
    /** A new connection of a client: what its server says, on it. It stays open. */
    reach: async (client: number): Promise<Sees & { connection: number }> => {
      const { connection } = await clients[client]!.ask('connect', { host: vip, port: 80 });
      const text = await clients[client]!.ask('exchange', { connection, text: 'hello\n' });
      return { ...(JSON.parse(text) as Sees), connection };
    },
  };
}
