/** NAT with two arms and SNAT with one, with ports translated. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Layer4 } from '../../src/layer4/layer4.ts';
import type { Service } from '../../src/layer4/service.ts';
import { namespacesOrSkip } from '../peers/namespaces.ts';
import { createField, type Field, persistenceOf, untilFlows } from './field.ts';

namespacesOrSkip('NAT and SNAT', () => {
  let field: Field;
  let layer4: Layer4;

  /** 80 → 8080 on both servers. */
  const service = (different: Partial<Service>): Service => {
    const servers = field.servers.map((_, index) => field.target(index + 1, { port: 8080 }));
    return field.service({ name: 'web', servers, ...different });
  };
  const targets6 = () => {
    return field.site.servers.map(({ address6 }, index) => {
      return field.target(index + 1, { address: address6, port: 8080 });
    });
  };

  describe('NAT, two-arm', () => {
    const VIP = '10.60.0.10';
    const VIP6 = 'fd60::10';
    beforeAll(async () => {
      field = await createField({ arms: 2, vips: [VIP, VIP6], ports: [80, 8080] });
      layer4 = field.start();
    });
    afterEach(() => layer4.close('remove'));
    afterAll(() => field.close());

    test('80 → 8080; the server sees the client', async () => {
      await layer4.apply([service({ mode: 'nat', listen: [{ host: VIP, port: 80 }] })]);
      const [one, two] = [await field.open(VIP, 80), await field.open(VIP, 80)];
      expect([one.server, two.server].sort()).toEqual(['s1', 's2']);
      expect(one.remote).toMatch(/^10\.60\.0\.101:/);
      expect(one.local).toMatch(/^10\.50\.0\.2[12]:8080$/);
      expect([await field.ask(one.connection), await field.ask(two.connection)]).toEqual([
        one.server,
        two.server,
      ]);
      await expect(field.open(VIP, 8080)).rejects.toThrow('ECONNREFUSED');
      const traffic = (await layer4.traffic()).get('web')!;
      expect([...traffic.values()].map(({ connections }) => connections)).toEqual([1, 1]);
      for (const server of ['pool/s1', 'pool/s2']) await untilFlows(layer4, server, 1, 'web');
    });

    test('IPv6 too', async () => {
      await layer4.apply([service({ mode: 'nat', listen: [{ host: VIP6, port: 80 }], servers: targets6() })]);
      const seen = await field.open(VIP6, 80);
      expect(seen.remote).toMatch(/^fd60::101:/);
      expect(seen.local).toMatch(/^fd50::2[12]:8080$/);
    });

    test('all ports, as they are, of one server', async () => {
      const servers = [field.target(1), field.target(2)];
      const listen = [{ host: VIP, port: '*' as const }];
      await layer4.apply([service({ mode: 'nat', listen, servers, persistence: persistenceOf() })]);
      const [web, other] = [await field.open(VIP, 80), await field.open(VIP, 8080)];
      expect(web.local).toMatch(/:80$/);
      expect(other.local).toMatch(/:8080$/);
      expect(other.server).toBe(web.server);
      // Its pings stay with the balancer.
      await field.site.clients[0]!.must('ping', ['-c', '1', '-W', '5', VIP]);
    });

    test('drain, down, up, reload and restart', async () => {
      const nat = service({ mode: 'nat', listen: [{ host: VIP, port: 80 }], persistence: persistenceOf() });
      await layer4.apply([nat]);
      const open = await field.open(VIP, 80);
      const told = (duty: 'sticky' | 'gone' | 'flows') => {
        return nat.servers.map((one) => (one.name === `pool/${open.server}` ? { ...one, duty } : one));
      };
      await layer4.update('web', told('flows'));
      expect(await field.ask(open.connection)).toBe(open.server);
      expect((await field.open(VIP, 80)).server).not.toBe(open.server);
      await layer4.close('keep');
      layer4 = field.start();
      await layer4.apply([{ ...nat, servers: told('sticky') }]);
      expect(await field.ask(open.connection)).toBe(open.server);
      await layer4.update('web', told('gone'));
      await field.client.ask('send', { connection: open.connection, text: 'still there?\n' });
      expect(await field.client.ask('ending', open)).toBe('ECONNRESET');
      await layer4.update(
        'web',
        nat.servers.map((one) => ({ ...one, duty: 'gone' as const })),
      );
      await expect(field.open(VIP, 80)).rejects.toThrow('ECONNREFUSED');
      await layer4.update('web', nat.servers);
      await field.open(VIP, 80);
    });
  });

  describe('SNAT, one-arm', () => {
    const VIP = '10.50.0.10';
    const VIP6 = 'fd50::10';
    beforeAll(async () => {
      field = await createField({ vips: [VIP, VIP6], ports: [80, 8080] });
      layer4 = field.start();
    });
    afterEach(() => layer4.close('remove'));
    afterAll(() => field.close());

    test('80 → 8080; the server sees the balancer', async () => {
      await layer4.apply([service({ mode: 'snat', listen: [{ host: VIP, port: 80 }] })]);
      const seen = await field.open(VIP, 80);
      expect(seen.remote).toMatch(/^10\.50\.0\.1:/);
      expect(seen.local).toMatch(/^10\.50\.0\.2[12]:8080$/);
    });

    test('IPv6 too', async () => {
      const listen = [{ host: VIP6, port: 80 }];
      await layer4.apply([service({ mode: 'snat', listen, servers: targets6(), source: 'FD50:0::1' })]);
      expect((await field.open(VIP6, 80)).remote).toMatch(/^fd50::1:/);
    });

    test('a source that is given, even the VIP of all ports', async () => {
      const listen = [{ host: VIP, port: '*' as const }];
      await layer4.apply([service({ mode: 'snat', listen, source: VIP })]);
      const seen = await field.open(VIP, 80);
      expect(seen.remote).toMatch(/^10\.50\.0\.10:/);
      // Another one, while this one is open: it keeps what it has.
      await layer4.apply([service({ mode: 'snat', listen, source: undefined })]);
      expect(await field.ask(seen.connection)).toBe(seen.server);
      expect((await field.open(VIP, 80)).remote).toMatch(/^10\.50\.0\.1:/);
    });

    test('two VIPs for one server have each its own source', async () => {
      const web = service({ mode: 'snat', listen: [{ host: VIP, port: 80 }], servers: [field.target(1)] });
      const hl7 = service({ name: 'hl7', mode: 'snat', listen: [{ host: VIP, port: 2575 }], source: VIP });
      await layer4.apply([web, { ...hl7, servers: [field.target(1, { port: 8080 })] }]);
      expect((await field.open(VIP, 80)).remote).toMatch(/^10\.50\.0\.1:/);
      expect((await field.open(VIP, 2575)).remote).toMatch(/^10\.50\.0\.10:/);
    });
  });
});
