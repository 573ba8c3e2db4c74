/** `source: client` when things go wrong or change: servers that are down, many at once, reloads, a table that is not ours. */
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import { createSite, namespacesOrSkip, type Site } from '../peers/namespaces.ts';
import { describeWith } from '../peers/processes.ts';
import {
  configuration,
  configure,
  ECHO,
  hostOf,
  listen,
  SCP,
  seenBy,
  seenOn,
  serve,
  startStorescp,
  store,
} from './source-setup.ts';

const VIP = '10.60.0.10';
const WITH_CLIENT = `  T: { protocol: tcp, listen: ["${VIP}:${ECHO}"], pool: echo, source: client }`;
const WITHOUT = `  T: { protocol: tcp, listen: ["${VIP}:${ECHO}"], pool: echo }`;

describeWith(['dcmtk', 'iproute2', 'nftables'], 'source: client', () => {
  namespacesOrSkip('', () => {
    let site: Site;
    let client: NamespaceAgent;
    const servers: NamespaceAgent[] = [];
    beforeAll(async () => {
      site = await createSite({ arms: 2, vips: [VIP] });
      client = await site.clients[0]!.startAgent();
      for (const [index, server] of site.servers.entries())
        servers.push(await listen(server, `s${index + 1}`));
    });
    afterAll(() => site.close());

    const nft = (...args: readonly string[]) => site.lb.must('nft', args);
    const tables = () => nft('list', 'tables');
    const own = () => site.clients[0]!.address;

    beforeEach(async () => expect(await tables()).toBe(''));

    test('many connections at once: each with the client’s address, and the table goes with the balancer', async () => {
      const { gantry } = await serve(site, WITH_CLIENT);
      const all = await Promise.all(Array.from({ length: 300 }, () => seenBy(client, VIP)));
      expect(new Set(all.map(hostOf))).toEqual(new Set([own()]));
      expect(new Set(all.map(({ remote, server }) => `${server} ${remote}`)).size).toBe(300);
      expect(await tables()).toContain('gantry_source');
      expect(await gantry.end()).toBe(0);
    });

    test('a server that is down: the next candidate gets it, from the client’s address', async () => {
      await serve(site, WITH_CLIENT);
      await servers[0]!.ask('unlisten', { port: ECHO });
      try {
        for (let i = 0; i < 4; i++) {
          const seen = await seenBy(client, VIP);
          expect([seen.server, hostOf(seen)]).toEqual(['s2', own()]);
        }
      } finally {
        await servers[0]!.ask('listenEcho', { name: 's1', ports: [ECHO] });
      }
    });

    test('a server that is its own client: others take its connections, and it is not taken for down', async () => {
      for (const server of site.servers) await startStorescp(server);
      const { gantry } = await serve(
        site,
        `${WITH_CLIENT}
  D: { protocol: dicom, listen: ["${VIP}:${SCP}"], pool: scp, source: client, dicom: { route: study, storage: shared } }`,
      );
      const [own, other] = site.servers;
      // They share a network: without it the other one would answer straight.
      await other!.ip(`route add ${own!.address}/32 via ${site.lb.address}`);
      for (let i = 0; i < 6; i++) {
        const seen = await seenBy(servers[0]!, VIP);
        expect([seen.server, hostOf(seen)]).toEqual(['s2', own!.address]);
      }
      await store(own!, VIP, 8);
      expect(gantry.log.items.filter(({ msg, state }) => msg === 'server' && state === 'down')).toEqual([]);
    });

    test('reloads, also one that does without it, leave open connections as they are', async () => {
      const { gantry, file } = await serve(site, WITH_CLIENT);
      const { connection } = await client.ask('connect', { host: VIP, port: ECHO });
      const before = await seenOn(client, connection);
      for (const [lines, seen] of [
        [`${WITH_CLIENT}\n  U: { protocol: tcp, listen: ["${VIP}:4001"], pool: echo }`, own()],
        [WITHOUT, site.lb.address],
        [WITH_CLIENT, own()],
      ] as const) {
        writeFileSync(file, configuration(site, lines));
        gantry.log.clear();
        gantry.signal('SIGHUP');
        await gantry.log.find(({ msg }) => msg === 'reloaded');
        expect(hostOf(await seenBy(client, VIP))).toBe(seen);
        expect(await seenOn(client, connection)).toEqual(before);
      }
      await client.ask('close', { connection });
    });

    test('somebody flushes all rules: the next connection has its client’s address', async () => {
      await serve(site, WITH_CLIENT);
      expect(hostOf(await seenBy(client, VIP))).toBe(own());
      await nft('flush', 'ruleset');
      expect(hostOf(await seenBy(client, VIP))).toBe(own());
    });

    test('somebody else translates first: nothing gets to a server from any other address', async () => {
      await serve(site, WITH_CLIENT);
      const file = join(tmpdir(), `gantry-${process.pid}.nft`);
      writeFileSync(
        file,
        'table ip other { chain first { type nat hook postrouting priority 0; oifname "eth0" ip protocol tcp masquerade; }; }',
      );
      await nft('-f', file);
      rmSync(file);
      await expect(seenBy(client, VIP)).rejects.toThrow('the connection ended');
      await nft('delete', 'table', 'ip', 'other');
      expect(hostOf(await seenBy(client, VIP))).toBe(own());
    });

    test('a table of before is adopted', async () => {
      const { gantry } = await serve(site, WITH_CLIENT);
      expect(hostOf(await seenBy(client, VIP))).toBe(own());
      const before = await nft('-a', 'list', 'table', 'inet', 'gantry_source');
      await gantry.kill();
      await serve(site, WITH_CLIENT);
      expect(hostOf(await seenBy(client, VIP))).toBe(own());
      const handle = /table inet gantry_source \{ # handle \d+/;
      const after = await nft('-a', 'list', 'table', 'inet', 'gantry_source');
      expect(handle.exec(after)![0]).toBe(handle.exec(before)![0]);
    });

    describe('a sentence, and nothing half applied', () => {
      const run = (file: string, env?: Record<string, string>) => {
        const program = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));
        return site.lb.run(process.execPath, [program, 'run', '-c', file], env && { env });
      };

      test('no nft', async () => {
        const { code, output } = await run(configure(site, WITH_CLIENT), { PATH: '/nonexistent' });
        expect(code).toBe(1);
        expect(output).toContain(
          '(`source: client`): nft is not installed, or not on the PATH: install the package nftables',
        );
      });

      test('a table of the same name that is not ours', async () => {
        await nft('add', 'table', 'inet', 'gantry_source', '{ comment "mine" ; }');
        try {
          const { code, output } = await run(configure(site, WITH_CLIENT));
          expect(code).toBe(1);
          expect(output).toContain("there is an nftables table inet gantry_source that is not Gantry's");
          const { gantry, file } = await serve(site, WITHOUT);
          writeFileSync(file, configuration(site, WITH_CLIENT));
          gantry.signal('SIGHUP');
          const { reason } = await gantry.log.find(({ msg }) => msg === 'not reloaded');
          expect(reason).toContain("is not Gantry's");
          expect(hostOf(await seenBy(client, VIP))).toBe(site.lb.address);
          expect(await nft('list', 'table', 'inet', 'gantry_source')).toContain('comment "mine"');
        } finally {
          await nft('delete', 'table', 'inet', 'gantry_source');
        }
      });
    });
  });
});
