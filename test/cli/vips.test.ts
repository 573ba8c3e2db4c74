import { join } from 'node:path';
import { expect, it } from 'vitest';
import { vipRows } from '../../src/cli/vips.ts';
import { readConfiguration } from '../../src/config/load.ts';
import { FIXTURES, runHere } from './run-cli.ts';

const text = `
pools:
  own: { servers: [10.0.0.1], persistence: none, health: { check: none } }
  routed: { servers: [10.0.0.2], health: { check: dicom-echo } }
  both: { servers: [10.0.0.3] }
  chained: { servers: [10.0.0.14], persistence: { by: [calling, source-ip] } }
vips:
  A:
    protocol: dicom
    listen: ["10.0.0.4:104", "10.0.0.4:11112", "10.0.0.5:104"]
    routes:
      - { when: { called: X }, pool: routed }
      - { when: { called: Y }, pool: both }
      - { when: { called: Z }, pool: routed }
      - { when: { called: W }, pool: chained }
    pool: own
    persistence: { by: source-ip }
  B: { protocol: dicom, listen: 10.0.0.6:104, pool: both }
  C: { protocol: hl7, listen: 10.0.0.6:2310, routes: [{ when: { type: ADT }, pool: own }] }
`;

it('a row per VIP, and after it per pool that only its routes reach', () => {
  const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  expect(vipRows(configuration!)).toEqual([
    { name: 'A', mode: 'proxy', protocol: 'dicom', ports: [104, 11112], persistence: 'none', health: 'none' },
    {
      name: 'routed',
      mode: 'backend',
      protocol: 'dicom',
      ports: [],
      persistence: 'source-ip',
      health: 'dicom-echo',
    },
    {
      name: 'chained',
      mode: 'backend',
      protocol: 'dicom',
      ports: [],
      persistence: 'calling, source-ip',
      health: 'connect',
    },
    { name: 'B', mode: 'proxy', protocol: 'dicom', ports: [104], persistence: 'none', health: 'connect' },
    { name: 'C', mode: 'proxy', protocol: 'hl7', ports: [2310], persistence: 'none', health: 'none' },
  ]);
});

it('protocols http and tcp: a chain joined, a pool that tracks another has its check', async () => {
  const { stdout } = await runHere(['vips', '-c', join(FIXTURES, 'valid', 'web.yaml')]);
  expect(stdout).toBe(`NAME     MODE     PROTOCOL  PORTS     PERSISTENCE        HEALTH
PORTAL   proxy    http      80        cookie, source-ip  http
again    backend  http      -         none               http
APP      proxy    tcp       443,2104  none               all
further  backend  tcp       -         none               http
`);
});

it('layer 4: no protocol, all ports as "*", persistence of the kernel', async () => {
  const path = join(FIXTURES, 'valid', 'layer4.yaml');
  const { stdout } = await runHere(['vips', '-c', path]);
  expect(stdout).toBe(`NAME      MODE   PROTOCOL  PORTS      PERSISTENCE  HEALTH
DIRECT    dr     -         104        none         connect
STORE     dr     -         104,11112  source-ip    connect
ALL       dr     -         *          source-ip    all
STANDBY   nat    -         *          none         all
TWO_ARMS  nat    -         80,81      none         connect
ONE_ARM   snat   -         80         none         connect
SIX       snat   -         104        source-ip    connect
SEEN      proxy  dicom     4104       none         connect
FROM      proxy  tcp       4105       none         connect
RELAY     proxy  hl7       2310       none         connect
PORTAL    proxy  http      80         none         connect
`);
  const json = JSON.parse((await runHere(['vips', '-c', path, '--json'])).stdout);
  expect(json.slice(2, 4)).toEqual([
    { name: 'ALL', mode: 'dr', protocol: null, ports: '*', persistence: 'source-ip', health: 'all' },
    { name: 'STANDBY', mode: 'nat', protocol: null, ports: '*', persistence: 'none', health: 'all' },
  ]);
});

it('gantry vips: a table; with --json an array', async () => {
  const path = join(FIXTURES, 'valid', 'smallest.yaml');
  const table = await runHere(['vips', '-c', path]);
  expect(table.stdout).toBe(
    'NAME     MODE   PROTOCOL  PORTS  PERSISTENCE  HEALTH\nARCHIVE  proxy  dicom     11112  none         connect\n',
  );
  const json = await runHere(['vips', '-c', path, '--json']);
  expect(JSON.parse(json.stdout)).toEqual([
    {
      name: 'ARCHIVE',
      mode: 'proxy',
      protocol: 'dicom',
      ports: [11112],
      persistence: 'none',
      health: 'connect',
    },
  ]);
});

it('gantry vips: the faults of a bad file on standard error, exit 2', async () => {
  const path = join(FIXTURES, 'invalid', 'missing-pool.yaml');
  const { code, stdout, stderr } = await runHere(['vips', '-c', path]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(`${path}:9:40: vips.ARCHIVE.routes[1].pool: there is no pool "archve"`);
});
