/** What `gantry check` says of addresses that several listen on. */
import { describe, expect, it } from 'vitest';
import { read, sentences } from './one-vip.ts';

describe('two VIPs on one address and port', () => {
  const other = (line: string) => sentences({ vips: `  W: { ${line}, pool: p }` });
  it.each([
    ['mode: nat, listen: "10.0.0.6:104"', '10.0.0.6:104', 'a port'],
    ['protocol: tcp, listen: "10.0.0.6:104"', '10.0.0.6:104', 'a port'],
    ['mode: snat, listen: "10.0.0.6:*"', '10.0.0.6:104', 'an address'],
  ])('%s', (line, taken, own) => {
    expect(other(line)).toEqual([
      `vips.W.listen: V listens on ${taken} already: ${own} of its own would be right`,
    ]);
  });

  it('all ports are every port, those of the admin API and of an egress too', () => {
    const vips = `  A: { protocol: hl7, listen: "10.0.0.6:2310", pool: p }
  D: { protocol: dicom, listen: "10.0.0.5:104", pool: p, dicom: { route: study, storage: shared, egress: { listen: "10.0.0.6:11113", destinations: { CT1: 10.0.0.50:104 } } } }
admin: { listen: 10.0.0.6:9090, token: not-a-real-token }`;
    const own = 'V listens on 10.0.0.6:* already: an address of its own would be right';
    const health = ', health: { port: 104 }';
    expect(sentences({ listen: '"10.0.0.6:*"', vips, pool: health })).toEqual([
      `vips.A.listen: ${own}`,
      `vips.D.dicom.egress.listen: ${own}`,
      `admin.listen: ${own}`,
    ]);
  });

  it('one VIP with all ports and one of them', () => {
    expect(sentences({ listen: '["10.0.0.6:*", "10.0.0.6:104"]' })).toEqual([
      'vips.V.listen[2]: V listens on 10.0.0.6:* already: an address of its own would be right',
    ]);
  });

  it('a proxy on every address has what the kernel leaves: a warning, in either order', () => {
    const sentence =
      'listens on 0.0.0.0:104, but what comes to 10.0.0.6:104 goes to V before a socket sees it';
    const after = read({ vips: '  W: { protocol: tcp, listen: "0.0.0.0:104", pool: p }' });
    expect(after).toEqual({ faults: [], warnings: [`f.yaml:7:23: vips.W.listen: W ${sentence}`] });
    const before = `  W: { protocol: tcp, listen: "0.0.0.0:104", pool: p }`;
    expect(read({ before }).warnings).toEqual([`f.yaml:6:18: vips.V.listen: W ${sentence}`]);
  });

  it('the admin API on every address: a warning', () => {
    const { faults, warnings } = read({
      listen: '"10.0.0.6:*"',
      pool: ', health: { check: ping }',
      vips: 'admin: { listen: 0.0.0.0:9090, token: not-a-real-token }',
    });
    expect(faults).toEqual([]);
    expect(warnings).toEqual([
      'f.yaml:7:10: admin.listen: admin listens on 0.0.0.0:9090, but what comes to 10.0.0.6:* goes to V before a socket sees it',
    ]);
  });
});

describe('a circle', () => {
  it.each([
    ['its own listener', '"10.0.0.5:104"', '["10.0.0.5:104"]'],
    ['its own address, at the port of the client', '["10.0.0.5:104", "10.0.0.5:105"]', '[10.0.0.5]'],
    ['one of its listeners', '["10.0.0.5:104", "10.0.0.7:104"]', '["10.0.0.7:104"]'],
    ['loopback, with a listener on every address', '"0.0.0.0:104"', '["127.0.0.1:104"]'],
    ['its own address, written in another way', '"[fd00::5]:104"', '["[fd00:0::5]:104"]'],
  ])('a proxy that is its own server: %s', (_name, listen, servers) => {
    expect(sentences({ mode: 'proxy, protocol: tcp', listen, servers })).toEqual([
      'pools.p.servers[1]: is VIP V itself: its connections would go round in a circle',
    ]);
  });

  it('a proxy over another one of the same machine is none', () => {
    const parts = { mode: 'proxy, protocol: tcp', listen: '"10.0.0.5:104"' };
    expect(sentences({ ...parts, servers: '["10.0.0.5:105", "10.0.0.7:104"]' })).toEqual([]);
    expect(sentences({ ...parts, listen: '"127.0.0.1:0"', servers: '[127.0.0.1]' })).toEqual([]);
  });
});
