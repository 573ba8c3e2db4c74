/** DR with real connections: who gets what, and what happens to what is open. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Layer4 } from '../../src/layer4/layer4.ts';
import { namespacesOrSkip, prepareForDirectReturn } from '../peers/namespaces.ts';
import { createField, type Field, persistenceOf, until, untilFlows } from './field.ts';

const VIP = '10.50.0.10';
const VIP6 = 'fd50::10';
const SOURCES = ['10.50.0.111', '10.50.0.112', '10.50.0.113', '10.50.0.114'];
const ALL_PORTS = [{ host: VIP, port: '*' as const }];

namespacesOrSkip('DR', () => {
  let field: Field;
  let layer4: Layer4;
  beforeAll(async () => {
    field = await createField({ vips: [VIP, VIP6], ports: [104, 105, 11112], sources: SOURCES });
    await prepareForDirectReturn(field.site.servers, [VIP, VIP6]);
    layer4 = field.start();
  });
  afterEach(() => layer4.close('remove'));
  afterAll(() => field.close());

  test('the server sees the client and the VIP, and answers straight', async () => {
    await layer4.apply([field.service()]);
    const seen = await field.open(VIP, 104);
    expect(seen.local).toBe(`${VIP}:104`);
    expect(seen.remote).toMatch(/^10\.50\.0\.101:/);
    // What stays with the balancer: other ports, and all that is not TCP.
    await expect(field.open(VIP, 105)).rejects.toThrow('ECONNREFUSED');
    await field.site.clients[0]!.must('ping', ['-c', '1', '-W', '5', VIP]);
  });

  test('IPv6 too', async () => {
    const servers = field.site.servers.map(({ address6 }, index) => {
      return field.target(index + 1, { address: address6 });
    });
    const listen = [{ host: VIP6, port: 104 }];
    await layer4.apply([field.service({ listen, servers, persistence: persistenceOf({ netmask: 24 }) })]);
    const first = await field.open(VIP6, 104);
    expect(first.local).toBe(`${VIP6}:104`);
    expect(first.remote).toMatch(/^fd50::101:/);
    expect((await field.open(VIP6, 104)).server).toBe(first.server);
    expect(await layer4.persistence('eis')).toMatchObject([{ key: 'fd50::' }]);
    const [gone, other] = first.server === 's1' ? servers : servers.toReversed();
    await layer4.update('eis', [{ ...gone!, duty: 'gone' }, other!]);
    await field.client.ask('send', { connection: first.connection, text: 'still there?\n' });
    expect(await field.client.ask('ending', first)).toBe('ECONNRESET');
    expect((await field.open(VIP6, 104)).server).not.toBe(first.server);
  });

  test('all ports over three ports: one server', async () => {
    await layer4.apply([field.service({ listen: ALL_PORTS, persistence: persistenceOf() })]);
    const places = [];
    for (const port of [104, 105, 11112]) places.push(await field.open(VIP, port));
    expect(places.map(({ local }) => local)).toEqual([`${VIP}:104`, `${VIP}:105`, `${VIP}:11112`]);
    expect(new Set(places.map(({ server }) => server)).size).toBe(1);
  });

  test('two clients, two servers; each stays with its own', async () => {
    await layer4.apply([field.service({ persistence: persistenceOf() })]);
    const [one, two] = [await field.open(VIP, 104, SOURCES[0]), await field.open(VIP, 104, SOURCES[1])];
    expect([one.server, two.server].sort()).toEqual(['s1', 's2']);
    expect((await field.open(VIP, 104, SOURCES[0])).server).toBe(one.server);
    expect((await field.open(VIP, 104, SOURCES[1])).server).toBe(two.server);
    const entries = await layer4.persistence('eis');
    expect(entries.map(({ key, server }) => `${key} ${server}`).sort()).toEqual([
      `${SOURCES[0]} pool/${one.server}`,
      `${SOURCES[1]} pool/${two.server}`,
    ]);
    expect(entries[0]!.expires).toBeGreaterThan(200_000);
    // Forgotten: an old connection does not bring it back.
    const others = ['10.9.9.1', '10.9.9.2', '10.9.9.9; flush ruleset'];
    expect(await layer4.clearPersistence('eis', [SOURCES[0]!, ...others])).toBe(1);
    expect(await layer4.clearPersistence('eis', [SOURCES[0]!])).toBe(0);
    await field.ask(one.connection);
    expect(await layer4.persistence('eis')).toHaveLength(1);
  });

  test('a netmask makes one client of many', async () => {
    await layer4.apply([field.service({ persistence: persistenceOf({ netmask: 24 }) })]);
    const seen = [];
    for (const source of SOURCES) seen.push((await field.open(VIP, 104, source)).server);
    expect(new Set(seen).size).toBe(1);
    expect(await layer4.persistence('eis')).toMatchObject([{ key: '10.50.0.0' }]);
  });

  test('persistence is renewed by what is open, but not by what is on a server that drains', async () => {
    await layer4.apply([field.service({ persistence: persistenceOf({ ttl: 300_000 }) })]);
    const { connection, server } = await field.open(VIP, 104);
    const hasAged = async () => (await layer4.persistence('eis'))[0]!.expires <= 298_000;
    const hasAgedAfterAsking = async () => {
      expect(await field.ask(connection)).toBe(server);
      return hasAged();
    };
    await until('the entry to age', hasAged);
    await until('the entry to be renewed', async () => !(await hasAgedAfterAsking()));
    const drained = [1, 2].map((number) => field.target(number, { duty: 'sticky' }));
    await layer4.update('eis', drained);
    await until('the entry to age in spite of packets', hasAgedAfterAsking);
  });

  test('no room for more clients: they are served, not remembered', async () => {
    await layer4.apply([field.service({ persistence: persistenceOf({ size: 1 }) })]);
    for (const source of SOURCES) await field.open(VIP, 104, source);
    expect(await layer4.persistence('eis')).toMatchObject([{ key: SOURCES[0] }]);
  });

  test('draining: what is open and what is remembered stays; the rest goes elsewhere', async () => {
    await layer4.apply([field.service({ persistence: persistenceOf() })]);
    const open = await field.open(VIP, 104, SOURCES[0]);
    const draining = `pool/${open.server}`;
    const [first, second] = [1, 2].map((number) => field.target(number));
    const told = [first!, second!].map((one) =>
      one.name === draining ? { ...one, duty: 'sticky' as const } : one,
    );
    await layer4.update('eis', told);
    expect(await field.ask(open.connection)).toBe(open.server);
    expect((await field.open(VIP, 104, SOURCES[0])).server).toBe(open.server);
    for (const source of SOURCES.slice(1)) {
      expect((await field.open(VIP, 104, source)).server).not.toBe(open.server);
    }
    await untilFlows(layer4, draining, 2);
    // No longer even the remembered ones: a new connection of the client goes elsewhere, and is bound there.
    await layer4.update(
      'eis',
      told.map((one) => (one.name === draining ? { ...one, duty: 'flows' } : one)),
    );
    const moved = await field.open(VIP, 104, SOURCES[0]);
    expect(moved.server).not.toBe(open.server);
    expect(await field.ask(open.connection)).toBe(open.server);
    const bound = (await layer4.persistence('eis')).find(({ key }) => key === SOURCES[0]);
    expect(bound?.server).toBe(`pool/${moved.server}`);
  });

  test('down: its open flows are reset, the others are not; clients are moved; up again', async () => {
    await layer4.apply([field.service({ persistence: persistenceOf() })]);
    const one = await field.open(VIP, 104, SOURCES[0]);
    const two = await field.open(VIP, 104, SOURCES[1]);
    const told = [1, 2].map((number) => field.target(number));
    const down = told.map((one_) =>
      one_.name === `pool/${one.server}` ? { ...one_, duty: 'gone' as const } : one_,
    );
    await layer4.update('eis', down);
    await field.client.ask('send', { connection: one.connection, text: 'still there?\n' });
    expect(await field.client.ask('ending', one)).toBe('ECONNRESET');
    expect(await field.ask(two.connection)).toBe(two.server);
    await untilFlows(layer4, `pool/${one.server}`, 0);
    for (const source of SOURCES) expect((await field.open(VIP, 104, source)).server).toBe(two.server);
    await layer4.update('eis', told);
    // It is used again, but not by whom it was taken from.
    const after = [];
    for (const source of ['10.50.0.101', ...SOURCES]) after.push((await field.open(VIP, 104, source)).server);
    expect(after.slice(1)).toEqual(SOURCES.map(() => two.server));
    expect(await field.ask(two.connection)).toBe(two.server);
  });

  test('no server at all: refused at once, and again served when there is one', async () => {
    await layer4.apply([
      field.service({ servers: [1, 2].map((one) => field.target(one, { duty: 'gone' })) }),
    ]);
    await expect(field.open(VIP, 104)).rejects.toThrow('ECONNREFUSED');
    await layer4.update('eis', [field.target(1), field.target(2, { duty: 'gone' })]);
    expect((await field.open(VIP, 104)).server).toBe('s1');
    await layer4.update('eis', [field.target(1, { weight: 0 }), field.target(2)]);
    expect((await field.open(VIP, 104)).server).toBe('s2');
  });

  test('weights: new connections by them, under a live one', async () => {
    await layer4.apply([field.service()]);
    const live = await field.open(VIP, 104);
    await layer4.update('eis', [field.target(1, { weight: 3 }), field.target(2)]);
    const seen = [];
    for (let index = 0; index < 8; index++) seen.push((await field.open(VIP, 104)).server);
    expect(seen.filter((server) => server === 's1')).toHaveLength(6);
    for (let weight = 1; weight <= 10; weight++) {
      await layer4.update('eis', [field.target(1, { weight }), field.target(2, { weight: 11 - weight })]);
      expect(await field.ask(live.connection)).toBe(live.server);
    }
    const traffic = (await layer4.traffic()).get('eis')!;
    expect([...traffic.values()].reduce((sum, { connections }) => sum + connections, 0)).toBe(9);
  });

  test('a hash is the same over restarts', async () => {
    await layer4.apply([field.service({ spread: 'hash' })]);
    const before = [];
    for (const source of SOURCES) before.push((await field.open(VIP, 104, source)).server);
    await layer4.close('remove');
    await layer4.apply([field.service({ spread: 'hash' })]);
    for (const [index, source] of SOURCES.entries()) {
      expect((await field.open(VIP, 104, source)).server).toBe(before[index]);
    }
  });

  test('a SYN that is sent again goes to the same server, and elsewhere once that one is gone', async () => {
    await layer4.apply([field.service({ servers: [field.target(1), field.target(2, { weight: 0 })] })]);
    const [mute] = field.site.servers;
    await mute!.must('nft', [
      'table ip mute { chain in { type filter hook input priority 0; tcp dport 104 drop; }; }',
    ]);
    const opened = field.open(VIP, 104);
    const { packets, connections } = await packetsOf(layer4, 'pool/s1', 2);
    expect({ again: packets >= 2, connections }).toEqual({ again: true, connections: 1 });
    await layer4.update('eis', [field.target(1, { duty: 'gone' }), field.target(2)]);
    expect((await opened).server).toBe('s2');
    await mute!.must('nft', ['delete', 'table', 'ip', 'mute']);
  });

  test('a server that changes its MAC goes on', async () => {
    const [first] = field.site.servers;
    await first!.sysctl('net.ipv4.conf.eth0.arp_notify=1');
    await layer4.apply([field.service({ servers: [field.target(1)] })]);
    const open = await field.open(VIP, 104);
    await first!.ip('link set eth0 address 02:00:00:00:00:77');
    expect(await field.ask(open.connection)).toBe('s1');
    expect((await field.open(VIP, 104)).server).toBe('s1');
  });

  test('frames for others are left alone, even while somebody listens to the interface', async () => {
    await layer4.apply([field.service()]);
    const [client] = field.site.clients;
    await field.site.lb.ip('link set eth0 promisc on');
    await client!.ip(`neigh replace ${VIP} lladdr 02:00:00:00:00:99 dev eth0 nud permanent`);
    const opened = field.open(VIP, 104);
    const { lb } = field.site;
    const seen = async () => Number(await lb.must('cat', ['/sys/class/net/eth0/statistics/rx_packets']));
    const before = await seen();
    await until('the SYN to be seen', async () => (await seen()) > before + 1);
    expect([...(await layer4.traffic()).get('eis')!.values()].map(({ packets }) => packets)).toEqual([0, 0]);
    await client!.ip(`neigh delete ${VIP} dev eth0`);
    await opened;
    await lb.ip('link set eth0 promisc off');
  });

  test('a server that answers ARP for the VIP takes traffic past the balancer', async () => {
    await layer4.apply([field.service()]);
    const { lb, clients, servers } = field.site;
    await clients[0]!.sysctl('net.ipv4.neigh.eth0.retrans_time_ms=50');
    // The balancer is slower than the servers, so slow that it does not answer at all.
    await lb.sysctl('net.ipv4.conf.all.arp_ignore=8');
    await clients[0]!.ip('neigh flush dev eth0');
    await expect(field.open(VIP, 104)).rejects.toThrow('EHOSTUNREACH');
    await clients[0]!.sysctl('net.ipv4.neigh.eth0.retrans_time_ms=1000');
    await servers[1]!.sysctl('net.ipv4.conf.all.arp_ignore=0');
    await clients[0]!.ip('neigh flush dev eth0');
    expect((await field.open(VIP, 104)).server).toBe('s2');
    const traffic = (await layer4.traffic()).get('eis')!;
    expect([...traffic.values()].map(({ packets }) => packets)).toEqual([0, 0]);
    await servers[1]!.sysctl('net.ipv4.conf.all.arp_ignore=1');
    await lb.sysctl('net.ipv4.conf.all.arp_ignore=0');
    await clients[0]!.ip('neigh flush dev eth0');
  });
});

async function packetsOf(layer4: Layer4, server: string, atLeast: number) {
  let traffic: { packets: number; connections: number } = { packets: 0, connections: 0 };
  await until(`${atLeast} packets for ${server}`, async () => {
    traffic = (await layer4.traffic()).get('eis')!.get(server)!;
    return traffic.packets >= atLeast;
  });
  return traffic;
}
