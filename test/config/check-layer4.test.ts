/** What `gantry check` says of VIPs with `mode: dr`, `nat` or `snat`. */
import { describe, expect, it } from 'vitest';
import { formatFault } from '../../src/config/fault.ts';
import { loadConfiguration, readConfiguration } from '../../src/config/load.ts';
import type { Layer4Vip } from '../../src/config/schema.ts';
import { read, sentences } from './one-vip.ts';

const VALID = new URL('../../fixtures/config/valid/layer4.yaml', import.meta.url).pathname;

describe('valid', () => {
  const { configuration, faults, warnings } = loadConfiguration(VALID, {});
  const vip = (name: string) => configuration?.vips.find((one) => one.name === name);

  it('every key of layer 4, and every source: neither faults nor warnings', () => {
    expect([...(faults ?? []), ...warnings].map(formatFault)).toEqual([]);
  });

  it('what a file says is what the rooms are given', () => {
    expect(configuration?.layer4).toEqual({ onStop: 'remove' });
    expect(vip('STORE')).toEqual({
      name: 'STORE',
      mode: 'dr',
      protocol: null,
      listen: [
        { host: '10.0.0.7', port: 104 },
        { host: '10.0.0.7', port: 11112 },
        { host: '10.0.0.8', port: 104 },
      ],
      interfaces: ['eth0', 'eth1.100'],
      routes: [],
      pool: 'archive',
      persistence: {
        by: ['source-ip'],
        ttl: 300_000,
        size: 200_000,
        netmask: undefined,
        share: undefined,
        cookie: undefined,
      },
      source: undefined,
      idle: 3_600_000,
    } satisfies Layer4Vip);
    expect(vip('ALL')).toMatchObject({
      listen: [{ host: '10.0.0.9', port: '*' }],
      interfaces: [],
      idle: 28_800_000,
    });
    expect(vip('ONE_ARM')).toMatchObject({ mode: 'snat', source: '10.0.0.4', persistence: undefined });
    expect(vip('STANDBY')).toMatchObject({ mode: 'nat', persistence: { by: [] } });
    expect(vip('SEEN')).toMatchObject({ mode: 'proxy', source: 'client' });
    expect(vip('FROM')).toMatchObject({ source: '10.0.0.4' });
  });

  it('without `timeouts.idle`, a silent flow is known for a day; onStop is `keep`', () => {
    const text =
      'pools: { p: { servers: [10.0.0.11] } }\nvips: { V: { mode: dr, listen: "10.0.0.6:1", pool: p } }\n';
    const plain = readConfiguration(text, { file: 'f.yaml', environment: {} }).configuration;
    expect(plain?.vips[0]).toMatchObject({ idle: 86_400_000, persistence: undefined });
    expect(plain?.layer4).toEqual({ onStop: 'keep' });
  });

  it('`layer4` without such a VIP is no fault', () => {
    const text = 'layer4: { onStop: remove }\npools: { p: { servers: [10.0.0.11] } }\nvips: {}\n';
    expect(readConfiguration(text, { file: 'f.yaml', environment: {} }).faults).toBeUndefined();
  });
});

describe('keys of a VIP', () => {
  it.each([
    ['protocol', 'dicom'],
    ['routes', '[]'],
    ['tls', '{ cert: file:a, key: file:b }'],
    ['dicom', '{}'],
    ['hl7', '{}'],
    ['headers', '{}'],
    ['forwarded', 'off'],
    ['limits', '{ connections: 5 }'],
    ['proxyProtocol', 'true'],
    ['trustedProxies', '10.9.0.0/16'],
    ['urgent', '{}'],
  ])('that only proxies read: %s', (key, value) => {
    expect(sentences({ vip: `, ${key}: ${value}` })).toContain(
      `vips.V.${key}: is for mode proxy; this is dr, whose packets do not come to this process`,
    );
  });

  it.each(['request', 'connect', 'accept', 'response', 'queue', 'stall', 'tunnel', 'release'])(
    'that only proxies read: timeouts.%s',
    (key) => {
      expect(sentences({ mode: 'nat', vip: `, timeouts: { idle: 1h, ${key}: 5s }` })).toEqual([
        `vips.V.timeouts.${key}: is for mode proxy; nat has only \`idle\``,
      ]);
    },
  );

  it('file, line and column', () => {
    expect(read({ vip: ', protocol: tcp' }).faults).toEqual([
      'f.yaml:6:51: vips.V.protocol: is for mode proxy; this is dr, whose packets do not come to this process',
    ]);
  });

  it('a pool is needed, and no rule can stand for it', () => {
    const text =
      'pools: { p: { servers: [10.0.0.11] } }\nvips: { V: { mode: snat, listen: "10.0.0.6:1" } }\n';
    const { faults = [] } = readConfiguration(text, { file: 'f.yaml', environment: {} });
    expect(faults.map(formatFault)).toEqual([
      'f.yaml:2:9: vips.V.pool: is missing: mode snat has no other way to servers',
    ]);
  });

  it.each([
    ['nat', 'is for mode dr; nat takes what comes to its address by whatever interface'],
    ['snat', 'is for mode dr; snat takes what comes to its address by whatever interface'],
    ['proxy, protocol: tcp', 'is for mode dr; proxy takes what comes to its address by whatever interface'],
  ])('interface with mode %s', (mode, fault) => {
    expect(sentences({ mode, vip: ', interface: eth0' })).toEqual([`vips.V.interface: ${fault}`]);
  });

  it.each(['eth0; drop', '"eth0\\" accept"', '../eth0', 'aninterfacetoolong', '""'])(
    'an interface that can be none: %s',
    (name) => {
      expect(sentences({ vip: `, interface: ['${name}']` })).toEqual([
        `vips.V.interface[1]: "${name}" is not the name of a network interface: eth0 or eth0.100 would be right`,
      ]);
    },
  );

  it('one interface twice', () => {
    expect(sentences({ vip: ', interface: [eth0, eth1, eth0]' })).toEqual([
      'vips.V.interface[3]: "eth0" is there twice: once would be right',
    ]);
  });

  it('an unknown mode: one fault, not those of another mode', () => {
    expect(
      sentences({ mode: 'dsr', listen: '"10.0.0.6:*"', vip: ', interface: eth0, source: client' }),
    ).toEqual(['vips.V.mode: "dsr" is unknown: proxy, dr, nat or snat would be right']);
  });

  it('an HL7 VIP is wanted for orders, and this has no protocol', () => {
    const vips =
      '  D: { protocol: dicom, listen: "10.0.0.5:104", pool: p, dicom: { route: study, storage: shared }, urgent: { fromOrders: V } }';
    expect(sentences({ vips })).toEqual([
      'vips.D.urgent.fromOrders: VIP "V" is of mode dr: one of protocol hl7 would be right',
    ]);
  });
});

describe('addresses of a VIP', () => {
  it.each([
    ['"0.0.0.0:104"', '', '0.0.0.0 is every address of this machine: one of them would be right'],
    ['"[::]:104"', '', ':: is every address of this machine: one of them would be right'],
    [
      '"[fe80::1%eth0]:104"',
      '',
      'fe80::1%eth0 is good on one link only: an address without "%" would be right',
    ],
    [
      '"[::ffff:10.0.0.6]:104"',
      '',
      '::ffff:10.0.0.6 is an IPv4 address in the form of IPv6: 10.0.0.6 would be right',
    ],
    [
      '"10.0.0.6:0"',
      '',
      'port 0 lets the system choose, and mode dr has no listener that it could choose for: a port, or "*" for all, would be right',
    ],
    [
      '["10.0.0.6:104", "[fd00::6]:104"]',
      '[2]',
      'is IPv6, and 10.0.0.6 is IPv4: mode dr needs a VIP for each',
    ],
  ])('%s', (listen, place, fault) => {
    expect(sentences({ listen, servers: '[10.0.0.11]' })).toContain(`vips.V.listen${place}: ${fault}`);
  });

  it('a port that is none: that alone is said', () => {
    expect(sentences({ listen: '["10.0.0.6:70000"]', servers: '[10.0.0.11]' })).toEqual([
      'vips.V.listen[1]: 70000 is not a port: 0 to 65535 would be right',
    ]);
  });

  it('none: that alone is said', () => {
    const text = 'pools: { p: { servers: [10.0.0.11] } }\nvips: { V: { mode: dr, pool: p } }\n';
    const { faults = [] } = readConfiguration(text, { file: 'f.yaml', environment: {} });
    expect(faults.map(({ path }) => path)).toEqual(['vips.V.listen']);
  });

  it('all ports of a proxy', () => {
    expect(sentences({ mode: 'proxy, protocol: tcp', listen: '["10.0.0.6:104", "[fd00::6]:*"]' })).toEqual([
      'vips.V.listen[2]: all ports are for mode dr, nat or snat; this is proxy: "[fd00::6]:104" would be right',
    ]);
  });
});

describe('persistence', () => {
  it.each(['dr', 'nat', 'snat'])('cookie persistence on TCP: mode %s', (mode) => {
    expect(sentences({ mode, vip: ', persistence: cookie' })).toEqual([
      `vips.V.persistence: "cookie" is for protocol http: mode ${mode} reads no protocol, so source-ip or none would be right`,
    ]);
  });

  it('cookie persistence on TCP: a proxy', () => {
    expect(sentences({ mode: 'proxy, protocol: tcp', vip: ', persistence: { by: cookie }' })).toEqual([
      'vips.V.persistence.by: "cookie" is for protocol http: tcp has no cookies, so source-ip would be right',
    ]);
  });

  it.each([
    [
      '{ by: [calling, source-ip] }',
      '.by[1]',
      '"calling" is not known: mode dr reads no protocol, so source-ip or none would be right',
    ],
    ['{ by: source-ip, share: all }', '.share', 'shares nothing: what mode dr remembers stays in the kernel'],
    [
      '{ by: source-ip, netmask: 33 }',
      '.netmask',
      'is more than the 32 bits of an IPv4 address: 32 at most would be right',
    ],
  ])('%s', (persistence, place, fault) => {
    expect(sentences({ vip: `, persistence: ${persistence}` })).toEqual([
      `vips.V.persistence${place}: ${fault}`,
    ]);
    expect(sentences({ pool: `, persistence: ${persistence}` })).toEqual([
      `pools.p.persistence${place}: ${fault.replace('mode dr', 'mode dr of VIP V')}`,
    ]);
  });

  it('an IPv6 address has more bits', () => {
    const six = { listen: '"[fd00::6]:104"', servers: '["fd00::11"]' };
    expect(sentences({ ...six, vip: ', persistence: { by: source-ip, netmask: 64 }' })).toEqual([]);
  });
});
