import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import { type Machine, missingOnMachine } from '../../src/config/machine.ts';

/** It has nothing, and may do everything. */
const MACHINE: Machine = {
  addresses: [],
  interfaces: [],
  firstFreePort: 0,
  mayChangeRules: true,
  forwards: ['IPv4', 'IPv6'],
  programs: [],
};

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
    missingOnMachine(configuration!, { ...MACHINE, addresses: ['10.0.0.4'], firstFreePort });
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
    const machine = { ...MACHINE, programs };
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

const layer4 = `
pools: { a: { servers: [10.0.0.11] }, b: { servers: ["fd00::11"], health: { check: none } }, c: { servers: [10.0.0.12] } }
vips:
  SEEN: { protocol: tcp, listen: "127.0.0.1:104", pool: c, source: client }
  FROM: { protocol: tcp, listen: "127.0.0.1:105", pool: c, source: 10.0.0.4 }
  DIRECT: { mode: dr, listen: ["10.0.0.6:104", "10.0.0.7:104"], interface: [eth0, eth1], pool: a }
  TWO_ARMS: { mode: nat, listen: "[FD00:0::6]:*", pool: b, persistence: source-ip }
  ONE_ARM: { mode: snat, listen: "10.0.0.6:105", pool: a, source: 10.0.0.5 }
`;

function missingForLayer4(machine: Partial<Machine>, text = layer4): string[] {
  const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  return missingOnMachine({ ...configuration!, admin: undefined }, { ...MACHINE, ...machine });
}

const addresses = ['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.7', 'fd00::6'];
const interfaces = ['lo', 'eth0', 'eth1'];

it('an address or an interface of layer 4 that is not there, forwarding that is off: a sentence for each VIP', () => {
  const programs = programsIn('nft', 'ip');
  // No privilege is needed for its ports.
  expect(missingForLayer4({ addresses, interfaces, programs, firstFreePort: 104 })).toEqual([]);
  const machine = { addresses: ['10.0.0.6'], interfaces: ['lo', 'eth0'], programs, forwards: [] };
  expect(missingForLayer4(machine)).toEqual([
    'vips.FROM.source: this machine has no address 10.0.0.4',
    'vips.DIRECT.listen: this machine has no address 10.0.0.7',
    'vips.DIRECT.interface: this machine has no interface eth1',
    'vips.TWO_ARMS.listen: this machine has no address FD00:0::6',
    'vips.TWO_ARMS: this machine does not forward packets, as mode nat needs: set net.ipv6.conf.all.forwarding=1 (sysctl)',
    'vips.ONE_ARM.source: this machine has no address 10.0.0.5',
    'vips.ONE_ARM: this machine does not forward packets, as mode snat needs: set net.ipv4.ip_forward=1 (sysctl)',
  ]);
});

it('no nft, no ip, no privilege: a sentence each, once', () => {
  expect(missingForLayer4({ addresses, interfaces, mayChangeRules: false })).toEqual([
    'vips.SEEN: `source: client` needs CAP_NET_ADMIN, which this user does not have',
    'vips.SEEN: `source: client` needs nft, which is not on the PATH: install it (Debian: nftables)',
    'vips.DIRECT: mode dr needs ip, which is not on the PATH: install it (Debian: iproute2)',
  ]);
  const nat =
    'pools: { a: { servers: [10.0.0.11] } }\nvips: { V: { mode: nat, listen: "10.0.0.6:104", pool: a } }\n';
  expect(missingForLayer4({ addresses, mayChangeRules: false }, nat)).toEqual([
    'vips.V: mode nat needs CAP_NET_ADMIN, which this user does not have',
    'vips.V: mode nat needs nft, which is not on the PATH: install it (Debian: nftables)',
  ]);
  const proxy =
    'pools: { a: { servers: [10.0.0.11] } }\nvips: { V: { protocol: tcp, listen: "10.0.0.6:104", pool: a, source: 10.0.0.4 } }\n';
  expect(missingForLayer4({ addresses, mayChangeRules: false, forwards: [] }, proxy)).toEqual([]);
});

it('this machine has the interface lo', () => {
  const text =
    'pools: { a: { servers: [10.0.0.11] } }\nvips: { V: { mode: dr, listen: "127.0.0.9:104", pool: a, interface: [lo, nowhere0] } }\n';
  const { configuration } = readConfiguration(text, { file: 'f.yaml', environment: {} });
  const missing = missingOnMachine(configuration!).filter((sentence) => sentence.includes('interface'));
  expect(missing).toEqual(['vips.V.interface: this machine has no interface nowhere0']);
});

/** A folder with these programs. */
function programsIn(...names: string[]): string[] {
  const bin = mkdtempSync(join(folder, 'bin-'));
  for (const name of names) writeFileSync(join(bin, name), '#!/bin/sh\n', { mode: 0o755 });
  return [bin];
}
