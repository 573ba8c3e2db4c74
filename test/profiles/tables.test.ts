/**
 * What `gantry init` writes is what the guides of the vendors ask for: the rows that `gantry vips --json` shows of it
 * against fixtures/vip-tables.yaml, as its users run them, each in a process of its own.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { VipRow } from '../../src/cli/vips.ts';
import { runCli } from '../cli/run-cli.ts';

interface Row {
  readonly ref: string;
  readonly name: string;
  readonly mode: string;
  readonly ports: readonly (number | '*')[];
  readonly persistence: string;
  readonly health: string;
}

const tables: Readonly<Record<string, { readonly title: string; readonly rows: readonly Row[] }>> = parse(
  readFileSync(new URL('../../fixtures/vip-tables.yaml', import.meta.url), 'utf8'),
);

/** The guides' words → ours. The one cell that a guide leaves empty is `connect`. */
const MODES: Readonly<Record<string, string>> = { 'proxy-http': 'proxy', 'proxy-tcp': 'proxy' };
const PERSISTENCE: Readonly<Record<string, string>> = { 'http-cookie': 'cookie' };
const HEALTH: Readonly<Record<string, string>> = {
  'http-get': 'http',
  'https-get': 'https',
  'external-script': 'script',
  unstated: 'connect',
};

function expected({ name, mode, ports, persistence, health }: Row): Omit<VipRow, 'protocol'> {
  return {
    name,
    mode: (MODES[mode] ?? mode) as VipRow['mode'],
    ports: ports[0] === '*' ? '*' : (ports as readonly number[]),
    persistence: PERSISTENCE[persistence] ?? persistence,
    health: HEALTH[health] ?? health,
  };
}

const folder = mkdtempSync(join(tmpdir(), 'gantry-profiles-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The rows of what `gantry init` writes with five addresses and two servers. */
async function rowsWritten(profile: string, ...options: readonly string[]): Promise<VipRow[]> {
  const vips = ['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.7', '10.0.0.8'];
  const servers = ['10.0.0.11', '10.0.0.12'];
  const words = ['init', profile, '--vip', ...vips, '--server', ...servers, ...options];
  const { code, stdout } = await runCli(words);
  expect(code).toBe(0);
  const file = join(folder, `${profile}.yaml`);
  writeFileSync(file, stdout);
  expect(await runCli(['check', '-c', file])).toMatchObject({ code: 0, stdout: '' });
  const shown = await runCli(['vips', '-c', file, '--json']);
  expect(shown).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(shown.stdout);
}

describe('gantry init and gantry vips --json, row by row', () => {
  const held: string[] = [];

  it.each(Object.keys(tables))('%s', async (profile) => {
    const { rows } = tables[profile]!;
    const written = await rowsWritten(profile);
    expect(written.map(({ name }) => name)).toEqual(rows.map(({ name }) => name));
    for (const [index, row] of rows.entries()) {
      const { protocol, ...rest } = written[index]!;
      expect(rest, row.ref).toEqual(expected(row));
      if (row.mode === 'dr') expect(protocol, row.ref).toBe(null);
      if (row.persistence === 'http-cookie' || row.mode === 'backend') expect(protocol, row.ref).toBe('http');
      if (row.mode === 'proxy-tcp') expect(protocol, row.ref).toMatch(/^(tcp|dicom|hl7)$/);
      held.push(`${profile} ${row.ref}`);
    }
  });

  it('95 of 95', () => {
    const all = Object.entries(tables).flatMap(([profile, { rows }]) =>
      rows.map(({ ref }) => `${profile} ${ref}`),
    );
    expect(all).toHaveLength(95);
    expect(held).toEqual(all);
  });
});

it('--protocol-aware: DICOM and HL7 of layer 4 are read, at the same ports; all else is as it was', async () => {
  const profile = 'canon-vitrea-delftdi';
  const written = await rowsWritten(profile, '--protocol-aware');
  const read = tables[profile]!.rows.map((row) => {
    const { ports } = row;
    const protocol =
      row.mode === 'proxy' || row.name === 'MINT' ? undefined : row.name.includes('HL7') ? 'hl7' : 'dicom';
    const wanted = expected(row);
    return protocol
      ? { ...wanted, ports, mode: 'proxy', protocol }
      : { ...wanted, protocol: row.mode === 'dr' ? null : 'http' };
  });
  expect(written).toEqual(read);
  expect(written.filter(({ protocol }) => protocol === 'dicom').map(({ name }) => name)).toEqual([
    'DicomRouting',
    'DicomInternal',
    'MWL',
  ]);
});

it('gantry profiles lists the five, with as many rows as their tables', async () => {
  const { stdout } = await runCli(['profiles', '--json']);
  expect(JSON.parse(stdout)).toEqual(
    Object.entries(tables).map(([name, { title, rows }]) => ({
      name,
      title,
      rows: rows.length,
      vips: { 'philips-ris-wim': 5, 'philips-vue-pacs': 3, 'ge-true-pacs': 1 }[name] ?? 2,
    })),
  );
});
