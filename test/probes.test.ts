/** Probes on a schedule: what the log tells, once, and what they leave alone. */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Assembly, assemble } from '../src/assemble.ts';
import { readConfiguration } from '../src/config/load.ts';
import type { Configuration } from '../src/config/schema.ts';
import { type NoticeEvent, onEvent } from '../src/observe/events.ts';
import { startProbes } from '../src/probes.ts';
import { accepting, rejecting, type Scp, type ScpScript, startScp } from './peers/dicom-scp.ts';
import { startTestBalancer } from './peers/start-balancer.ts';
import { Journal } from './peers/waiting.ts';
import { ManualDeadlines } from './pools/health/manual-deadlines.ts';

const SURROUNDINGS = { now: () => 0, random: () => 0 };
const HOUR = 3_600_000;

async function serve(script: ScpScript = accepting()): Promise<Scp> {
  const server = await startScp(script);
  onTestFinished(() => server.stop());
  return server;
}

interface Writing {
  readonly probe?: string;
  /** Of every server. */
  readonly server?: string;
}

/** A VIP for CT1 over a pool of servers a, b, … */
function yamlOf(
  servers: readonly Scp[],
  { probe = 'probe: { interval: 1h }', server = '' }: Writing = {},
): string {
  return [
    probe,
    'pools:',
    '  archive:',
    '    health: { check: none }',
    '    servers:',
    ...servers.map(
      ({ endpoint }, index) => `      - { name: ${'abc'[index]}, address: "${endpoint}"${server} }`,
    ),
    'vips:',
    '  ARCHIVE: { protocol: dicom, listen: "127.0.0.1:0", pool: archive, dicom: { clients: { CT1: 10.0.0.0/8 } } }',
  ].join('\n');
}

function read(text: string): Configuration {
  const { configuration, faults } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  expect(faults ?? []).toEqual([]);
  return configuration!;
}

function run(text: string) {
  const notices = new Journal<NoticeEvent>('notices');
  onTestFinished(onEvent('notice', (event) => notices.add(event)));
  const deadlines = new ManualDeadlines();
  const configuration = read(text);
  let assembly: Assembly = assemble(configuration, SURROUNDINGS);
  const probes = startProbes(configuration, assembly, deadlines);
  onTestFinished(() => probes.close());
  return {
    notices,
    deadlines,
    probes,
    server: (name: string) => assembly.pools.get('archive')!.server(name)!,
    /** The next probe, whole. */
    probed: async () => {
      deadlines.pass(Number.isFinite(deadlines.next) ? deadlines.next : 0);
      await vi.waitFor(() => expect(deadlines.next).toBe(HOUR), { timeout: 30_000 });
    },
    told: () => notices.items.map(({ level, message, fields }) => [level, message, fields.difference]),
    reload: (next: string) => {
      const wanted = read(next);
      assembly = assemble(wanted, SURROUNDINGS, assembly);
      assembly.commit();
      probes.reconfigure(wanted, assembly);
    },
  };
}

const DIFFERENCE =
  'pool archive: b does not accept calling AE CT1 (1/1/3: rejected permanently by the service user, calling AE title not recognized), a does';

describe('probes on a schedule', () => {
  test('a difference is told once, and once when it is gone', async () => {
    const [a, b] = [await serve(), await serve(rejecting(1, 1, 3))];
    const { probed, told } = run(yamlOf([a, b]));
    await probed();
    expect(told()).toEqual([['warn', 'servers of a pool differ', DIFFERENCE]]);
    await probed();
    expect(told().length).toBe(1);
    b.script = accepting();
    await probed();
    expect(told().slice(1)).toEqual([['info', 'servers of a pool no longer differ', DIFFERENCE]]);
  });

  test('a server that is away or busy for a while is as it was: nothing is told twice', async () => {
    const [a, b] = [await serve(), await serve(rejecting(1, 1, 3))];
    const { probed, told } = run(yamlOf([a, b]));
    await probed();
    for (const script of [rejecting(2, 3, 1), rejecting(1, 1, 3)]) {
      b.script = script;
      await probed();
    }
    await b.refuse();
    await probed();
    await b.restart();
    await probed();
    expect(told().length).toBe(1);
  });

  test('that a server cannot be reached, or is busy, is no difference', async () => {
    const [a, b, c] = [await serve(), await serve(), await serve(rejecting(2, 3, 1))];
    await b.stop();
    const { probed, told } = run(yamlOf([a, b, c]));
    await probed();
    expect(told()).toEqual([]);
  });

  test('counts neither as work nor against the health of a server', async () => {
    const [a, b] = [await serve(), await serve(rejecting(1, 1, 3))];
    const { probed, server } = run(yamlOf([a, b]));
    await probed();
    expect(
      [server('a'), server('b')].map(({ totals, active, state }) => ({ ...totals, active, state })),
    ).toEqual(Array(2).fill({ connections: 0, failures: 0, active: 0, state: 'up' }));
  });

  test('the last slot of a server is for work', async () => {
    const [a, b] = [await serve(), await serve()];
    const { probed, server } = run(yamlOf([a, b], { server: ', maxConnections: 2' }));
    server('a').acquire();
    await probed();
    expect([a.associations.length, b.associations.length]).toEqual([0, 3]);
    server('a').release();
    await probed();
    expect(a.associations.length).toBe(3);
  });

  test('a server that an operator halted is left alone', async () => {
    const [a, b] = [await serve(), await serve()];
    const { probed, server } = run(yamlOf([a, b]));
    server('a').halt();
    await probed();
    expect([a.associations.length, b.associations.length]).toEqual([0, 3]);
  });

  test('off unless it is configured; a reload switches it on and off', async () => {
    const a = await serve();
    const off = yamlOf([a], { probe: '' });
    const { deadlines, reload, probed } = run(off);
    expect(deadlines.next).toBe(Infinity);
    reload(yamlOf([a]));
    await probed();
    expect(a.associations.length).toBe(3);
    reload(off);
    expect(deadlines.next).toBe(Infinity);
  });

  test('a reload changes the interval; servers that are new are asked with the next probe', async () => {
    const [a, b] = [await serve(), await serve()];
    const { deadlines, reload, probed } = run(yamlOf([a]));
    await probed();
    reload(yamlOf([a, b], { probe: 'probe: { interval: 30m }' }));
    expect([deadlines.next, b.associations.length]).toEqual([HOUR / 2, 0]);
    reload(yamlOf([a, b]));
    await probed();
    expect([a.associations.length, b.associations.length]).toEqual([6, 3]);
  });

  test('in a balancer: the log tells, and stopping ends what is under way', async () => {
    const [a, b] = [await serve(), await serve(rejecting(1, 1, 3))];
    await using balancer = await startTestBalancer(yamlOf([a, b]));
    expect((await balancer.notices.find(({ level }) => level === 'warn')).fields.difference).toBe(DIFFERENCE);
    const changes = await balancer.apply(yamlOf([a, b], { probe: '' }));
    expect(changes).toEqual([{ kind: 'probe', name: 'probe', what: 'removed' }]);
    await balancer.stop();
  });
});
