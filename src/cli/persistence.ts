/** `gantry persistence`: who comes back where, in the running balancer. */
import type { Command } from 'commander';
import type { EntryDocument } from '../admin/documents.ts';
import { type AdminOptions, askAdmin, withAdminOptions } from './admin-client.ts';
import { durationText } from './duration.ts';
import { formatTable } from './table.ts';

interface PersistenceOptions extends AdminOptions {
  readonly table?: string;
  readonly key?: string;
  readonly clear?: string;
  readonly json?: true;
}

export function addPersistence(program: Command): void {
  withAdminOptions(program.command('persistence'))
    .description('show persistence entries, or clear them')
    .option('--table <table>', 'only those of this table, such as "vip ARCHIVE"')
    .option('--key <key>', 'only those with this key')
    .option('--clear <key>', 'forget those with this key; work in hand is not touched')
    .option('--json', 'the document of GET /api/v1/persistence')
    .addHelpText(
      'after',
      `
Keys that may be patient data are shown as hash:…; --key and --clear take them in that form too.

Example:
  gantry persistence --clear 10.1.0.7`,
    )
    .action(async ({ table, key, clear, json, ...admin }: PersistenceOptions) => {
      const query = new URLSearchParams();
      if (table !== undefined) query.set('table', table);
      const wanted = clear ?? key;
      if (wanted !== undefined) query.set('key', wanted);
      const path = `/api/v1/persistence?${query.toString()}`;
      if (clear !== undefined) {
        const { cleared } = (await askAdmin(admin, { method: 'DELETE', path })) as { cleared: number };
        process.stdout.write(`${cleared} cleared\n`);
        return;
      }
      const entries = (await askAdmin(admin, { method: 'GET', path })) as readonly EntryDocument[];
      process.stdout.write(json ? `${JSON.stringify(entries, null, 2)}\n` : entriesText(entries));
    });
}

function entriesText(entries: readonly EntryDocument[]): string {
  return formatTable(
    ['TABLE', 'POOL', 'BY', 'KEY', 'SERVER', 'LIVES'],
    entries.map(({ table, pool, by, key, server, remaining }) => [
      table,
      pool ?? '-',
      by,
      key,
      server,
      remaining === null ? 'for ever' : durationText(remaining / 1000),
    ]),
  );
}
