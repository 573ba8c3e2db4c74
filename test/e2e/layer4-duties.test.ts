/** What an operator's commands and a health check do to DR traffic: `gantry run`, `gantry drain`, real connections. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { untilVerdicts } from '../layer4/field.ts';
import { createFolder, type TestFolder } from '../peers/dicom-files.ts';
import type { GantryProcess } from '../peers/gantry-process.ts';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import { createSite, namespacesOrSkip, prepareForDirectReturn, type Site } from '../peers/namespaces.ts';
import { describeWith } from '../peers/processes.ts';

const VIP = '10.50.0.10';
const TABLE = 'netdev gantry_dr_ARCHIVE';
const ADMIN = 'http://127.0.0.1:9090';
const GANTRY = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));

describeWith(['iproute2', 'nftables'], 'DR', () => {
  namespacesOrSkip('with source-ip persistence', () => {
    let site: Site;
    let folder: TestFolder;
    let gantry: GantryProcess;
    let servers: readonly NamespaceAgent[];
    let clients: readonly NamespaceAgent[];

    beforeEach(async () => {
      folder = createFolder();
      site = await createSite({ clients: 3, servers: 2, vips: [VIP] });
      await prepareForDirectReturn(site.servers, [VIP]);
      servers = await Promise.all(site.servers.map((one) => one.startAgent()));
      clients = await Promise.all(site.clients.map((one) => one.startAgent()));
      await Promise.all(
        servers.map((one, index) => one.ask('listenEcho', { name: 'ab'[index]!, ports: [104] })),
      );
      const file = join(folder.path, 'gantry.yaml');
      writeFileSync(file, configuration(site));
      gantry = await site.lb.startGantry(file);
    });
    afterEach(async () => {
      await site.close();
      folder.remove();
    });

    /** A new connection of a client: the server that it is with. It stays open. */
    const reach = async (client: number) => {
      const { connection } = await clients[client]!.ask('connect', { host: VIP, port: 104 });
      const answer = await clients[client]!.ask('exchange', { connection, text: 'hello\n' });
      return { server: (JSON.parse(answer) as { server: string }).server, connection };
    };
    const speak = (client: number, connection: number) =>
      clients[client]!.ask('exchange', { connection, text: 'still here\n' });
    const command = (...args: readonly string[]) =>
      site.lb.must(process.execPath, [GANTRY, ...args, '--admin', ADMIN]);
    /** Until the kernel does so with clients that persistence knows: it is told when the operator has his answer. */
    const untilRemembered = (...ways: readonly string[]) =>
      untilVerdicts(site.lb, `${TABLE} remembered`, ...ways);

    test('drained: its clients keep it, new ones go elsewhere; halted: what is open ends in time; online: it has work again', async () => {
      const mine = await reach(0);
      const other = 'ab'.replace(mine.server, '');
      await command('drain', `archive/${mine.server}`);
      await untilRemembered('admit', 'renewed');
      expect((await reach(0)).server).toBe(mine.server);
      for (const client of [1, 2]) expect((await reach(client)).server).toBe(other);
      await speak(0, mine.connection);

      await command('halt', `archive/${mine.server}`);
      await untilRemembered('renewed');
      expect((await reach(0)).server).toBe(other);
      // timeouts.drain is over: reset, as soon as the client says something.
      await gantry.log.find(({ msg, state }) => msg === 'server' && state === 'halted');
      await expect(untilEnded(speak, mine.connection)).rejects.toThrow('ECONNRESET');

      await command('online', `archive/${mine.server}`);
      await command('drain', `archive/${other}`);
      await untilRemembered('admit', 'renewed');
      await clients[0]!.stop();
      expect(await serverOfNew()).toBe(mine.server);
    }, 180_000);

    test('a server that dies: its client is refused at once, then has the other; what is open there is not touched', async () => {
      const [first, second] = [await reach(0), await reach(1)];
      expect(new Set([first.server, second.server])).toEqual(new Set(['a', 'b']));
      const down = gantry.log.find(({ msg, state }) => msg === 'server' && state === 'down');
      await servers['ab'.indexOf(first.server)]!.stop();
      await down;
      await untilVerdicts(site.lb, `${TABLE} duties`, 'gone', 'live');
      expect((await reach(0)).server).toBe(second.server);
      await speak(1, second.connection);
    });

    /** A client that nobody has seen: an address of its own. */
    const serverOfNew = async () => {
      await site.clients[0]!.ip('address add 10.50.0.190/24 dev eth0');
      const agent = await site.clients[0]!.startAgent();
      const { connection } = await agent.ask('connect', { host: VIP, port: 104, from: '10.50.0.190' });
      const answer = await agent.ask('exchange', { connection, text: 'hello\n' });
      return (JSON.parse(answer) as { server: string }).server;
    };
  });
});

/** Speaks until that fails. */
async function untilEnded(
  speak: (client: number, connection: number) => Promise<string>,
  connection: number,
): Promise<void> {
  for (;;) await speak(0, connection);
}

function configuration({ servers }: Site): string {
  return `version: 1
admin: { listen: 127.0.0.1:9090 }
timeouts: { drain: 1s }
pools:
  archive:
    balance: round-robin
    servers:
      - { name: a, address: ${servers[0]!.address} }
      - { name: b, address: ${servers[1]!.address} }
    health: { check: connect, interval: 1s, timeout: 10s, fall: 1 }
vips:
  ARCHIVE: { mode: dr, listen: ["${VIP}:104"], pool: archive, persistence: source-ip }
`;
}
