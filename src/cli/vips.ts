/** `gantry vips -c FILE`: the VIP table. */
import type { Command } from 'commander';
import type { Configuration, PoolConfiguration, VipConfiguration } from '../config/schema.ts';
import { persistenceName } from '../report.ts';

/** One row. A pool that only routes reach has the mode `backend` and no ports. */
export interface VipRow {
  readonly name: string;
  readonly mode: 'proxy' | 'dr' | 'nat' | 'snat' | 'backend';
  /** null below layer 7. */
  readonly protocol: string | null;
  readonly ports: readonly number[] | '*';
  /** `none`, `source-ip`, `cookie` or the fact; a chain is joined with `, `. */
  readonly persistence: string;
  readonly health: string;
}

export function addVips(program: Command): void {
  program
    .command('vips')
    .description('show the virtual services of a configuration')
    .requiredOption('-c, --config <file>', 'the configuration')
    .option('--json', 'an array of { name, mode, protocol, ports, persistence, health }')
    .addHelpText(
      'after',
      `
After each VIP come the pools that only its routes reach, with the mode "backend".

Example:
  gantry vips -c gantry.yaml`,
    )
    .action(async ({ config, json }: { config: string; json?: true }) => {
      const { needConfiguration } = await import('./configuration.ts');
      const rows = vipRows(await needConfiguration(config));
      if (json) {
        process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
        return;
      }
      const { formatTable } = await import('./table.ts');
      process.stdout.write(
        formatTable(
          ['NAME', 'MODE', 'PROTOCOL', 'PORTS', 'PERSISTENCE', 'HEALTH'],
          rows.map(({ name, mode, protocol, ports, persistence, health }) => [
            name,
            mode,
            protocol ?? '-',
            ports === '*' ? ports : ports.join(',') || '-',
            persistence,
            health,
          ]),
        ),
      );
    });
}

export function vipRows({ vips, pools }: Configuration): VipRow[] {
  const own = new Set(vips.map((vip) => vip.pool));
  const shown = new Set<string>();
  return vips.flatMap((vip) => {
    const backends = vip.routes.flatMap((route) => {
      const pool = pools.find(({ name }) => name === route.pool);
      if (!pool || own.has(pool.name) || shown.has(pool.name)) return [];
      shown.add(pool.name);
      return [{ ...row(pool.name, vip, pool, pools), mode: 'backend' as const }];
    });
    const pool = pools.find(({ name }) => name === vip.pool);
    const ports = portsOf(vip);
    return [{ ...row(vip.name, vip, pool, pools), ports }, ...backends];
  });
}

function row(
  name: string,
  vip: VipConfiguration,
  pool: PoolConfiguration | undefined,
  pools: readonly PoolConfiguration[],
): VipRow {
  return {
    name,
    mode: vip.mode,
    protocol: vip.protocol,
    ports: [],
    persistence: persistenceName(vip, pool),
    health: pool ? checkOf(pool, pools) : 'none',
  };
}

function portsOf({ listen }: VipConfiguration): VipRow['ports'] {
  const ports = [...new Set(listen.map(({ port }) => port))];
  return ports.includes('*') ? '*' : (ports as number[]);
}

/** Of a pool that tracks another: the check of that one. */
function checkOf({ health }: PoolConfiguration, pools: readonly PoolConfiguration[]): string {
  if (health.check !== 'track') return health.check;
  return pools.find(({ name }) => name === health.pool)!.health.check;
}
