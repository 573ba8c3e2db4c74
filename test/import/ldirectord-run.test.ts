/** A configuration of ldirectord, imported and run in network namespaces: DR and NAT, with its persistence. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createField, type Field } from '../layer4/field.ts';
import type { GantryProcess } from '../peers/gantry-process.ts';
import { namespacesOrSkip, prepareForDirectReturn } from '../peers/namespaces.ts';
import { importText } from './accounting.ts';

const DIRECT = '10.50.0.10';
const SOURCES = ['10.50.0.111', '10.50.0.112'];

namespacesOrSkip('an imported ldirectord.cf', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-import-lvs-'));
  let field: Field;
  let gantry: GantryProcess;

  beforeAll(async () => {
    field = await createField({ vips: [DIRECT], ports: [104, 105], sources: SOURCES });
    await prepareForDirectReturn(field.site.servers, [DIRECT]);
    const [one, two] = field.site.servers.map(({ address }) => address);
    const { yaml, notes } = importText(
      'ldirectord',
      `checkinterval=1
quiescent=yes
virtual=${DIRECT}:104
    servicename=archive
    real=${one}:104 gate
    real=${two}:104 gate
    scheduler=rr
    persistent=600
    checktype=connect
virtual=${DIRECT}:105
    real=${one}:105 gate
    scheduler=wrr
    checktype=connect
`,
    );
    expect(notes.filter(({ fate }) => fate !== 'idle')).toEqual([]);
    const file = join(folder, 'gantry.yaml');
    writeFileSync(file, yaml!);
    gantry = await field.site.lb.startGantry(file);
  });
  afterAll(async () => {
    await gantry?.kill();
    await field?.close();
    rmSync(folder, { recursive: true });
  });

  test('servers see the client and the VIP', async () => {
    const seen = await field.open(DIRECT, 105);
    expect(seen).toMatchObject({ server: 's1', local: `${DIRECT}:105` });
    expect(seen.remote).toMatch(/^10\.50\.0\.101:/);
  });

  test('clients take turns, and each comes back to its server', async () => {
    const [one, two] = [await field.open(DIRECT, 104, SOURCES[0]), await field.open(DIRECT, 104, SOURCES[1])];
    expect([one.server, two.server].sort()).toEqual(['s1', 's2']);
    for (let count = 0; count < 3; count++) {
      expect((await field.open(DIRECT, 104, SOURCES[0])).server).toBe(one.server);
      expect((await field.open(DIRECT, 104, SOURCES[1])).server).toBe(two.server);
    }
  });
});

namespacesOrSkip('an imported ldirectord.cf with two arms', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-import-nat-'));
  const VIP = '10.60.0.10';
  let field: Field;
  let gantry: GantryProcess;

  beforeAll(async () => {
    field = await createField({ arms: 2, vips: [VIP], ports: [8080] });
    await field.site.lb.sysctl('net.ipv4.ip_forward=1');
    const { yaml } = importText(
      'ldirectord',
      `virtual=${VIP}:80
    real=${field.site.servers[0]!.address}:8080 masq
    checktype=connect
    checkport=8080
    checkinterval=1
`,
    );
    const file = join(folder, 'gantry.yaml');
    writeFileSync(file, yaml!);
    gantry = await field.site.lb.startGantry(file);
  });
  afterAll(async () => {
    await gantry?.kill();
    await field?.close();
    rmSync(folder, { recursive: true });
  });

  test('masq is mode nat: another port behind, and the server sees the client', async () => {
    const seen = await field.open(VIP, 80);
    expect(seen).toMatchObject({ server: 's1', local: `${field.site.servers[0]!.address}:8080` });
    expect(seen.remote).toMatch(/^10\.60\.0\.101:/);
  });
});
