/** Changes of configuration, restarts, and what others do to our tables: no flow is cut that need not be. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Layer4 } from '../../src/layer4/layer4.ts';
import { createLock } from '../../src/layer4/lock.ts';
import { childPrograms } from '../../src/layer4/programs.ts';
import { onEvent } from '../../src/observe/events.ts';
import { namespacesOrSkip, prepareForDirectReturn } from '../peers/namespaces.ts';
import { createField, type Field, persistenceOf, until, untilFlows } from './field.ts';

const VIP = '10.50.0.10';
const OTHER_VIP = '10.50.0.11';
const TABLE = 'netdev gantry_dr_eis';

namespacesOrSkip('adoption', () => {
  let field: Field;
  let layer4: Layer4;
  beforeAll(async () => {
    field = await createField({ vips: [VIP, OTHER_VIP], ports: [104, 105], servers: 3 });
    await prepareForDirectReturn(field.site.servers, [VIP, OTHER_VIP]);
  });
  afterEach(async () => {
    await layer4.close('remove');
    await field.nft('flush ruleset');
  });
  afterAll(() => field.close());

  test('a reload with one server more, another port, another persistence: nothing that is open notices', async () => {
    layer4 = field.start();
    const two = [field.target(1), field.target(2)];
    await layer4.apply([field.service({ servers: two, persistence: persistenceOf() })]);
    const open = await field.open(VIP, 104);
    const three = [...two, field.target(3, { weight: 1000 })].toReversed();
    const listen = [104, 105].flatMap((port) => [VIP, OTHER_VIP].map((host) => ({ host, port })));
    await layer4.apply([field.service({ servers: three, listen, persistence: persistenceOf() })]);
    expect(await field.ask(open.connection)).toBe(open.server);
    // The client is remembered; without persistence the one with the great weight has it.
    expect((await field.open(OTHER_VIP, 105)).server).toBe(open.server);
    await layer4.apply([field.service({ servers: three, listen, idle: 1_000_000, spread: 'hash' })]);
    expect(await field.ask(open.connection)).toBe(open.server);
    expect((await field.open(VIP, 105)).server).toBe('s3');
    await layer4.apply([field.service({ servers: three, persistence: persistenceOf({ size: 20 }) })]);
    expect(await field.ask(open.connection)).toBe(open.server);
    await expect(field.open(OTHER_VIP, 104)).rejects.toThrow('ECONNREFUSED');
    expect((await layer4.traffic()).get('eis')!.get('pool/s3')!.connections).toBe(1);
  });

  test('a restart adopts what is there: flows, clients, counters, marks', async () => {
    layer4 = field.start();
    const service = field.service({ persistence: persistenceOf() });
    await layer4.apply([service]);
    const open = await field.open(VIP, 104);
    const before = (await layer4.traffic()).get('eis')!;
    const marks = await field.elements(TABLE, 'addresses');
    await layer4.close('keep');
    expect(await field.ask(open.connection)).toBe(open.server);

    layer4 = field.start();
    await layer4.apply([{ ...service, servers: service.servers.toReversed() }]);
    expect(await field.elements(TABLE, 'addresses')).toEqual(marks);
    expect(await field.ask(open.connection)).toBe(open.server);
    expect((await field.open(VIP, 104)).server).toBe(open.server);
    const after = (await layer4.traffic()).get('eis')!;
    for (const [name, { packets, connections }] of before) {
      const isTheirs = name === `pool/${open.server}`;
      expect(after.get(name)!.connections).toBe(connections + (isTheirs ? 1 : 0));
      expect(after.get(name)!.packets).toBeGreaterThanOrEqual(packets);
    }
    await untilFlows(layer4, `pool/${open.server}`, 2);
  });

  test('a server that leaves the configuration keeps its open flows, and its mark as long', async () => {
    layer4 = field.start({ lifetimes: { closing: 300 } });
    await layer4.apply([field.service({ servers: [field.target(1), field.target(2, { weight: 0 })] })]);
    const open = await field.open(VIP, 104);
    expect(open.server).toBe('s1');
    const remaining = [field.target(2), field.target(3)];
    await layer4.apply([field.service({ servers: remaining })]);
    expect(await field.ask(open.connection)).toBe('s1');
    expect((await field.open(VIP, 104)).server).not.toBe('s1');
    const traffic = (await layer4.traffic()).get('eis')!;
    expect([...traffic.keys()]).toEqual(['pool/s1', 'pool/s2', 'pool/s3']);
    await untilFlows(layer4, 'pool/s1', 1);
    const addresses = async () => (await field.elements(TABLE, 'addresses')).map(({ value }) => value);
    expect(await addresses()).toContain('10.50.0.21');
    // Back again, with what it had.
    await layer4.apply([field.service({ servers: [field.target(1), ...remaining] })]);
    expect((await layer4.traffic()).get('eis')!.get('pool/s1')!.connections).toBe(1);
    await untilFlows(layer4, 'pool/s1', 1);
    await layer4.apply([field.service({ servers: remaining })]);
    await field.client.ask('close', open);
    const marks = async () =>
      new Set((await field.elements(TABLE, 'flows_ip_262144')).map(({ value }) => value));
    const [first] = (await field.elements(TABLE, 'addresses')).filter(({ value }) => value === '10.50.0.21');
    await until('its flow to be forgotten', async () => !(await marks()).has(first!.key));
    await until('its mark to be forgotten', async () => {
      await layer4.traffic();
      await layer4.apply([field.service({ servers: remaining })]);
      return !(await addresses()).includes('10.50.0.21');
    });
  });

  test('a server that left and cannot be reached any more: its flows are reset', async () => {
    layer4 = field.start();
    const far = field.target(3, { address: '10.71.0.3' });
    const { lb, servers } = field.site;
    await lb.ip('address add 10.71.0.1/24 dev eth0');
    await servers[2]!.ip('address add 10.71.0.3/24 dev eth0');
    await layer4.apply([field.service({ servers: [far] })]);
    const open = await field.open(VIP, 104);
    expect(open.server).toBe('s3');
    await lb.ip('address delete 10.71.0.1/24 dev eth0');
    await layer4.apply([field.service({ servers: [field.target(1)] })]);
    await field.client.ask('send', { connection: open.connection, text: 'still there?\n' });
    expect(await field.client.ask('ending', open)).toBe('ECONNRESET');
    expect((await field.open(VIP, 104)).server).toBe('s1');
  });

  test('a VIP that leaves the configuration leaves no table, nor does one that left while nobody looked', async () => {
    layer4 = field.start();
    const other = field.service({ name: 'mwl', listen: [{ host: OTHER_VIP, port: 104 }] });
    await layer4.apply([field.service(), other]);
    const open = await field.open(VIP, 104);
    await layer4.apply([field.service()]);
    expect(await field.nft('list tables')).toBe('table netdev gantry_dr_eis\n');
    await expect(field.open(OTHER_VIP, 104)).rejects.toThrow('ECONNREFUSED');
    expect(await field.ask(open.connection)).toBe(open.server);
    layer4 = field.start();
    await layer4.apply([other]);
    expect(await field.nft('list tables')).toBe('table netdev gantry_dr_mwl\n');
  });

  test('two processes: the second one is refused, and takes nothing from the first; after the first it may', async () => {
    const name = `\0gantry-test-${process.pid}`;
    const [first, second] = [createLock(name), createLock(name)].map((lock) => field.start({ lock }));
    layer4 = first!;
    await first!.apply([field.service()]);
    const before = await field.ruleset();
    const other = field.service({ name: 'mwl', listen: [{ host: OTHER_VIP, port: 104 }] });
    await expect(second!.apply([other])).rejects.toThrow('another Gantry on this machine has layer 4 VIPs');
    expect(await second!.removeLeft()).toEqual([]);
    expect(await field.ruleset()).toBe(before);
    await first!.close('keep');
    await second!.apply([other]);
    expect(await field.nft('list tables')).toBe('table netdev gantry_dr_mwl\n');
    await second!.apply([]);
    await first!.apply([field.service()]);
  });

  test('what a run before has left goes when nobody has it; what is not ours stays', async () => {
    layer4 = field.start();
    expect(await layer4.removeLeft()).toEqual([]);
    await layer4.apply([field.service()]);
    await layer4.close('keep');
    await field.nft('add table netdev gantry_dr_foreign');
    layer4 = field.start();
    expect(await layer4.removeLeft()).toEqual([TABLE]);
    expect(await field.nft('list tables')).toBe('table netdev gantry_dr_foreign\n');
  });

  test('a foreign table of the same name is refused, and not touched', async () => {
    await field.nft(`add table ${TABLE} { comment "precious" ; }`);
    const before = await field.ruleset();
    layer4 = field.start();
    const other = field.service({ name: 'mwl', listen: [{ host: OTHER_VIP, port: 104 }] });
    await expect(layer4.apply([other, field.service()])).rejects.toThrow(
      'VIP "eis": there is a table "netdev gantry_dr_eis" that Gantry did not make',
    );
    await layer4.apply([other]);
    await layer4.close('remove');
    expect(await field.ruleset()).toBe(before);
  });

  test('what cannot be is a sentence, and nothing is half applied', async () => {
    layer4 = field.start();
    await layer4.apply([field.service()]);
    const before = await field.ruleset();
    const good = field.service({ name: 'new' });
    const refused = async (different: Parameters<Field['service']>[0], sentence: string) => {
      await expect(layer4.apply([good, field.service(different)])).rejects.toThrow(sentence);
    };
    await refused(
      { interfaces: ['eth7'] },
      'VIP "eis": the interface "eth7" is not there: there are lo, eth0',
    );
    await refused({ servers: [field.target(1, { address: VIP })] }, 'is this machine itself');
    await refused({ servers: [field.target(1, { address: '10.99.0.1' })] }, 'cannot be reached');
    for (const mode of ['dr', 'nat', 'snat'] as const) {
      await refused(
        { name: 'all', mode, listen: [{ host: field.site.lb.address, port: '*' }] },
        'it has all ports of 10.50.0.1, which this machine speaks from to 10.50.0.21: give it an address of its own',
      );
    }
    await field.site.lb.ip('route add 10.98.0.0/16 via 10.50.0.21');
    await refused({ servers: [field.target(1, { address: '10.98.0.1' })] }, 'is behind a router');
    await field.site.lb.ip('route delete 10.98.0.0/16');
    await field.site.lb.sysctl('net.ipv4.ip_forward=0');
    await refused({ name: 'web', mode: 'nat' }, 'set net.ipv4.ip_forward=1');
    await field.site.lb.sysctl('net.ipv4.ip_forward=1');
    expect(await field.ruleset()).toBe(before);
  });

  test('rules that another program flushed come back, and it is said', async () => {
    const told: string[] = [];
    const stop = onEvent('notice', ({ message }) => told.push(message));
    layer4 = field.start();
    await layer4.apply([field.service()]);
    await field.nft('flush ruleset');
    await layer4.traffic();
    expect(told).toEqual(['rules of layer 4 VIPs were put back into the kernel']);
    expect((await field.open(VIP, 104)).server).toMatch(/^s\d$/);
    await field.nft('flush ruleset');
    await layer4.update('eis', [
      field.target(1),
      field.target(2, { duty: 'gone' }),
      field.target(3, { duty: 'gone' }),
    ]);
    expect(told).toHaveLength(2);
    expect((await field.open(VIP, 104)).server).toBe('s1');
    expect((await field.open(VIP, 104)).server).toBe('s1');
    stop();
  });

  test('the capability is enough, root is not needed', async () => {
    const asNobody = ['setpriv', '--reuid', '65534', '--clear-groups'];
    const prefix = ['ip', 'netns', 'exec', field.site.lb.name, ...asNobody];
    const capability = ['--inh-caps', '+net_admin', '--ambient-caps', '+net_admin'];
    layer4 = field.start({ run: childPrograms({ prefix: [...prefix, ...capability] }) });
    await layer4.apply([field.service()]);
    expect((await layer4.traffic()).get('eis')!.size).toBe(3);
    await field.open(VIP, 104);
  });

  test('an interface that was made anew has its rules again', async () => {
    const told: string[] = [];
    const stop = onEvent('notice', ({ message, fields }) => told.push(`${message}: ${fields.reason}`));
    const { lb } = field.site;
    const add = 'link add other0 type bridge';
    await lb.ip(add, 'link set other0 up', 'address add 10.70.0.1/24 dev other0');
    layer4 = field.start();
    const servers = [field.target(1, { address: '10.70.0.21' })];
    await layer4.apply([field.service({ interfaces: ['eth0', 'other0'], servers })]);
    await lb.ip('link delete other0');
    await layer4.traffic();
    expect(told).toEqual([]);
    await lb.ip(add, 'link set other0 up');
    await layer4.traffic();
    await layer4.traffic();
    expect(told).toEqual([
      expect.stringMatching(/are lost: the interface other0 was made anew: .* cannot be reached/),
    ]);
    await lb.ip('address add 10.70.0.1/24 dev other0');
    await layer4.traffic();
    expect(told[1]).toBe(
      'rules of layer 4 VIPs were put back into the kernel: the interface other0 was made anew',
    );
    expect((await layer4.traffic()).get('eis')!.size).toBe(1);
    expect(await field.elements(TABLE, 'interfaces')).toMatchObject([{ value: '"other0"' }]);
    await lb.ip('link delete other0');
    stop();
  });

  test('an interface on which clients come in, and others', async () => {
    layer4 = field.start();
    await field.site.lb.ip('link add other0 type bridge', 'link set other0 up');
    await layer4.apply([field.service({ interfaces: ['other0'] })]);
    await expect(field.open(VIP, 104)).rejects.toThrow('ECONNREFUSED');
    await layer4.apply([field.service({ interfaces: ['other0', 'eth0'] })]);
    const open = await field.open(VIP, 104);
    await layer4.apply([field.service()]);
    expect(await field.ask(open.connection)).toBe(open.server);
  });
});
