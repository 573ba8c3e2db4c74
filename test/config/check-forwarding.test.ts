/** What `gantry check` says of the servers of VIPs with `mode: dr`, `nat` or `snat`, and of their pools. */
import { describe, expect, it } from 'vitest';
import { type Parts, read, sentences } from './one-vip.ts';

describe('servers', () => {
  it.each([
    [
      'a host name',
      { servers: '[pacs.example]' },
      '"pacs.example" is a name, and mode dr of VIP V needs to know where packets go: an IP address would be right',
    ],
    [
      'another family',
      { servers: '["fd00::11"]' },
      'is IPv6, and VIP V is IPv4: mode dr does not translate between them',
    ],
    [
      'a server address that is the VIP',
      { servers: '[10.0.0.6]' },
      "is the address of VIP V, on this machine: mode dr of VIP V would forward to itself; the server's own would be right",
    ],
    [
      'one of several addresses of the VIP',
      { listen: '["10.0.0.6:104", "10.0.0.7:104"]', servers: '[10.0.0.7]' },
      "is the address of VIP V, on this machine: mode dr of VIP V would forward to itself; the server's own would be right",
    ],
    [
      'the address of another VIP',
      {
        servers: '[10.0.0.7]',
        vips: '  W: { mode: dr, listen: "10.0.0.7:1", pool: q }',
        pools: '  q: { servers: [10.0.0.12] }',
      },
      "is the address of VIP W, on this machine: mode dr of VIP V would forward to itself; the server's own would be right",
    ],
    [
      'loopback',
      { servers: '[127.0.0.1]' },
      'is this machine itself: mode dr of VIP V forwards to other machines only',
    ],
    [
      'every address',
      { servers: '[0.0.0.0]' },
      '0.0.0.0 is every address of this machine: one of them would be right',
    ],
    [
      'DR with port translation',
      { servers: '["10.0.0.11:11112"]' },
      'clients of VIP V come to other ports than 11112, and mode dr translates none: leave it out',
    ],
    [
      'DR with port translation of one of several ports',
      { listen: '["10.0.0.6:104", "10.0.0.6:11112"]', servers: '["10.0.0.11:11112"]' },
      'clients of VIP V come to other ports than 11112, and mode dr translates none: leave it out',
    ],
    [
      'DR with port translation of all ports',
      { listen: '"10.0.0.6:*"', servers: '["10.0.0.11:11112"]' },
      'clients of VIP V come to other ports than 11112, and mode dr translates none: leave it out',
    ],
    [
      'NAT of all ports to one',
      { mode: 'nat', listen: '["10.0.0.6:80", "10.0.0.7:*"]', servers: '["10.0.0.11:80"]' },
      'clients of VIP V come to all ports, and would all get to port 80: leave it out',
    ],
  ] satisfies [string, Parts, string][])('%s', (_name, parts, fault) => {
    expect(sentences(parts)).toEqual([`pools.p.servers[1]: ${fault}`]);
  });

  it('one server twice', () => {
    const servers = '[{ name: a, address: "10.0.0.11:80" }, { name: b, address: "10.0.0.11:80" }]';
    const fault = (mode: string) =>
      `pools.p.servers[2].address: is where server a is already: mode ${mode} of VIP V cannot tell them apart, so one of them, with its \`weight\`, would be right`;
    expect(sentences({ mode: 'nat', servers })).toEqual([fault('nat')]);
    expect(sentences({ servers: servers.replaceAll(':80', '') })).toEqual([fault('dr')]);
    expect(sentences({ mode: 'snat', servers: servers.replace(':80', ':81') })).toEqual([]);
    expect(sentences({ mode: 'proxy, protocol: tcp', servers })).toEqual([]);
  });

  it('at the address of a record', () => {
    expect(
      read({ servers: '[{ name: a, address: 10.0.0.12 }, { name: b, address: pacs.example }]' }).faults,
    ).toEqual([
      'f.yaml:2:71: pools.p.servers[2].address: "pacs.example" is a name, and mode dr of VIP V needs to know where packets go: an IP address would be right',
    ]);
  });

  it('the port that clients come to, and for NAT any one port, are none', () => {
    expect(sentences({ servers: '["10.0.0.11:104"]' })).toEqual([]);
    expect(
      sentences({ mode: 'nat', listen: '["10.0.0.6:80", "10.0.0.6:81"]', servers: '["10.0.0.11:8080"]' }),
    ).toEqual([]);
  });
});

describe('a server address and port that both a proxy VIP and an SNAT VIP use', () => {
  const fault =
    "has the connections of both VIP W, a proxy, and VIP V with mode snat, which may get in each other's way: mode nat, or a port of the server for each, would be right";
  const proxy = (listen: string) => `  W: { protocol: tcp, listen: "${listen}", pool: q }`;
  it.each([
    [
      'ports of their own',
      { servers: '["10.0.0.11:80"]', pools: '  q: { servers: ["10.0.0.11:80"] }', vips: proxy('10.0.0.5:1') },
    ],
    ['the port of the clients', { pools: '  q: { servers: ["10.0.0.11:104"] }', vips: proxy('10.0.0.5:1') }],
    [
      'the port of both their clients',
      { pools: '  q: { servers: [10.0.0.11] }', vips: proxy('10.0.0.5:104') },
    ],
    [
      'all ports',
      {
        listen: '"10.0.0.6:*"',
        pool: ', health: { check: ping }',
        pools: '  q: { servers: ["10.0.0.11:80"] }',
        vips: proxy('10.0.0.5:1'),
      },
    ],
  ] satisfies [string, Parts][])('%s', (_name, parts) => {
    expect(sentences({ mode: 'snat', ...parts })).toEqual([`pools.p.servers[1]: ${fault}`]);
  });

  it('one pool for both', () => {
    expect(
      sentences({ mode: 'snat', vips: '  W: { protocol: tcp, listen: "10.0.0.5:104", pool: p }' }),
    ).toEqual([`pools.p.servers[1]: ${fault}`]);
  });

  it('another port, another mode: no fault', () => {
    const vips = proxy('10.0.0.5:1');
    expect(sentences({ mode: 'snat', pools: '  q: { servers: ["10.0.0.11:105"] }', vips })).toEqual([]);
    expect(sentences({ mode: 'nat', pools: '  q: { servers: ["10.0.0.11:104"] }', vips })).toEqual([]);
  });
});

describe('what a pool cannot have', () => {
  const CASES = [
    ['tls', 'tls: true', 'TLS is between its clients and the servers'],
    ['proxyProtocol', 'proxyProtocol: v1', 'nothing is put into what its clients send'],
    ['hl7', 'hl7: { connections: 2 }', 'its clients make the connections to the servers'],
    ['timeouts.connect', 'timeouts: { connect: 1s }', 'its clients are the ones who wait'],
    ['timeouts.response', 'timeouts: { response: 1s }', 'its clients are the ones who wait'],
  ] as const;
  it.each(CASES)('%s', (key, written, why) => {
    const sentence = `pools.p.${key}: is of no use to VIP V with mode dr: ${why}`;
    expect(sentences({ pool: `, ${written}` })).toEqual([sentence]);
    const vips = '  W: { protocol: tcp, listen: "10.0.0.5:104", pool: p }';
    const { faults, warnings } = read({ pool: `, ${written}`, vips });
    expect(faults).toEqual([]);
    expect(warnings.map((warning) => warning.replace(/^\S+ /, ''))).toEqual([sentence]);
  });

  it('the AE title of a server, but for a check', () => {
    const servers = '[{ address: 10.0.0.11, ae: ARCHIVE }]';
    expect(sentences({ servers })).toEqual([
      'pools.p.servers[1].ae: is of no use to VIP V with mode dr: what its clients call stays as it is',
    ]);
    expect(
      sentences({ servers, pool: ', health: { any: [{ check: ping }, { check: dicom-echo }] }' }),
    ).toEqual([]);
  });

  it('balances, weights, limits and a drain time it can have', () => {
    const servers =
      '[{ address: 10.0.0.11, weight: 2, maxConnections: 5 }, { address: 10.0.0.12, backup: true }]';
    const pool = ', balance: least-busy, slowStart: 5s, panic: 50%, timeouts: { drain: 5s }';
    expect(read({ servers, pool })).toEqual({ faults: [], warnings: [] });
  });
});

describe('the check of an all-ports VIP', () => {
  const all = { listen: '"10.0.0.6:*"' };
  const fault =
    'is missing: VIP V takes all ports, so nobody knows which to check; a port, or check ping or script, would be right';
  it.each([
    ['none is written', '', 'health'],
    ['connect', ', health: { check: connect }', 'health.port'],
    ['https', ', health: { check: https }', 'health.port'],
    ['a part', ', health: { all: [{ check: ping }, { check: connect }] }', 'health.all[2].port'],
  ])('%s', (_name, pool, path) => {
    expect(sentences({ ...all, pool })).toEqual([`pools.p.${path}: ${fault}`]);
  });

  it.each([
    ['ping', '{ check: ping }'],
    ['none', '{ check: none }'],
    ['script', '{ check: script, script: /bin/true }'],
    ['a port', '{ check: https, port: 443 }'],
    ['a port for all parts', '{ port: 443, any: [{ check: tls }, { check: connect }] }'],
  ])('%s needs none', (_name, health) => {
    expect(sentences({ ...all, pool: `, health: ${health}` })).toEqual([]);
  });

  it('of a pool that tracks another: that one needs it', () => {
    const pools = '  q: { servers: [10.0.0.11] }';
    expect(sentences({ ...all, pool: ', health: { track: q }', pools })).toEqual([
      `pools.q.health: ${fault}`,
    ]);
    const port = '  q: { servers: [10.0.0.11], health: { port: 104 } }';
    expect(sentences({ ...all, pool: ', health: { track: q }', pools: port })).toEqual([]);
  });

  it('another VIP over the same pool, or another address, has a port', () => {
    expect(sentences({ ...all, vips: '  W: { mode: nat, listen: "10.0.0.7:104", pool: p }' })).toEqual([]);
    expect(sentences({ listen: '["10.0.0.6:*", "10.0.0.7:104"]' })).toEqual([]);
  });
});
