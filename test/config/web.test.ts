import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { vipRows } from '../../src/cli/vips.ts';
import { formatFault } from '../../src/config/fault.ts';
import { loadConfiguration, readConfiguration } from '../../src/config/load.ts';
import type { Configuration, HttpVip, TcpVip } from '../../src/config/schema.ts';
import { createAuthority } from '../peers/certificates.ts';

const FIXTURES = new URL('../../fixtures/config/', import.meta.url).pathname;

function load(path: string): Configuration {
  const { configuration, faults, warnings } = loadConfiguration(path, {});
  expect([...(faults ?? []), ...warnings].map(formatFault)).toEqual([]);
  return configuration!;
}

function read(text: string) {
  return readConfiguration(text, { file: 'f.yaml', environment: {} });
}

const web = load(join(FIXTURES, 'valid/web.yaml'));
const pool = (name: string) => web.pools.find((one) => one.name === name)!;
const [portal, app] = web.vips as [HttpVip, TcpVip];

describe('the example of the manual', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-contract-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('loads whole, and without a warning', async () => {
    const authority = await createAuthority();
    const { cert, key } = await authority.issue({ names: ['archive.example'] });
    const files = { 'server.pem': cert, 'server.key': key, 'ca.pem': authority.ca };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    writeFileSync(join(folder, 'gantry.yaml'), readFileSync(join(FIXTURES, 'contract.yaml')));
    const configuration = load(join(folder, 'gantry.yaml'));
    expect(configuration.table).toEqual({ kind: 'memory', file: join(folder, 'state/table') });
    expect(vipRows(configuration)).toEqual(
      [
        ['ARCHIVE', 'proxy', 'dicom', [104, 11112], 'calling', 'dicom-echo'],
        ['ARCHIVE_TLS', 'proxy', 'dicom', [2762], 'none', 'dicom-echo'],
        ['RIS', 'proxy', 'hl7', [2310, 2311], 'patient', 'connect'],
        ['PORTAL', 'proxy', 'http', [80], 'cookie', 'https'],
        ['chat', 'backend', 'http', [], 'none', 'connect'],
        ['CLIENT', 'proxy', 'tcp', [80, 443, 2104], 'source-ip', 'connect'],
        ['DIRECT', 'dr', null, [104], 'source-ip', 'connect'],
      ].map(([name, mode, protocol, ports, persistence, health]) => ({
        ...{ name, mode, protocol, ports, persistence, health },
      })),
    );
  });
});

describe('protocol http', () => {
  it('what a rule does beside choosing a pool, in the place of the rule', () => {
    expect(portal.http.actions).toEqual([
      { paths: ['/a/*', '~^/b/(.*)$'], rewrite: '/x/$1' },
      { paths: ['/old/*'], redirect: { to: 'https://new.example/$1', status: 308 } },
      { paths: [], redirect: { to: '/moved', status: 302 } },
      {
        paths: ['/robots.txt'],
        respond: { status: 200, body: 'User-agent: *\nDisallow: /\n', type: 'text/plain; charset=utf-8' },
      },
      { paths: [], respond: { status: 503, body: '<p>Later</p>', type: 'text/html' } },
      { paths: [] },
      { paths: [] },
    ]);
    expect(portal.routes.map(({ pool: name, reject }) => name ?? reject)).toEqual([
      'web',
      'redirect',
      'redirect',
      'respond',
      'respond',
      '403',
      'again',
    ]);
  });

  it('headers, limits and time-outs: the VIP before the top', () => {
    expect(portal.http).toMatchObject({
      headers: {
        request: { set: { 'X-Site': 'north' }, add: { 'Via-Note': 'a b' }, remove: ['X-Debug'] },
        response: { set: {}, add: {}, remove: ['Server', 'X-Powered-By'] },
      },
      forwarded: 'replace',
      limits: { headers: 16_384, body: 2 ** 31, connections: 5000 },
      timeouts: {
        request: 10_000,
        stall: 20_000,
        response: 30_000,
        idle: 300_000,
        connect: 1000,
        queue: 0,
        tunnel: 3_600_000,
      },
    });
    expect([portal.proxyProtocol, portal.trustedProxies]).toEqual([true, ['10.8.0.1', 'fd00::/8']]);
  });

  it('the defaults of the manual', () => {
    const { configuration } = read(
      'pools: { a: { servers: [10.0.0.1] } }\nvips: { V: { protocol: http, listen: 127.0.0.1:0, pool: a } }\n',
    );
    expect((configuration!.vips[0] as HttpVip).http).toEqual({
      actions: [],
      headers: { request: { set: {}, add: {}, remove: [] }, response: { set: {}, add: {}, remove: [] } },
      forwarded: 'append',
      limits: { headers: 32_768 },
      timeouts: {
        request: 30_000,
        stall: 60_000,
        response: 120_000,
        idle: 60_000,
        connect: 2000,
        queue: 5000,
        tunnel: 259_200_000,
      },
    });
  });

  it('the body of an answer may come from a file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'gantry-body-'));
    writeFileSync(join(folder, 'closed.html'), '<p>Closed\n');
    const text =
      'pools: {}\nvips: { V: { protocol: http, listen: 127.0.0.1:0, routes: [{ when: { path: "*" }, respond: { status: 503, body: file:closed.html } }] } }\n';
    const { configuration } = readConfiguration(text, { file: join(folder, 'f.yaml') });
    rmSync(folder, { recursive: true });
    expect((configuration!.vips[0] as HttpVip).http.actions[0]?.respond?.body).toBe('<p>Closed\n');
  });
});

describe('protocol tcp', () => {
  it('limits, time-outs, and whether the server name is looked for', () => {
    expect(app.tcp).toEqual({
      limits: { connections: 100 },
      timeouts: { connect: 1000, queue: 1000, idle: 300_000 },
      peeksSni: true,
    });
    expect([app.proxyProtocol, app.trustedProxies, app.handshakeTimeout]).toEqual([
      false,
      ['10.9.0.0/16'],
      10_000,
    ]);
    expect(app.routes.map(({ pool: name, reject }) => name ?? reject)).toEqual(['close', 'further']);
  });

  it.each([
    ['nobody asks', '', false],
    ['a rule asks', 'routes: [{ when: { any: [{ sni: a }] }, pool: a }],', true],
    ['persistence asks', 'persistence: { by: [sni, source-ip] },', true],
    ['a pool that a rule reaches asks', 'routes: [{ when: { port: 1 }, pool: b }],', true],
  ])('the server name is looked for when something asks for it: %s', (_name, keys, wanted) => {
    const { configuration } = read(
      `pools: { a: { servers: [10.0.0.1] }, b: { servers: [10.0.0.1], persistence: sni } }\nvips: { V: { protocol: tcp, ${keys} listen: 127.0.0.1:0, pool: a } }\n`,
    );
    expect((configuration!.vips[0] as TcpVip).tcp).toEqual({
      limits: {},
      timeouts: { connect: 2000, queue: 5000, idle: 259_200_000 },
      peeksSni: wanted,
    });
  });
});

describe('pools', () => {
  it('how their servers are spoken to', () => {
    expect([pool('web').drain, pool('one').drain, web.drain]).toEqual([10_000, 90_000, 90_000]);
    expect(pool('web').link).toEqual({ proxyProtocol: 2, connectTimeout: 500, responseTimeout: 300_000 });
    expect(pool('one')).toMatchObject({ mode: 'single-active', failBack: true, link: { proxyProtocol: 1 } });
  });

  it('persistence by cookie, and by something else for who brings none', () => {
    expect(pool('web').persistence).toEqual({
      by: ['cookie', 'source-ip'],
      ttl: 3_600_000,
      size: 200_000,
      netmask: 24,
      cookie: { name: 'AFFINITY', key: 'an-invented-secret' },
    });
  });

  it.each([
    ['cookie', { by: ['cookie'], cookie: { name: 'SRV' } }],
    ['{ by: [header.X-Site, none] }', undefined],
    ['source-ip', { by: ['source-ip'] }],
    ['none', { by: [] }],
  ])('persistence: %s', (written, wanted) => {
    const { configuration } = read(
      `pools: { a: { servers: [10.0.0.1], persistence: ${written} } }\nvips: { V: { protocol: http, listen: 127.0.0.1:0, pool: a } }\n`,
    );
    const defaults = { ttl: 1_800_000, size: 200_000 };
    expect(configuration?.pools[0]?.persistence).toEqual(wanted && { ...defaults, ...wanted });
  });

  it('a check over http, and an agent asked as often', () => {
    expect(pool('web').health).toEqual({
      check: 'http',
      timeout: 3000,
      method: 'GET',
      path: '/health?full=1',
      host: 'portal.example:8080',
      status: [
        { from: 200, to: 200 },
        { from: 301, to: 302 },
      ],
      body: '/ready|UP/',
      json: [
        { path: ['status'], patterns: ['UP'] },
        { path: ['disks', 0, 'free'], patterns: ['/^[1-9]/', 'many'] },
      ],
      interval: 5000,
      rise: 2,
      fall: 3,
      startDown: false,
      agent: { port: 3333, interval: 5000 },
    });
  });

  it('all and any: what the whole says of address and time holds for the parts that say nothing else', () => {
    expect(pool('one').health).toEqual({
      check: 'all',
      timeout: 4000,
      port: 8443,
      interval: 10_000,
      rise: 2,
      fall: 3,
      startDown: true,
      parts: [
        { check: 'ping', address: '10.0.0.99', port: 8443, timeout: 4000 },
        {
          check: 'any',
          port: 8443,
          timeout: 4000,
          parts: [
            { check: 'connect', port: 80, timeout: 4000 },
            {
              check: 'script',
              script: join(FIXTURES, 'valid/checks/app.sh'),
              port: 8443,
              timeout: 9000,
            },
          ],
        },
        {
          check: 'hl7',
          message: 'MSH|^~\\&|GANTRY|X|RIS|Y|20260101||NMD^N02|1|P|2.5\rNST|Y',
          port: 8443,
          timeout: 4000,
        },
      ],
    });
  });

  it('track: over several pools, by name, else by address, with the times and counts of the one that is checked', () => {
    expect(pool('again').health).toEqual({
      check: 'track',
      pool: 'web',
      servers: { 'web-a': 'web-a', b: 'web-b' },
      timeout: 3000,
      interval: 5000,
      rise: 2,
      fall: 3,
      startDown: false,
      agent: { port: 3334, interval: 1000 },
    });
    expect(pool('further').health).toMatchObject({
      servers: { 'web-a': 'web-a', '10.0.0.42:81': 'web-b' },
    });
  });

  it('track: step by step, as each pool names its servers', () => {
    const { configuration } = read(`
pools:
  first: { servers: [{ name: x, address: 10.0.0.1 }], health: { track: second } }
  second: { servers: [{ name: y, address: 10.0.0.1 }], health: { track: third } }
  third: { servers: [{ name: y, address: 10.0.0.2 }, { name: z, address: 10.0.0.1 }] }
vips: {}
`);
    expect(configuration?.pools[0]?.health).toMatchObject({ pool: 'third', servers: { x: 'y' } });
  });
});

describe('warnings', () => {
  const vip = (keys: string) =>
    `pools: { a: { servers: [10.0.0.1], mode: single-active } }\nvips:\n  V: { protocol: http, listen: 127.0.0.1:0, pool: a, ${keys} }\n`;

  it.each([
    [
      vip('proxyProtocol: true'),
      '3:54: vips.V.proxyProtocol: without `trustedProxies`, whoever connects may claim any address',
    ],
    [
      vip('routes: [{ when: { path: "/^\\\\/api/" }, reject: 404 }]'),
      '3:73: vips.V.routes[1].when.path: is taken as it is: a regular expression for `path` begins with "~"',
    ],
    [
      vip('forwarded: off').replace('active }', 'active, persistence: cookie }'),
      '1:57: pools.a.persistence: changes nothing: one server of this pool has all the work',
    ],
  ])('%#', (text, warning) => {
    const { warnings, faults } = read(text);
    expect(faults?.map(formatFault)).toBeUndefined();
    expect(warnings.map(formatFault)).toEqual([`f.yaml:${warning}`]);
  });
});
