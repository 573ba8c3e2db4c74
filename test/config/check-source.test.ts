/** What `gantry check` says of `source`. */
import { expect, it } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';

/** Of VIP V with these keys over a pool with these servers. */
function sentences(vip: string, servers = '["10.0.0.11:104"]', others = ''): string[] {
  const text = `pools: { p: { servers: ${servers} }, q: { servers: [10.0.0.12], health: { port: 1 } } }\nvips: { V: { ${vip}, pool: p }${others} }\n`;
  const { faults = [] } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  return faults.map(({ path, message }) => `${path}: ${message}`);
}

const FOUR = '"10.0.0.5:104"';
const SIX = '"[fd00::5]:104"';

it.each([
  [
    'neither a word nor an address',
    `protocol: tcp, listen: ${FOUR}, source: clients`,
    '"clients" is neither "client" nor an IP address: "client" or "10.0.0.4" would be right',
  ],
  [
    'the client, HTTP',
    `protocol: http, listen: ${FOUR}, source: client`,
    '"client" is for protocol dicom, hl7 or tcp: with http, X-Forwarded-For tells who the client is (`forwarded`), so leave it out',
  ],
  [
    'the client of stored messages',
    `protocol: hl7, listen: ${FOUR}, source: client, hl7: { delivery: store, queue: q }`,
    '"client" is for `delivery: relay`: a message that was stored goes on when its sender may long be gone',
  ],
  [
    'clients of another family than the servers',
    `protocol: dicom, listen: [${FOUR}, ${SIX}], source: client`,
    '"client" needs one family: clients that come to fd00::5 have IPv6 addresses, and server p/10.0.0.11:104 has an IPv4 address; a VIP for each would be right',
  ],
  [
    'an address of another family than the servers',
    `protocol: http, listen: ${FOUR}, source: fd00::4`,
    'is IPv6, and server p/10.0.0.11:104 has an IPv4 address: servers of one family would be right',
  ],
  [
    'every address',
    `protocol: tcp, listen: ${FOUR}, source: 0.0.0.0`,
    '0.0.0.0 is every address of this machine: one of them would be right',
  ],
  [
    'DR',
    `mode: dr, listen: ${FOUR}, source: 10.0.0.4`,
    'is for mode proxy or snat: with dr, servers see the address of the client',
  ],
  [
    'NAT',
    `mode: nat, listen: ${FOUR}, source: client`,
    'is for mode proxy or snat: with nat, servers see the address of the client',
  ],
  [
    'SNAT with the client',
    `mode: snat, listen: ${FOUR}, source: client`,
    '"client" is what mode nat does: that mode, or an address of this machine, would be right',
  ],
  [
    'SNAT with another family',
    `mode: snat, listen: ${FOUR}, source: "fd00::4"`,
    'is IPv6, and this VIP is IPv4: an IPv4 address of this machine would be right',
  ],
])('%s', (_name, vip, fault) => {
  expect(sentences(vip)).toEqual([`vips.V.source: ${fault}`]);
});

it.each([
  ['the client', `protocol: dicom, listen: ${FOUR}, source: client`],
  ['the client of a PROXY header', `protocol: tcp, listen: ${FOUR}, source: client, proxyProtocol: true`],
  ['the client, of whatever family it is', 'protocol: tcp, listen: "[::]:104", source: client'],
  ['the client, IPv4 written in IPv6', 'protocol: hl7, listen: "[::ffff:10.0.0.5]:104", source: client'],
  [
    'an address, whatever family clients are of',
    `protocol: tcp, listen: [${FOUR}, ${SIX}], source: 10.0.0.4`,
  ],
])('is right: %s', (_name, vip) => {
  expect(sentences(vip)).toEqual([]);
});

it('the family of a host name is not known', () => {
  expect(sentences(`protocol: tcp, listen: ${SIX}, source: client`, '[pacs.example]')).toEqual([]);
});

it('an address whose answers a DR VIP would take', () => {
  const other = (mode: string, port: string) => `, W: { mode: ${mode}, listen: "10.0.0.4:${port}", pool: q }`;
  const fault =
    'vips.V.source: is the address of VIP W, which takes all that comes there, answers to these connections too: another address of this machine would be right';
  for (const vip of [`protocol: tcp, listen: ${FOUR}`, `mode: snat, listen: ${FOUR}`]) {
    const found = (others: string) => sentences(`${vip}, source: 10.0.0.4`, undefined, others);
    expect(found(other('dr', '*'))).toEqual([fault]);
    expect(found(other('dr', '80'))).toEqual([]);
    // Connection tracking knows an answer.
    expect(found(other('nat', '*'))).toEqual([]);
  }
});
