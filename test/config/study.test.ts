/** Study routing and urgent work: what a file says. Its faults are in fixtures/config/invalid. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { vipRows } from '../../src/cli/vips.ts';
import { formatFault } from '../../src/config/fault.ts';
import { loadConfiguration, readConfiguration } from '../../src/config/load.ts';
import type { DicomVip } from '../../src/config/schema.ts';

const MIB = 2 ** 20;
const HOUR = 3_600_000;

function vipsOf(text: string): DicomVip[] {
  const { configuration, faults } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  expect((faults ?? []).map(formatFault)).toEqual([]);
  return configuration!.vips as DicomVip[];
}

describe('fixtures/config/valid/study.yaml', () => {
  const path = new URL('../../fixtures/config/valid/study.yaml', import.meta.url).pathname;
  const { configuration, faults, warnings } = loadConfiguration(path, {});
  const [nodes, archives, again] = (configuration?.vips ?? []) as DicomVip[];

  it('is good, and without a warning', () => {
    expect([...(faults ?? []), ...warnings].map(formatFault)).toEqual([]);
  });

  it('what is routed, kept for another server, and where servers call', () => {
    expect(nodes!.dicom).toMatchObject({
      route: 'study',
      storage: 'shared',
      replay: { perInstance: 1024 * MIB, total: 2048 * MIB },
      egress: {
        listen: [
          { host: '10.0.0.4', port: 105 },
          { host: 'fd00::4', port: 105 },
        ],
        destinations: {
          CT1: { host: '10.1.0.1', port: 104 },
          '0012': { host: 'ct2.example', port: 11112 },
        },
      },
    });
    expect(nodes!.urgent).toEqual({ reserve: 1, fromOrders: ['RIS'] });
  });

  it('tags that rules, inside `not` and `any` too, and persistence ask for: each once, in order', () => {
    expect(nodes!.dicom.tags).toEqual(['(0008,0052)', '(0008,103E)', '(0020,0010)']);
    expect(archives!.dicom.tags).toEqual([]);
  });

  it('separate archives keep their studies for ever, in the table that they share', () => {
    const kept = { by: ['study'], ttl: Infinity, size: 2_000_000, share: 'studies' };
    expect(archives!.persistence).toMatchObject(kept);
    expect(again!.persistence).toMatchObject(kept);
    expect(configuration!.table).toEqual({ kind: 'memory', file: join(path, '../state/table') });
  });

  it('the VIP table says what brings work back', () => {
    const rows = vipRows(configuration!).map(({ name, persistence }) => [name, persistence]);
    expect(rows).toContainEqual(['NODES', 'study, (0020,0010), calling']);
    expect(rows).toContainEqual(['ARCHIVES', 'study']);
  });
});

describe('the defaults of study routing', () => {
  const text = (dicom: string, more = '') => `
table: { memory: { file: t } }
pools: { a: { servers: [10.0.0.1:104] } }
vips: { A: { protocol: dicom, listen: 127.0.0.1:0, pool: a, dicom: { ${dicom} }${more} } }
`;

  it('shared storage: by study, for 24 hours', () => {
    const [vip] = vipsOf(text('route: study, storage: shared'));
    expect(vip).toMatchObject({
      persistence: { by: ['study'], ttl: 24 * HOUR, size: 200_000 },
      dicom: { replay: { perInstance: 64 * MIB, total: 512 * MIB }, egress: undefined, tags: [] },
      urgent: { reserve: 0, fromOrders: [] },
    });
  });

  it('separate storage: by study, for ever, and more of them', () => {
    const [vip] = vipsOf(text('route: study, storage: separate'));
    expect(vip!.persistence).toEqual({
      ...{ by: ['study'], ttl: Infinity, size: 2_000_000 },
      ...{ netmask: undefined, share: undefined, cookie: undefined },
    });
    const [smaller] = vipsOf(
      text('route: study, storage: separate', ', persistence: { by: study, size: 1000 }'),
    );
    expect(smaller!.persistence).toMatchObject({ ttl: Infinity, size: 1000 });
  });

  it('what the file says of persistence goes before; what it leaves out is that of studies', () => {
    const of = (persistence: string) =>
      vipsOf(text('route: study, storage: shared', `, persistence: ${persistence}`))[0]!.persistence;
    expect(of('none')).toMatchObject({ by: [] });
    expect(of('patient')).toMatchObject({ by: ['patient'], ttl: HOUR / 2 });
    expect(of('{ by: [study, calling] }')).toMatchObject({ by: ['study', 'calling'], ttl: 24 * HOUR });
    expect(of('{ by: study, ttl: 2h }')).toMatchObject({ by: ['study'], ttl: 2 * HOUR, size: 200_000 });
  });

  it('association routing has none of it', () => {
    const [vip] = vipsOf(text('route: association'));
    expect(vip!.persistence).toBeUndefined();
    expect(vip!.dicom.tags).toEqual([]);
  });

  it('VIPs may share a table when each leaves out the same, or says what the other leaves out', () => {
    const vip = (name: string, persistence: string) =>
      `${name}: { protocol: dicom, listen: 127.0.0.1:0, pool: a, dicom: { route: study, storage: shared }, persistence: ${persistence} }`;
    const both = (other: string) => `
pools: { a: { servers: [10.0.0.1:104] } }
vips: { ${vip('A', '{ by: study, share: s }')}, ${vip('B', other)} }
`;
    vipsOf(both('{ by: study, share: s, ttl: 24h, size: 200000 }'));
    const { faults } = readConfiguration(both('{ by: study, share: s, ttl: 30m }'), { file: 'f.yaml' });
    expect(faults?.map(({ message }) => message)).toEqual([
      'vips.A shares it with another ttl or size: they must be equal',
    ]);
  });

  it('an instance may have all of `total`', () => {
    vipsOf(text('route: study, storage: shared, replay: { perInstance: 1MiB, total: 1MiB }'));
  });

  it('tags that persistence of a pool asks for', () => {
    const [vip] = vipsOf(`
pools: { a: { servers: [10.0.0.1:104], persistence: { by: "(0010,0021)" } } }
vips: { A: { protocol: dicom, listen: 127.0.0.1:0, pool: a, dicom: { route: study, storage: shared } } }
`);
    expect(vip!.dicom.tags).toEqual(['(0010,0021)']);
  });

  it('where the keys of study routing are faulty, facts of messages are no fault of their own', () => {
    const faulty = text('route: studies', ', routes: [{ when: { study: "1" }, pool: a }]');
    const { faults } = readConfiguration(faulty, { file: 'f.yaml' });
    expect(faults?.map(({ path }) => path)).toEqual(['vips.A.dicom.route']);
  });
});

describe('what only follows from another fault is none of its own', () => {
  const vip = (storage: string, more: string, dicom = '') =>
    `A: { protocol: dicom, listen: 127.0.0.1:0, dicom: { route: study, storage: ${storage}${dicom} }, ${more} }`;

  it.each([
    ['a table that is no table', vip('separate', 'pool: a'), 'table: redis', 'table'],
    [
      'destinations that are no addresses',
      vip('shared', 'pool: a', ', egress: { listen: 127.0.0.1:1, destinations: { CT1: here } }'),
      '',
      'vips.A.dicom.egress.destinations.CT1',
    ],
    ['a pool that is not there', vip('shared', 'pool: b, urgent: { reserve: 1 }'), '', 'vips.A.pool'],
    [
      'orders of a VIP without a protocol',
      `${vip('shared', 'pool: a, urgent: { fromOrders: R }')}, R: { listen: 127.0.0.1:0, pool: a }`,
      '',
      'vips.R.protocol',
    ],
    [
      'orders of a VIP that is none',
      `${vip('shared', 'pool: a, urgent: { fromOrders: R }')}, R: []`,
      '',
      'vips.R',
    ],
  ])('%s', (_name, vips, top, path) => {
    const pools = 'pools: { a: { servers: [10.0.0.1:104] } }';
    const { faults } = readConfiguration(`${top}\n${pools}\nvips: { ${vips} }\n`, {
      file: 'f.yaml',
      environment: {},
    });
    expect(faults?.map((fault) => fault.path)).toEqual([path]);
  });
});

it.each([
  ['priority: HIGH', '"HIGH" is no value of "priority": there are high, medium, low'],
  ['command: C-ECHO', '"C-ECHO" is no value of "command": there are C-STORE, C-FIND, C-MOVE, C-GET'],
  ['urgent: yes', '"yes" is no value of "urgent": there are true'],
  ['command: "C-*", priority: /h.*/, urgent: true', undefined],
])('a rule that no message could fit: %s', (when, what) => {
  const rule = `routes: [{ when: { ${when} }, pool: a }], dicom: { route: study, storage: shared }`;
  const { faults = [] } = readConfiguration(
    `version: 1
pools: { a: { servers: [10.0.0.1:104] } }
vips: { A: { protocol: dicom, listen: 127.0.0.1:0, pool: a, ${rule} } }
`,
    { file: 'f.yaml', environment: {} },
  );
  expect(faults.map(formatFault)).toEqual(what === undefined ? [] : [expect.stringContaining(what)]);
});

it('an AE title of dicom.clients that is no regular expression is a fault, with its place', () => {
  const text = `version: 1
pools: { P: { servers: ["10.0.0.1:104"] } }
vips:
  A: { protocol: dicom, listen: ["127.0.0.1:104"], pool: P, dicom: { clients: { "/(/": 10.1.0.0/16 } } }
`;
  const { faults } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  expect(faults!.map(formatFault)).toEqual([
    expect.stringMatching(/^f\.yaml:4:\d+: vips\.A\.dicom\.clients\.\/\(\/: is not a regular expression/),
  ]);
});
