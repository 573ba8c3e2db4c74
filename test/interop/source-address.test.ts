/**
 * `source: client` and `source: ADDRESS`, in network namespaces: real DICOM peers, HL7 receivers and servers that say who
 * is connected to them, behind `gantry run`. Two-arm: the servers' default gateway is the balancer. One-arm: clients and
 * servers share a network, and the servers have a route to each client by the balancer.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import { createSite, namespacesOrSkip, type Site } from '../peers/namespaces.ts';
import { describeWith } from '../peers/processes.ts';
import {
  ECHO,
  HL7,
  heard,
  hostOf,
  listen,
  message,
  SCP,
  seenBy,
  serve,
  startStorescp,
  store,
} from './source-setup.ts';

describeWith(['dcmtk', 'iproute2', 'nftables'], 'the addresses that servers see', () => {
  describe.each([2, 1] as const)('%i-arm', (arms) => {
    namespacesOrSkip('', () => {
      let site: Site;
      let vip: string;
      let clients: NamespaceAgent[];
      beforeAll(async () => {
        const network = arms === 2 ? '60' : '50';
        vip = `10.${network}.0.10`;
        site = await createSite({
          arms,
          clients: 2,
          servers: 2,
          vips: [vip, `fd${network}::10`, '10.50.0.9'],
        });
        if (arms === 1) {
          const routes = site.clients.flatMap(({ address, address6 }) => [
            `route add ${address}/32 via ${site.lb.address}`,
            `route add ${address6}/128 via ${site.lb.address6}`,
          ]);
          await Promise.all(site.servers.map((server) => server.ip(...routes)));
        }
        clients = await Promise.all(site.clients.map((client) => client.startAgent()));
        await Promise.all(site.servers.map((server, index) => listen(server, `s${index + 1}`)));
      });
      afterAll(() => site.close());

      test.each([
        ['association', '{ route: association }'],
        ['study', '{ route: study, storage: shared }'],
      ])(
        '`source: client`: storescp logs the client’s own address for a proxied association (%s routing)',
        async (_, dicom) => {
          const [one, two] = [await startStorescp(site.servers[0]!), await startStorescp(site.servers[1]!)];
          await serve(
            site,
            `  ARCHIVE: { protocol: dicom, listen: ["${vip}:${SCP}"], pool: scp, source: client, dicom: ${dicom} }`,
          );
          for (const client of site.clients) await store(client, vip, 4);
          // Health checks are nobody's: they come from the balancer. What a process logs is read when it is read.
          const { lb, clients: senders, servers } = site;
          const all = () => [...heard(one, servers[0]!.address), ...heard(two, servers[1]!.address)];
          await expect
            .poll(() => [...new Set(all())].sort(), { timeout: 20_000 })
            .toEqual([lb, ...senders].map(({ address }) => address));
        },
      );

      test('HL7: each of two senders is seen with its own address, on connections that are kept', async () => {
        await serve(site, `  RIS: { protocol: hl7, listen: ["${vip}:${HL7}"], pool: hl7, source: client }`);
        const { connection } = await clients[0]!.ask('connect', { host: vip, port: HL7 });
        const seen = new Set<string>();
        for (const number of [1, 2, 3, 4, 5, 6]) {
          const text = `\x0b${message(number)}\x1c\r`;
          const answer = await clients[0]!.ask('exchange', { connection, text, until: '\x1c\r' });
          seen.add(/\|s\d \S+ (\S+)\r/.exec(answer)![1]!);
        }
        const other = await clients[1]!.ask('mllp', { host: vip, port: HL7, message: message(7) });
        await clients[0]!.ask('close', { connection });
        // One to each server.
        expect(seen.size).toBe(2);
        for (const one of seen) expect(one).toContain(`${site.clients[0]!.address}:`);
        expect(other).toContain(` ${site.clients[1]!.address}:`);
      });

      test('TCP: so too, by IPv4 and IPv6', async () => {
        const network = arms === 2 ? '60' : '50';
        await serve(
          site,
          `  T4: { protocol: tcp, listen: ["${vip}:${ECHO}"], pool: echo, source: client }
  T6: { protocol: tcp, listen: ["[fd${network}::10]:${ECHO}"], pool: echo6, source: client }`,
        );
        for (const [index, client] of site.clients.entries()) {
          expect(hostOf(await seenBy(clients[index]!, vip))).toBe(client.address);
          expect(hostOf(await seenBy(clients[index]!, `fd${network}::10`))).toBe(client.address6);
        }
      });

      test('`source: ADDRESS` is seen by the server', async () => {
        await serve(
          site,
          `  T: { protocol: tcp, listen: ["${vip}:${ECHO}"], pool: echo, source: 10.50.0.9 }
  RIS: { protocol: hl7, listen: ["${vip}:${HL7}"], pool: hl7, source: 10.50.0.9 }`,
        );
        expect(hostOf(await seenBy(clients[0]!, vip))).toBe('10.50.0.9');
        const answer = await clients[1]!.ask('mllp', { host: vip, port: HL7, message: message(1) });
        expect(answer).toContain(' 10.50.0.9:');
      });
    });
  });
});
