/** The rows of the vendors' tables, and how a test shows what became of them. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

export interface Row {
  /** As the guide counts: `VIP 1`, `VIP 1-B1`. */
  readonly ref: string;
  readonly name: string;
  readonly mode: 'proxy' | 'proxy-http' | 'proxy-tcp' | 'dr' | 'backend';
  /** As listened on; `*` is all ports; a backend has none. */
  readonly ports: readonly (number | '*')[];
  readonly persistence: 'none' | 'source-ip' | 'http-cookie';
  readonly health:
    | 'none'
    | 'connect'
    | 'http-get'
    | 'https-get'
    | 'ping'
    | 'external-script'
    /** The guide's cell is empty. */
    | 'unstated';
}

/** What the tests saw of one row. */
export interface Seen {
  readonly row: Row;
  /** The VIP's, where that is not the table's. */
  mode?: string;
  /** Who answered, and to what. */
  traffic?: string;
  persistence?: string;
  check?: string;
}

const FILE = new URL('../../fixtures/vip-tables.yaml', import.meta.url);

/** Profile → its rows, in the order of the guide's table. */
export function vendorTables(): ReadonlyMap<string, readonly Row[]> {
  const file = parse(readFileSync(FILE, 'utf8')) as Record<string, { rows?: readonly Row[] }>;
  return new Map(Object.entries(file).flatMap(([name, { rows }]) => (rows ? [[name, rows]] : [])));
}

/** A line a row. */
export function tableOf(title: string, all: readonly Seen[]): string {
  const lines = all.map(({ row, mode, traffic = '-', persistence = '-', check = '-' }) => [
    row.ref,
    row.name,
    mode === undefined ? row.mode : `${row.mode} as ${mode}`,
    row.ports.join(',') || '-',
    traffic,
    `${row.persistence}: ${persistence}`,
    `${row.health}: ${check}`,
  ]);
  const cells = [['REF', 'NAME', 'MODE', 'PORTS', 'TRAFFIC', 'PERSISTENCE', 'CHECK'], ...lines];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((line) => line[column]!.length)));
  const text = cells.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return [title, ...text, `${all.filter(isComplete).length} of ${all.length} rows`].join('\n');
}

export function isComplete({ traffic, persistence, check }: Seen): boolean {
  return traffic !== undefined && persistence !== undefined && check !== undefined;
}
