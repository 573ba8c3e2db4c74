import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import { missingOnMachine } from '../../src/config/machine.ts';

const text = `
admin: { listen: 127.0.0.1:80 }
pools: { a: { servers: [10.0.0.1] } }
vips:
  HERE: { protocol: dicom, listen: ["10.0.0.4:104", "127.0.0.2:11112", "0.0.0.0:105", "[::]:0"], pool: a }
  STUDIES:
    protocol: dicom
    listen: "127.0.0.2:11113"
    pool: a
    dicom: { route: study, storage: shared, egress: { listen: "10.0.0.6:11114", destinations: { CT1: h:1 } } }
  AWAY: { protocol: hl7, listen: "10.0.0.5:2310", pool: a }
`;

it('an address or a privilege that this machine lacks is a sentence, and no fault', () => {
  const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  const missing = (firstFreePort: number) =>
    missingOnMachine(configuration!, { addresses: ['10.0.0.4'], firstFreePort, programs: [] });
  const egress = 'vips.STUDIES.dicom.egress.listen: this machine has no address 10.0.0.6';
  expect(missing(0)).toEqual([egress, 'vips.AWAY.listen: this machine has no address 10.0.0.5']);
  expect(missing(105)).toEqual([
    'vips.HERE.listen: port 104 needs CAP_NET_BIND_SERVICE, which this user does not have',
    egress,
    'vips.AWAY.listen: this machine has no address 10.0.0.5',
    'admin.listen: port 80 needs CAP_NET_BIND_SERVICE, which this user does not have',
  ]);
});

it('this machine has its own addresses', () => {
  const own = text
    .replace('10.0.0.4:104', '127.0.0.3:11113')
    .replace('10.0.0.6:11114', '127.0.0.1:11114')
    .replace('10.0.0.5:2310', '127.0.0.1:12310')
    .replace(':80', ':19090')
    .replace(':105', ':11105');
  const { configuration } = readConfiguration(own, { file: 'f.yaml', environment: {} });
  expect(missingOnMachine(configuration!)).toEqual([]);
});

const folder = mkdtempSync(join(tmpdir(), 'gantry-machine-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('a program that a check runs, or a folder for the snapshot, that is not there is a sentence, and no fault', () => {
  mkdirSync(join(folder, 'state'));
  for (const [name, mode] of [
    ['good.sh', 0o755],
    ['bad.sh', 0o644],
    ['ping', 0o755],
  ] as const) {
    writeFileSync(join(folder, name), '#!/bin/sh\n');
    chmodSync(join(folder, name), mode);
  }
  const checks = (table: string) => `
table: { memory: { file: ${table} } }
pools:
  a: { servers: [10.0.0.1], health: { check: script, script: good.sh } }
  b: { servers: [10.0.0.1], health: { any: [{ check: ping }, { all: [{ check: script, script: bad.sh }] }] } }
  c: { servers: [10.0.0.1], health: { check: script, script: state } }
  d: { servers: [10.0.0.1], health: { check: script, script: /no/such.sh } }
vips: {}
`;
  const missing = (table: string, programs: string[]) => {
    const { configuration } = readConfiguration(checks(table), {
      file: join(folder, 'f.yaml'),
      environment: {},
    });
    const machine = { addresses: [], firstFreePort: 0, programs };
    return missingOnMachine({ ...configuration!, admin: undefined }, machine);
  };
  const scripts = [
    `pools.b.health.any[2].all[1].script: ${folder}/bad.sh is no program that this user may run`,
    `pools.c.health.script: ${folder}/state is no program that this user may run`,
    'pools.d.health.script: /no/such.sh is no program that this user may run',
  ];
  expect(missing('state/table', ['/no', folder])).toEqual(scripts);
  expect(missing('nowhere/table', ['/no'])).toEqual([
    'pools.b.health.any[1]: this machine has no ping: install it (Debian: iputils-ping)',
    ...scripts,
    `table.memory.file: this user cannot write in the folder ${folder}/nowhere`,
  ]);
});
