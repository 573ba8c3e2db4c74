/** `gantry status`: what the running balancer says of itself. */
import type { Command } from 'commander';
import type { StatusDocument } from '../admin/documents.ts';
import { type AdminOptions, askAdmin, withAdminOptions } from './admin-client.ts';
import { durationText } from './duration.ts';

interface StatusOptions extends AdminOptions {
  readonly json?: true;
}

export function addStatus(program: Command): void {
  withAdminOptions(program.command('status'))
    .description('show the running balancer: its VIPs, pools and servers')
    .option('--json', 'the document of GET /api/v1/status')
    .addHelpText(
      'after',
      `
Example:
  gantry status --admin http://127.0.0.1:9090`,
    )
    .action(async ({ json, ...admin }: StatusOptions) => {
      const status = (await askAdmin(admin, { method: 'GET', path: '/api/v1/status' })) as StatusDocument;
      process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : await statusText(status));
    });
}

/** The status as tables. */
export async function statusText(status: StatusDocument): Promise<string> {
  const { formatTable } = await import('./table.ts');
  const { vipQueuesText } = await import('./queue-text.ts');
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
        pool.activeServer === server.name ? `${server.name} (active)` : server.name,
        server.address,
        server.state,
        server.since,
        String(server.weight),
        String(server.active),
        server.reason,
      ]),
    ),
  );
  const queues = vipQueuesText(status.vips, Date.now());
  const tables = [vips, queues, pools].filter((table) => table !== '');
  return `Gantry ${status.version}, up for ${durationText(status.uptime)}\n\n${tables.join('\n')}`;
}

function totalsText(totals: Readonly<Record<string, number>>): string {
  return Object.entries(totals)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
