/** `gantry profiles`: the vendor systems that `gantry init` knows. */
import type { Command } from 'commander';

export function addProfiles(program: Command): void {
  program
    .command('profiles')
    .description('list the vendor systems that gantry init writes configurations for')
    .option('--json', 'an array of { name, title, rows, vips }')
    .addHelpText(
      'after',
      `
ROWS are those of the vendor's table, VIPS the addresses that it takes, since ports collide.

Example:
  gantry profiles`,
    )
    .action(async ({ json }: { json?: true }) => {
      const { PROFILES } = await import('../profiles/profiles.ts');
      const { rowsOf } = await import('../profiles/profile.ts');
      const { placesOf } = await import('../profiles/addresses.ts');
      const rows = PROFILES.map((profile) => ({
        name: profile.name,
        title: profile.title,
        rows: rowsOf(profile),
        vips: placesOf(profile).length,
      }));
      if (json) {
        process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
        return;
      }
      const { formatTable } = await import('./table.ts');
      process.stdout.write(
        formatTable(
          ['NAME', 'ROWS', 'VIPS', 'TITLE'],
          rows.map(({ name, title, rows: count, vips }) => [name, `${count}`, `${vips}`, title]),
        ),
      );
    });
}
