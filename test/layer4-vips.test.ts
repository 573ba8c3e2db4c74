/** Layer 4 VIPs of a configuration, over a kernel that writes down what it is told. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Assembly, assemble } from '../src/assemble.ts';
import { readConfiguration } from '../src/config/load.ts';
import { type Configuration, layer4Vips } from '../src/config/schema.ts';
import { GantryError } from '../src/errors.ts';
import type { Layer4 } from '../src/layer4/layer4.ts';
import type { PersistenceEntry, ServerTraffic, Service, Target } from '../src/layer4/service.ts';
import { Layer4Vips } from '../src/layer4-vips.ts';
import { type NoticeEvent, onEvent } from '../src/observe/events.ts';
import { createGate, type Gate, Journal } from './peers/waiting.ts';
import { ManualDeadlines } from './pools/health/manual-deadlines.ts';
import { bringUp, takeDown } from './pools/make-pool.ts';

const TWO = 'pools: { a: { servers: [10.0.0.1, 10.0.0.2], health: { check: connect, port: 80 } } }\n';
const DIRECT = 'vips: { D: { mode: dr, listen: "10.0.0.6:80", pool: a } }\n';

function read(text: string): Configuration {
  const { configuration, faults } = readConfiguration(text, { file: '/etc/gantry.yaml', environment: {} });
  expect(faults ?? []).toEqual([]);
  return configuration!;
}

class RecordingKernel implements Layer4 {
  readonly applied = new Journal<readonly Service[]>('services applied');
  readonly updates = new Journal<{ readonly name: string; readonly servers: readonly Target[] }>('updates');
  readonly counters = new Map<string, Map<string, ServerTraffic>>();
  readonly closed: string[] = [];
  entries: PersistenceEntry[] = [];
  left: string[] = [];
  looks = 0;
  /** Counters are not told before. */
  gate: Gate | undefined;
  failure: Error | undefined;

  async apply(services: readonly Service[]): Promise<void> {
    if (this.failure) throw this.failure;
    this.applied.add(services);
  }
  async update(name: string, servers: readonly Target[]): Promise<void> {
    if (this.failure) throw this.failure;
    this.updates.add({ name, servers });
  }
  async traffic() {
    if (this.failure) throw this.failure;
    this.looks++;
    await this.gate?.opened;
    return new Map(this.counters);
  }
  async persistence() {
    return this.entries;
  }
  async clearPersistence(_name: string, keys: readonly string[]) {
    const before = this.entries.length;
    this.entries = this.entries.filter(({ key }) => !keys.includes(key));
    return before - this.entries.length;
  }
  async removeLeft() {
    if (this.failure) throw this.failure;
    return this.left;
  }
  async close(onStop: 'keep' | 'remove') {
    this.closed.push(onStop);
  }
}

function setUp() {
  const kernel = new RecordingKernel();
  const deadlines = new ManualDeadlines();
  const surroundings = { now: () => 1_000_000 + deadlines.ms, random: () => 0 };
  const vips = new Layer4Vips({ layer4: kernel, deadlines, now: surroundings.now });
  onTestFinished(() => vips.close('keep'));
  const notices = new Journal<NoticeEvent>('notices');
  onTestFinished(onEvent('notice', (event) => notices.add(event)));
  let assembly: Assembly | undefined;
  return {
    kernel,
    deadlines,
    vips,
    notices,
    server: (name: string) => assembly!.pools.get('a')!.server(name)!,
    apply: async (text: string) => {
      const configuration = read(text);
      const next = assemble(configuration, surroundings, assembly);
      await vips.apply(layer4Vips(configuration), configuration, next);
      next.commit();
      vips.commit(layer4Vips(configuration), configuration, next);
      assembly = next;
    },
    /** The next update with these duties, in order. */
    duties: (...duties: string[]) =>
      kernel.updates.find(({ servers }) => servers.map(({ duty }) => duty).join() === duties.join()),
  };
}

describe('what the kernel is told', () => {
  test('of a VIP: all that it needs, and nothing that is a proxy', async () => {
    const { kernel, apply } = setUp();
    await apply(
      'pools:\n' +
        '  a: { servers: ["10.0.0.1:8080"], balance: hash, persistence: { by: source-ip, ttl: 1h, netmask: 24, size: 500 } }\n' +
        '  p: { servers: [10.0.0.1] }\n' +
        'vips:\n' +
        '  P: { protocol: tcp, listen: "10.0.0.4:80", pool: p }\n' +
        '  N: { mode: snat, listen: ["10.0.0.6:80", "10.0.0.6:81"], pool: a, source: 10.0.0.7, timeouts: { idle: 1h } }\n' +
        '  D: { mode: dr, listen: ["10.0.0.8:8080"], pool: a, interface: [eth0, eth1] }\n',
    );
    const server = { name: 'a/10.0.0.1:8080', address: '10.0.0.1', port: 8080, weight: 16, duty: 'open' };
    const persistence = { ttl: 3_600_000, netmask: 24, size: 500 };
    expect(kernel.applied.items).toEqual([
      [
        {
          name: 'N',
          mode: 'snat',
          listen: [
            { host: '10.0.0.6', port: 80 },
            { host: '10.0.0.6', port: 81 },
          ],
          interfaces: [],
          source: '10.0.0.7',
          spread: 'hash',
          persistence,
          idle: 3_600_000,
          servers: [server],
        },
        {
          name: 'D',
          mode: 'dr',
          listen: [{ host: '10.0.0.8', port: 8080 }],
          interfaces: ['eth0', 'eth1'],
          source: undefined,
          spread: 'hash',
          persistence,
          idle: 86_400_000,
          servers: [server],
        },
      ],
    ]);
  });

  test('without a layer 4 VIP: nothing at all', async () => {
    const { kernel, vips, apply } = setUp();
    await apply(`${TWO}vips: { P: { protocol: tcp, listen: "10.0.0.4:80", pool: a } }`);
    await vips.close('remove');
    expect([kernel.applied.length, kernel.closed]).toEqual([0, []]);
  });

  test('when the last one goes: that there is none', async () => {
    const { kernel, apply } = setUp();
    await apply(TWO + DIRECT);
    await apply(`${TWO}vips: { P: { protocol: tcp, listen: "10.0.0.4:80", pool: a } }`);
    expect(kernel.applied.items[1]).toEqual([]);
  });

  test('of a server that goes down, is drained, comes back: at once', async () => {
    const { apply, server, duties } = setUp();
    await apply(TWO + DIRECT);
    for (const name of ['10.0.0.1', '10.0.0.2']) bringUp(server(name));
    takeDown(server('10.0.0.1'));
    await duties('gone', 'open');
    server('10.0.0.2').drain();
    await duties('gone', 'sticky');
    bringUp(server('10.0.0.1'));
    await duties('open', 'sticky');
  });

  test('many changes in one go are told once, and what is no change is not told', async () => {
    const { kernel, apply, server, duties } = setUp();
    await apply(TWO + DIRECT);
    await duties('open', 'open');
    for (let round = 0; round < 10; round++) {
      takeDown(server('10.0.0.1'));
      bringUp(server('10.0.0.1'));
    }
    server('10.0.0.2').acquire();
    server('10.0.0.2').release();
    takeDown(server('10.0.0.2'));
    await duties('open', 'gone');
    expect(kernel.updates.length).toBe(2);
  });

  test('of a halted server: its flows are cut when `timeouts.drain` is over, unless it was put online before', async () => {
    const { deadlines, apply, server, duties, kernel } = setUp();
    await apply(`timeouts: { drain: 10s }\n${TWO}${DIRECT}`);
    server('10.0.0.1').halt();
    await duties('flows', 'open');
    deadlines.pass(9999);
    server('10.0.0.1').online();
    await duties('open', 'open');
    deadlines.pass(1);
    kernel.updates.clear();
    server('10.0.0.1').halt();
    await duties('flows', 'open');
    deadlines.pass(10_000);
    await duties('gone', 'open');
    server('10.0.0.1').online();
    await duties('open', 'open');
  });

  test('of a failover of a single-active pool: the flows of the old server are cut, also when it is up again', async () => {
    const { apply, server, duties, kernel } = setUp();
    await apply(`${TWO.replace('servers', 'mode: single-active, servers')}${DIRECT}`);
    for (const name of ['10.0.0.1', '10.0.0.2']) bringUp(server(name));
    takeDown(server('10.0.0.1'));
    await duties('gone', 'open');
    kernel.updates.clear();
    bringUp(server('10.0.0.1'));
    server('10.0.0.2').weight = 2;
    const { servers } = await kernel.updates.find(() => true);
    expect(servers.map(({ duty, weight }) => [duty, weight])).toEqual([
      ['gone', 0],
      ['open', 32],
    ]);
  });

  test('over a reload: servers that stay keep their state, new ones are open', async () => {
    const { kernel, apply, server } = setUp();
    await apply(TWO + DIRECT);
    takeDown(server('10.0.0.2'));
    await apply(TWO.replace('10.0.0.2', '10.0.0.2, 10.0.0.3') + DIRECT);
    expect(kernel.applied.items[1]![0]!.servers.map(({ address, duty }) => [address, duty])).toEqual([
      ['10.0.0.1', 'open'],
      ['10.0.0.2', 'gone'],
      ['10.0.0.3', 'open'],
    ]);
  });
});

describe('a kernel that cannot be told', () => {
  test('at a reload: it is refused', async () => {
    const { kernel, apply } = setUp();
    await apply(TWO + DIRECT);
    kernel.failure = new GantryError('GTY_LAYER4', 'no nft');
    await expect(apply(TWO.replace('10.0.0.2', '10.0.0.3') + DIRECT)).rejects.toThrow('no nft');
  });

  test('of a change: the log says so, and it is told again', async () => {
    const { kernel, deadlines, notices, apply, server, duties } = setUp();
    await apply(TWO + DIRECT);
    await duties('open', 'open');
    kernel.failure = new GantryError('GTY_LAYER4', 'it is busy');
    takeDown(server('10.0.0.1'));
    const { fields } = await notices.find(({ message }) => message === 'the kernel was not told of a change');
    expect(fields).toEqual({ vip: 'D', reason: 'it is busy' });
    kernel.failure = undefined;
    deadlines.pass(2000);
    await duties('gone', 'open');
  });
});

describe('what the kernel counted', () => {
  const counted = (flows: number | undefined, bytes = 0): ServerTraffic => ({
    packets: 1,
    bytes,
    connections: 1,
    flows,
  });

  test('flows are the work of their server, over all VIPs, and gone when it is', async () => {
    const { kernel, vips, apply, server } = setUp();
    await apply(
      `${TWO}vips: { D: { mode: dr, listen: "10.0.0.6:80", pool: a }, E: { mode: dr, listen: "10.0.0.7:80", pool: a } }`,
    );
    kernel.counters.set('D', new Map([['a/10.0.0.1', counted(3)]]));
    kernel.counters.set('E', new Map([['a/10.0.0.1', counted(4)]]));
    expect(await vips.trafficOf('D')).toEqual(kernel.counters.get('D'));
    const first = server('10.0.0.1');
    expect(first.active).toBe(7);
    await apply(TWO.replace('10.0.0.1', '10.0.0.9') + DIRECT);
    expect([first.active, first.state]).toEqual([7, 'draining']);
    kernel.counters.clear();
    await vips.trafficOf('D');
    expect([first.active, first.state]).toEqual([0, 'drained']);
  });

  test('whoever asks at the same time is answered by one look', async () => {
    const { kernel, vips, apply } = setUp();
    await apply(TWO + DIRECT);
    await Promise.all([vips.trafficOf('D'), vips.trafficOf('D'), vips.trafficOf('E')]);
    expect(kernel.looks).toBe(1);
  });

  test('who asks while the kernel does not answer gets the last look after a second, and the next one when it is there', async () => {
    const { kernel, vips, deadlines, apply } = setUp();
    await apply(TWO + DIRECT);
    const before = new Map([['a/10.0.0.1', { packets: 1, bytes: 40, connections: 1, flows: 1 }]]);
    kernel.counters.set('D', before);
    expect(await vips.trafficOf('D')).toEqual(before);
    kernel.gate = createGate();
    kernel.counters.set('D', new Map());
    const asked = vips.trafficOf('D');
    deadlines.pass(1000);
    expect(await asked).toEqual(before);
    kernel.gate.open();
    expect(await vips.trafficOf('D')).toEqual(new Map());
  });

  test('the busier server of a least-busy pool gets less', async () => {
    const { kernel, deadlines, vips, apply } = setUp();
    await apply(TWO + DIRECT);
    for (let round = 0; round < 20; round++) {
      const traffic = new Map([
        ['a/10.0.0.1', counted(1, round * 1e6)],
        ['a/10.0.0.2', counted(1, round * 1e5)],
      ]);
      kernel.counters.set('D', traffic);
      deadlines.pass(2000);
      await vips.trafficOf('D');
    }
    const { servers } = await kernel.updates.find(({ servers: [a, b] }) => a!.weight * 4 <= b!.weight);
    expect(servers.map(({ duty }) => duty)).toEqual(['open', 'open']);
  });

  test('counters that cannot be read are told of, and the last ones stand', async () => {
    const { kernel, vips, notices, apply } = setUp();
    await apply(TWO + DIRECT);
    kernel.counters.set('D', new Map([['a/10.0.0.1', counted(3)]]));
    await vips.trafficOf('D');
    kernel.failure = new Error('it is busy');
    expect((await vips.trafficOf('D')).size).toBe(1);
    await vips.trafficOf('D');
    kernel.failure = undefined;
    await vips.trafficOf('D');
    await vips.trafficOf('D');
    // Once when it begins, once when it is over.
    expect(notices.items.map(({ message }) => message)).toEqual([
      'the counters of the kernel could not be read',
      'the counters of the kernel can be read again',
    ]);
  });
});

test('persistence: shown and cleared by table, of VIPs that remember', async () => {
  const { kernel, vips, apply } = setUp();
  await apply(
    `${TWO}vips: { D: { mode: dr, listen: "10.0.0.6:80", pool: a, persistence: source-ip }, E: { mode: dr, listen: "10.0.0.7:80", pool: a } }`,
  );
  kernel.entries = [{ key: '10.1.0.1', server: 'a/10.0.0.1', expires: 5000 }];
  const entry = {
    table: 'vip D',
    entry: '10.1.0.1',
    pool: 'a',
    by: 'source-ip',
    value: '10.1.0.1',
    server: '10.0.0.1',
    remaining: 5000,
  };
  expect(await vips.persistence.entries(undefined)).toEqual([entry]);
  expect(await vips.persistence.entries('vip E')).toEqual([]);
  expect(await vips.persistence.clear([entry, { ...entry, table: 'vip E' }])).toBe(1);
  expect(await vips.persistence.entries('vip D')).toEqual([]);
});

test('a start without layer 4 VIPs removes what a run before has left, and says so; where it cannot ask, nothing is said', async () => {
  const { kernel, vips, notices, apply } = setUp();
  await apply(`${TWO}vips: { P: { protocol: tcp, listen: "10.0.0.4:80", pool: a } }`);
  kernel.failure = new GantryError('GTY_LAYER4', 'no nft');
  await vips.tidy();
  kernel.failure = undefined;
  await vips.tidy();
  expect(notices.length).toBe(0);
  kernel.left = ['netdev gantry_dr_D', 'ip gantry_nat_N'];
  await vips.tidy();
  expect(notices.items.map(({ fields }) => fields)).toEqual([
    { tables: 'netdev gantry_dr_D, ip gantry_nat_N' },
  ]);
  notices.clear();
  await apply(TWO + DIRECT);
  await vips.tidy();
  expect(notices.length).toBe(0);
});

test('at the end the rules stay or go, as the configuration says', async () => {
  const { kernel, vips, apply } = setUp();
  await apply(TWO + DIRECT);
  await vips.close('remove');
  expect(kernel.closed).toEqual(['remove']);
});
