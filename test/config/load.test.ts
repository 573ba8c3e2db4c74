import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { formatFault } from '../../src/config/fault.ts';
import { loadConfiguration, readConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';

const FIXTURES = new URL('../../fixtures/config/', import.meta.url).pathname;
const ENVIRONMENT = { GANTRY_TEST_TOKEN: 'not-a-real-token' };

function faultsIn(text: string): string[] {
  const { faults } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  return (faults ?? []).map(formatFault);
}

function load(name: string): Configuration {
  const { configuration, faults } = loadConfiguration(join(FIXTURES, name), ENVIRONMENT);
  expect((faults ?? []).map(formatFault)).toEqual([]);
  return configuration!;
}

describe('configuration: file:line:col of every fault', () => {
  // Each file ends with the faults that it has, as comments.
  for (const name of readdirSync(join(FIXTURES, 'invalid'))) {
    it(name.replace('.yaml', '').replaceAll('-', ' '), () => {
      const path = join(FIXTURES, 'invalid', name);
      const wanted = readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('# fault '))
        .map((line) => `${path}:${line.slice('# fault '.length)}`);
      const { faults } = loadConfiguration(path, {});
      expect((faults ?? []).map(formatFault)).toEqual(wanted);
      expect(wanted).not.toEqual([]);
    });
  }
});

describe('configuration: unreadable file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-config-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('that is not there', () => {
    const { faults } = loadConfiguration('no/such/file.yaml', {});
    expect(faults?.map(formatFault)).toEqual([
      'no/such/file.yaml:1:1: configuration: cannot be read: there is no such file',
    ]);
  });

  it('that is a folder', () => {
    const { faults } = loadConfiguration(folder, {});
    expect(faults?.map(formatFault)).toEqual([
      `${folder}:1:1: configuration: cannot be read: it is a folder`,
    ]);
  });

  it('that is not text', () => {
    const path = join(folder, 'latin1.yaml');
    writeFileSync(path, Buffer.from([0x61, 0x3a, 0x20, 0xe9, 0x0a]));
    const { faults } = loadConfiguration(path, {});
    expect(faults?.map(formatFault)).toEqual([
      `${path}:1:1: configuration: cannot be read: it is not UTF-8 text`,
    ]);
  });

  it('a secret from a file is its content, relative to the configuration', () => {
    const path = join(folder, 'gantry.yaml');
    writeFileSync(join(folder, 'token'), 'not-a-real-token\n');
    const rest = 'pools: { a: { servers: [10.0.0.1:104] } }\nvips: {}\n';
    writeFileSync(path, `admin: { token: file:token }\n${rest}`);
    expect(loadConfiguration(path, {}).configuration?.admin?.token).toBe('not-a-real-token');
    writeFileSync(join(folder, 'token'), '\n');
    expect(loadConfiguration(path, {}).faults?.map(formatFault)).toEqual([
      `${path}:1:17: admin.token: the file is empty`,
    ]);
  });
});

describe('configuration: faults of several kinds come all at once', () => {
  it('an unknown key, a wrong type, a missing pool, a duplicate listener and a bad duration', () => {
    const text = [
      'colour: red',
      'pools:',
      '  archive: { servers: [10.0.0.1:104], slowStart: soon }',
      'vips:',
      '  A: { protocol: dicom, listen: 10.0.0.4:104, pool: archve }',
      '  B: { protocol: hl7, listen: 10.0.0.4:104, pool: archive, hl7: [] }',
      '',
    ].join('\n');
    expect(faultsIn(text)).toEqual([
      'f.yaml:1:1: colour: is not a key here: there are version, admin, log, table, timeouts, trustedProxies, pools, vips, probe, layer4',
      'f.yaml:3:50: pools.archive.slowStart: "soon" is not a duration: 500ms, 5s, 30m or 72h would be right',
      'f.yaml:5:53: vips.A.pool: there is no pool "archve": did you mean "archive"?',
      'f.yaml:6:31: vips.B.listen: A listens on 10.0.0.4:104 already: a port of its own would be right',
      'f.yaml:6:65: vips.B.hl7: is a list: a record would be right',
    ]);
  });

  it('a fault in a list keeps the places of what follows right', () => {
    const text = [
      'pools: { a: { servers: [10.0.0.1:104] } }',
      'vips:',
      '  A:',
      '    protocol: dicom',
      '    listen: 127.0.0.1:0',
      '    routes:',
      '      - { when: [], pool: a }',
      '      - { when: { called: A }, pool: b }',
    ].join('\n');
    expect(faultsIn(text)).toEqual([
      'f.yaml:7:17: vips.A.routes[1].when: is a list: a record would be right',
      'f.yaml:8:38: vips.A.routes[2].pool: there is no pool "b": there are a',
    ]);
  });

  it('a pool that no VIP uses is a warning, not a fault', () => {
    const text = 'pools: { a: { servers: [10.0.0.1:104] } }\nvips: {}\n';
    const { configuration, warnings } = readConfiguration(text, { file: 'f.yaml', environment: {} });
    expect(configuration).toBeDefined();
    expect(warnings.map(formatFault)).toEqual(['f.yaml:1:10: pools.a: no VIP uses this pool']);
  });

  it.each([
    [
      'aliases of aliases',
      `a: &a [${'x,'.repeat(60)}]\nb: &b [${'*a,'.repeat(60)}]\nc: [${'*b,'.repeat(60)}]\n`,
    ],
    ['an alias of what it is in', 'pools: &p { a: *p }\n'],
    ['lists in lists', `pools: ${'['.repeat(5000)}`],
    ['a key that is a list', 'pools: { [a]: b }\n'],
    [
      'a key that objects have anyway',
      'pools: { __proto__: { servers: [a] }, constructor: {}, toString: 1 }\n',
    ],
    ['several documents', 'version: 1\n---\nversion: 1\n'],
    ['a tag of YAML', 'version: !!int 1\n'],
  ])('%s: faults, not a crash', (_name, text) => {
    expect(faultsIn(text).length).toBeGreaterThan(0);
  });
});

describe('configuration: what a file says', () => {
  it('the smallest file has the defaults of the contract', () => {
    const { pools, vips, ...rest } = load('valid/smallest.yaml');
    expect(rest).toEqual({
      admin: { listen: { host: '127.0.0.1', port: 9090 } },
      log: { level: 'info', hashUids: false },
      table: { kind: 'memory', file: undefined },
      drain: 60_000,
      layer4: { onStop: 'keep' },
    });
    expect(pools).toEqual([
      {
        name: 'archive',
        balance: 'least-busy',
        servers: [{ name: '10.0.0.11:104', host: '10.0.0.11', port: 104, weight: 1, backup: false }],
        mode: 'shared',
        failBack: false,
        health: {
          check: 'connect',
          interval: 5000,
          timeout: 3000,
          rise: 2,
          fall: 3,
          startDown: false,
        },
        slowStart: 0,
        panic: 0,
        hl7: { connections: 8, release2: false },
        drain: 60_000,
        link: {},
      },
    ]);
    expect(vips).toEqual([
      {
        name: 'ARCHIVE',
        mode: 'proxy',
        protocol: 'dicom',
        source: undefined,
        listen: [{ host: '127.0.0.1', port: 11112 }],
        routes: [],
        pool: 'archive',
        persistence: undefined,
        tls: undefined,
        proxyProtocol: false,
        trustedProxies: [],
        handshakeTimeout: 10_000,
        urgent: { reserve: 0, fromOrders: [] },
        limits: {},
        dicom: {
          route: 'association',
          storage: 'shared',
          replay: { perInstance: 64 * 2 ** 20, total: 512 * 2 ** 20 },
          tags: [],
          egress: undefined,
          wait: 3000,
          whenUnavailable: 'reject',
          ignoreCase: false,
          clients: {},
          timeouts: {
            request: 30_000,
            connect: 2000,
            accept: 5000,
            stall: 60_000,
            idle: 1_800_000,
            release: 5000,
          },
        },
      },
    ]);
  });

  it('an HL7 VIP has the defaults of the contract', () => {
    const text =
      'pools: { a: { servers: [10.0.0.1] } }\nvips: { R: { protocol: hl7, listen: 127.0.0.1:0, pool: a } }\n';
    const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
    const vip = configuration?.vips[0];
    expect(vip?.protocol === 'hl7' && vip.hl7).toEqual({
      store: undefined,
      order: 'patient',
      senderTimeout: { default: 5000, byApplication: {} },
      ackTimeout: undefined,
      ackMatch: 'strict',
      onAmbiguous: 'hold',
      whenUnavailable: 'close',
      duplicates: { ms: 600_000, entries: 200_000 },
      pipeline: 1,
      release2: false,
      maxFrame: 64 * 1024 * 1024,
      startBlock: 0x0b,
      endBlock: 0x1c,
      patient: {},
      accession: ['IPC-1', 'OBR-18', 'OBR-3.1'],
      timeouts: { connect: 2000, stall: 60_000, idle: undefined },
    });
  });

  it('every key that is built', () => {
    const { admin, log, drain, pools, vips } = load('valid/hospital.yaml');
    expect(admin).toEqual({ listen: { host: '127.0.0.1', port: 9090 }, token: 'not-a-real-token' });
    expect([log, drain]).toEqual([{ level: 'debug', hashUids: true }, 90_000]);
    const [archive, ct, ris] = pools;
    expect(archive).toMatchObject({
      slowStart: 30_000,
      panic: 0.25,
      health: { check: 'dicom-echo', called: 'ARCHIVE' },
    });
    expect(archive?.servers).toMatchObject([
      { name: 'pacs-a', weight: 2, maxConnections: 40 },
      { name: 'pacs-b', ae: 'ARCHIVE2' },
      { name: 'spare', host: 'fd00::13', port: 11112, backup: true },
    ]);
    expect(ct).toMatchObject({
      persistence: { by: [] },
      health: { port: 105, address: '10.0.0.99', startDown: true },
    });
    expect(ris?.servers).toMatchObject([{ name: '10.0.0.31', port: undefined }, { port: 2310 }]);
    const [dicom, hl7] = vips;
    expect(dicom).toMatchObject({
      persistence: {
        by: ['calling', 'source-ip'],
        ttl: 7_200_000,
        size: 5000,
        netmask: 24,
        share: 'modalities',
      },
      limits: { associations: 200, perCalling: 20, perServer: 100 },
      dicom: {
        wait: 1500,
        clients: { CT1: ['10.1.0.0/16'], '0012': ['10.2.0.1'] },
        timeouts: { request: 10_000, connect: 1000, stall: 30_000, idle: 1_200_000, release: 5000 },
      },
    });
    expect(dicom?.routes[1]).toMatchObject({ pool: 'ct', urgent: false });
    expect(dicom?.routes[4]?.when).toEqual({
      facts: [],
      not: undefined,
      any: [
        { facts: [{ name: 'called', patterns: ['A'] }], not: undefined, any: undefined },
        {
          facts: [{ name: 'called', patterns: ['B'] }],
          not: {
            facts: [{ name: 'client', patterns: ['10.2.0.0/16', 'fd00::/8'] }],
            not: undefined,
            any: undefined,
          },
          any: undefined,
        },
      ],
    });
    expect(dicom?.routes[5]).toMatchObject({ pool: undefined, reject: 'called-ae-not-recognized' });
    expect(hl7).toMatchObject({
      pool: undefined,
      persistence: { by: ['patient'], ttl: 1_800_000 },
      hl7: {
        order: 'sender',
        senderTimeout: { default: 4000, byApplication: { LAB: 20_000 } },
        whenUnavailable: 'AE',
        startBlock: 2,
        endBlock: 3,
        patient: { types: ['MR'] },
        accession: ['OBR-18', 'OBR-3.1'],
        timeouts: { stall: 60_000, idle: 1_200_000 },
      },
    });
  });

  it('a rule without a pool of its own goes to the pool of its VIP', () => {
    expect(load('valid/hospital.yaml').vips[0]?.routes[3]).toMatchObject({ pool: 'archive', urgent: true });
  });

  it('a value is its source text: 0012 stays 0012', () => {
    expect(load('valid/hospital.yaml').vips[0]?.routes[3]?.when.facts).toEqual([
      { name: 'calling', patterns: ['0012'] },
    ]);
  });

  it('anchors, aliases and merge keys', () => {
    const { pools } = load('valid/anchors.yaml');
    expect(pools.map(({ balance, health }) => [balance, health.check])).toEqual([
      ['least-busy', 'none'],
      ['first', 'none'],
      ['least-busy', 'none'],
    ]);
  });

  it('JSON is YAML too; port 0 never conflicts', () => {
    const { admin, pools, vips } = load('valid/in-json.yaml');
    expect(admin).toBeUndefined();
    expect(pools[0]?.panic).toBe(0.5);
    expect(vips[0]?.listen).toHaveLength(2);
  });

  it('a doubled dollar is a dollar, not a variable', () => {
    const text =
      'pools: { a: { servers: [10.0.0.1] } }\nvips:\n  V:\n    protocol: dicom\n    listen: 127.0.0.1:0\n    pool: a\n    routes: [{ when: { called: "$${X}" }, urgent: true }]\n';
    const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
    expect(configuration?.vips[0]?.routes[0]?.when.facts[0]?.patterns).toEqual([`$\{X}`]);
  });
});
