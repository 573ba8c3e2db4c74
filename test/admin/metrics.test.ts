import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { QueueDocument, StatusDocument } from '../../src/admin/documents.ts';
import { metricsText } from '../../src/admin/metrics.ts';
import { layer4Status } from './layer4-status.ts';

const server = (name: string, state: 'up' | 'down'): StatusDocument['pools'][0]['servers'][0] => ({
  name,
  address: '127.0.0.1:1104',
  state,
  since: '2026-01-01T00:00:00.000Z',
  reason: 'the check said so',
  weight: 1,
  active: 2,
  totals: { connections: 5, failures: 1 },
});

const status: StatusDocument = {
  version: '0.1.0',
  uptime: 12,
  vips: ['ORDERS', 'ARCHIVE'].map((name, index) => ({
    name,
    protocol: index === 0 ? 'hl7' : 'dicom',
    mode: 'proxy',
    listen: ['127.0.0.1:2310'],
    pool: 'ris',
    persistence: 'none',
    connections: 3 + index,
    totals: { connections: 7, ...(index === 0 ? { messages: 10, maybeTwice: 1 } : {}) },
  })),
  pools: [
    {
      name: 'ris',
      balance: 'least-busy',
      health: 'connect',
      mode: 'shared',
      activeServer: null,
      servers: [server('a', 'up'), server('b', 'down')],
    },
  ],
};

const queue: QueueDocument = {
  vip: 'ORDERS',
  file: '/var/lib/gantry/orders',
  isReadable: true,
  messages: 5,
  bytes: 5000,
  taken: 1,
  held: 2,
  oldest: '2026-01-01T00:00:00.000Z',
  age: 61,
  fileBytes: 65536,
  stored: 100,
  delivered: 95,
  storedPerSecond: 1.5,
  deliveredPerSecond: 2,
};

interface Metric {
  readonly type: string;
  readonly samples: Map<string, number>;
}

const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,(?=[a-zA-Z_]))?)+\})? (\S+)$/;

/** Reads the text format strictly: one HELP and one TYPE for each metric, before its samples, all of them together. */
function parse(text: string): Map<string, Metric> {
  expect(text).toMatch(/\n$/);
  const metrics = new Map<string, Metric>();
  let [helped, current] = ['', ''];
  for (const line of text.slice(0, -1).split('\n')) {
    const [, comment, name = '', rest = ''] = /^# (HELP|TYPE) ([a-z0-9_]+) (.+)$/.exec(line) ?? [];
    if (comment === 'HELP') {
      expect([name, metrics.has(name)]).toEqual([name, false]);
      helped = name;
    } else if (comment === 'TYPE') {
      expect([name, metrics.has(name)]).toEqual([helped, false]);
      expect(rest).toMatch(/^(?:counter|gauge)$/);
      expect(name.endsWith('_total')).toBe(rest === 'counter');
      metrics.set(name, { type: rest, samples: new Map() });
      current = name;
    } else {
      const [, sampled = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      expect([line, sampled]).toEqual([line, current]);
      const { samples } = metrics.get(current)!;
      expect([line, samples.has(labels)]).toEqual([line, false]);
      expect([line, value]).toEqual([line, String(Number(value))]);
      samples.set(labels, Number(value));
    }
  }
  return metrics;
}

test('every metric is one group, with its help and type', () => {
  const metrics = parse(metricsText(status, [queue, { ...queue, vip: 'RESULTS', held: 0 }]));
  const sample = (name: string, labels: string) => metrics.get(name)?.samples.get(labels);
  expect(sample('gantry_info', '{version="0.1.0"}')).toBe(1);
  expect(sample('gantry_vip_open_connections', '{vip="ARCHIVE",protocol="dicom"}')).toBe(4);
  expect(sample('gantry_vip_messages_total', '{vip="ORDERS",protocol="hl7"}')).toBe(10);
  expect(sample('gantry_vip_maybe_twice_total', '{vip="ORDERS",protocol="hl7"}')).toBe(1);
  expect(sample('gantry_server_state', '{pool="ris",server="b",state="down"}')).toBe(1);
  expect(sample('gantry_server_state', '{pool="ris",server="b",state="up"}')).toBe(0);
  expect(sample('gantry_server_failures_total', '{pool="ris",server="a"}')).toBe(1);
  expect(sample('process_resident_memory_bytes', '')).toBeGreaterThan(1e6);
  const ofQueue = [...metrics].filter(([name]) => name.startsWith('gantry_queue_'));
  expect(
    Object.fromEntries(ofQueue.map(([name, { samples }]) => [name, samples.get('{vip="ORDERS"}')])),
  ).toEqual({
    gantry_queue_readable: 1,
    gantry_queue_messages: 5,
    gantry_queue_bytes: 5000,
    gantry_queue_taken: 1,
    gantry_queue_held: 2,
    gantry_queue_oldest_age_seconds: 61,
    gantry_queue_file_bytes: 65536,
    gantry_queue_stored_total: 100,
    gantry_queue_delivered_total: 95,
  });
  expect(sample('gantry_queue_held', '{vip="RESULTS"}')).toBe(0);
});

test('an empty queue has waited for 0 s; of one that cannot be read there is no depth', () => {
  const empty = parse(metricsText(status, [{ ...queue, messages: 0, oldest: null, age: null }]));
  expect(empty.get('gantry_queue_oldest_age_seconds')?.samples.get('{vip="ORDERS"}')).toBe(0);
  const nothing = { messages: null, bytes: null, taken: null, held: null, fileBytes: null };
  const lost = parse(
    metricsText(status, [{ ...queue, ...nothing, isReadable: false, oldest: null, age: null }]),
  );
  expect(lost.get('gantry_queue_readable')?.samples.get('{vip="ORDERS"}')).toBe(0);
  expect([...lost.keys()].filter((name) => name.startsWith('gantry_queue_'))).toEqual([
    'gantry_queue_readable',
    'gantry_queue_stored_total',
    'gantry_queue_delivered_total',
  ]);
});

test('layer 4: what was forwarded, by VIP and server; what was not counted yet is not there', () => {
  const metrics = parse(metricsText(layer4Status, []));
  const sample = (name: string, labels: string) => metrics.get(name)?.samples.get(labels);
  const eis = '{vip="EIS",pool="eis",server="eis-a"}';
  expect(sample('gantry_layer4_connections_total', eis)).toBe(2140);
  expect(sample('gantry_layer4_packets_total', eis)).toBe(256_800);
  expect(sample('gantry_layer4_bytes_total', eis)).toBe(321_000_000);
  expect(sample('gantry_layer4_flows', eis)).toBe(41);
  expect(sample('gantry_vip_open_connections', '{vip="EIS",protocol="dr"}')).toBe(44);
  expect(sample('gantry_vip_bytes_total', '{vip="EIS",protocol="dr"}')).toBe(4128 * 150_000);
  expect(sample('gantry_server_bytes_total', '{pool="eis",server="eis-a"}')).toBe(321_000_000);
  expect([...metrics.get('gantry_layer4_flows')!.samples.keys()]).toEqual([
    '{vip="EIS",pool="eis",server="eis-a"}',
    '{vip="EIS",pool="eis",server="eis-b"}',
    '{vip="PORTAL",pool="web",server="web-a"}',
    '{vip="PORTAL",pool="web",server="web-b"}',
  ]);
  expect(sample('gantry_layer4_packets_total', '{vip="WORKLIST",pool="web",server="web-a"}')).toBe(0);
});

test('any name is a label', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', '\\', '\n', '\r', '\u2028', '{', 'n', 'é') }),
      (name) => {
        const [vip] = status.vips;
        const { samples } = parse(
          metricsText({ ...status, vips: [{ ...vip!, name }], pools: [] }, [{ ...queue, vip: name }]),
        ).get('gantry_queue_held')!;
        const [labels = ''] = samples.keys();
        const read = labels.slice('{vip="'.length, -'"}'.length);
        expect(read.replace(/\\(.)/gs, (_, one: string) => (one === 'n' ? '\n' : one))).toBe(name);
      },
    ),
  );
});
