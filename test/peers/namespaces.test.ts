/** Namespaces themselves, without a balancer. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSite, namespacesOrSkip, prepareForDirectReturn, type Site } from './namespaces.ts';
import { describeWith } from './processes.ts';

describeWith(['iproute2'], 'iproute2', () => {
  namespacesOrSkip('one-arm', () => {
    let site: Site;
    beforeAll(async () => {
      site = await createSite({ clients: 2, servers: 2, vips: ['10.50.0.10', 'fd50::10'] });
    });
    afterAll(() => site.close());

    test('everybody talks to everybody, by IPv4 and IPv6, and sees whom', async () => {
      const [client, server] = await Promise.all([
        site.clients[0]!.startAgent(),
        site.servers[1]!.startAgent(),
      ]);
      await server.ask('listenEcho', { name: 'b', ports: [104, 2575] });
      for (const [host, own] of [
        ['10.50.0.22', '10.50.0.101'],
        ['fd50::22', 'fd50::101'],
      ] as const) {
        const { connection, local } = await client.ask('connect', { host, port: 104 });
        expect(local).toContain(own);
        const answer = await client.ask('exchange', { connection, text: 'hello\n' });
        expect(JSON.parse(answer)).toEqual({
          server: 'b',
          local: `${host}:104`,
          remote: local,
          text: 'hello',
        });
        expect(await client.ask('isOpen', { connection })).toBe(true);
      }
      await server.ask('unlisten', { port: 104 });
      expect(await client.ask('ending', { connection: 1 })).toBe('ECONNRESET');
      await expect(client.ask('connect', { host: '10.50.0.22', port: 104 })).rejects.toThrow('ECONNREFUSED');
      expect((await site.clients[1]!.run('ping', ['-c1', '-W20', '10.50.0.10'])).code).toBe(0);
    });

    test('servers made ready for DR have the VIP and say nothing of it', async () => {
      await prepareForDirectReturn(site.servers, ['10.50.0.10']);
      const [client, server] = await Promise.all([
        site.clients[0]!.startAgent(),
        site.servers[0]!.startAgent(),
      ]);
      await server.ask('listenEcho', { name: 'a', ports: [4000] });
      await site.clients[0]!.ip('neighbour flush all');
      await expect(client.ask('connect', { host: '10.50.0.10', port: 4000 })).rejects.toThrow('ECONNREFUSED');
      const own = await site.servers[0]!.must('ip', ['-br', 'address', 'show', 'lo']);
      expect(own).toContain('10.50.0.10');
    });
  });

  namespacesOrSkip('two-arm', () => {
    test('lb routes, and nothing is left at the end', async () => {
      const site = await createSite({ arms: 2, vips: ['10.60.0.10'] });
      const [client, server] = await Promise.all([
        site.clients[0]!.startAgent(),
        site.servers[0]!.startAgent(),
      ]);
      await server.ask('listenMllp', { name: 'ris', ports: [2575] });
      const message = 'MSH|^~\\&|A|B|C|D|20261122||ADT^A01|ID1|P|2.5\r';
      const answer = await client.ask('mllp', { host: '10.50.0.21', port: 2575, message });
      expect(answer).toContain('MSA|AA|ID1|ris');
      await client.ask('listening', { host: '10.50.0.21', ports: [2575] });
      expect((await site.clients[0]!.run('ping', ['-c1', '-W20', '10.60.0.10'])).code).toBe(0);
      expect((await site.clients[0]!.run('ping', ['-c1', '-W20', 'fd50::21'])).code).toBe(0);
      await site.close();
      expect((await site.lb.run('true', [])).code).not.toBe(0);
    });
  });
});
