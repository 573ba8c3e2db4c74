/** `gantry status`: what the running balancer says of itself. */
import type { Command } from 'commander';
import type { StatusDocument } from '../admin/documents.ts';

interface StatusOptions {
  readonly admin: string;
  readonly token?: string;
  readonly json?: true;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('show the running balancer: its VIPs, pools and servers')
    .option('--admin <url>', 'where its admin API is', 'http://127.0.0.1:9090')
    .option('--token <token>', 'the admin token; default: the environment variable GANTRY_TOKEN')
    .option('--json', 'the document of GET /api/v1/status')
    .addHelpText(
      'after',
      `
Example:
  gantry status --admin http://127.0.0.1:9090`,
    )
    .action(async ({ admin, token, json }: StatusOptions) => {
      const { askAdmin } = await import('./admin-client.ts');
      const status = (await askAdmin(admin, '/api/v1/status', token)) as StatusDocument;
      process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : await statusText(status));
    });
}

/** The status as tables. */
export async function statusText(status: StatusDocument): Promise<string> {
  const { formatTable } = await import('./table.ts');
  const vips = formatTable(
    ['VIP', 'PROTOCOL', 'MODE', 'LISTEN', 'POOL', 'PERSISTENCE', 'CONNECTIONS', 'TOTALS'],
    status.vips.map((vip) => [
      vip.name,
      vip.protocol ?? '-',
      vip.mode,
      vip.listen.join(' '),
      vip.pool ?? '-',
      vip.persistence,
      String(vip.connections),
      totalsText(vip.totals),
    ]),
  );
  const pools = formatTable(
    ['POOL', 'BALANCE', 'HEALTH', 'SERVER', 'ADDRESS', 'STATE', 'SINCE', 'WEIGHT', 'ACTIVE', 'REASON'],
    status.pools.flatMap((pool) =>
      pool.servers.map((server, index) => [
        ...(index === 0 ? [pool.name, pool.balance, pool.health] : ['', '', '']),
        server.name,
        server.address,
        server.state,
        server.since,
        String(server.weight),
        String(server.active),
        server.reason,
      ]),
    ),
  );
  return `Gantry ${status.version}, up for ${durationText(status.uptime)}\n\n${vips}\n${pools}`;
}

function totalsText(totals: Readonly<Record<string, number>>): string {
  return Object.entries(totals)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

/** `3d 4h 5m 6s`, from the first part that is not 0. */
function durationText(seconds: number): string {
  const whole = Math.floor(seconds);
  const parts = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'm'],
    [whole % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first === -1 ? 3 : first)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ');
}
