/** `gantry probe -c FILE`: which server knows which AE title, what each accepts, and where servers of a pool differ. */
import type { Command } from 'commander';
import type { Configuration } from '../config/schema.ts';
import type { PoolReport, PoolToProbe } from '../probe/prober.ts';
import { runFailure, usageFailure } from './failure.ts';

interface ProbeCommandOptions {
  readonly config: string;
  readonly vip?: string;
  readonly pool?: string;
  readonly calling?: readonly string[];
  readonly called?: string;
  readonly all?: true;
  readonly timeout: string;
  readonly json?: true;
}

/** Of a server that rejects for now. */
const RETRIES = 2;

export function addProbe(program: Command): void {
  program
    .command('probe')
    .description('ask the DICOM servers which AE titles and contexts they accept, and tell where they differ')
    .requiredOption('-c, --config <file>', 'the configuration')
    .option('--vip <name>', 'only the pools that this VIP reaches')
    .option('--pool <name>', 'only this pool')
    .option('--calling <ae...>', 'further calling AE titles, beside those of the configuration')
    .option('--called <ae>', 'the called AE title, where neither a server nor a rule names one')
    .option('--all', 'every storage SOP class and the rare transfer syntaxes, not only the usual ones')
    .option('--timeout <seconds>', 'how long each answer may take', '5')
    .option('--json', '{ pools: [{ pool, titles, proposed, servers, findings }] }')
    .addHelpText(
      'after',
      `
Associates with each server of each pool as each calling AE title of the configuration (dicom.clients, rules,
tls.aeTitles, the health check), proposes contexts and releases. Nothing is stored or asked for. Each server has
one such association at a time.

The exit code is 0 when the servers of each pool accept the same, 1 when something was found or a server could
not be asked.

Examples:
  gantry probe -c gantry.yaml
  gantry probe -c gantry.yaml --pool archive --calling NEWCT1 NEWCT2 --all --json`,
    )
    .action(async (options: ProbeCommandOptions) => {
      const { checkAeTitle, parseSeconds } = await import('./endpoint.ts');
      const calling = options.calling?.map((ae) => checkAeTitle('--calling', ae));
      if (options.called !== undefined) checkAeTitle('--called', options.called);
      const timeout = parseSeconds(options.timeout.replace(/s$/, ''));
      const { needConfiguration } = await import('./configuration.ts');
      const configuration = await needConfiguration(options.config);
      const pools = await poolsToProbe(configuration, { ...options, calling });
      const reports = await probe(pools, timeout);
      const { probeJson, probeText } = await import('./probe-text.ts');
      const { findingsOf } = await import('../probe/compare.ts');
      process.stdout.write(options.json ? probeJson(reports) : probeText(reports));
      const found = reports.flatMap(findingsOf).length;
      if (found > 0) throw runFailure(found === 1 ? '1 finding' : `${found} findings`);
    });
}

async function poolsToProbe(
  configuration: Configuration,
  options: Pick<ProbeCommandOptions, 'vip' | 'pool' | 'called' | 'all'> & {
    readonly calling: readonly string[] | undefined;
  },
): Promise<PoolToProbe[]> {
  const { planProbe } = await import('../probe-plan.ts');
  const { advice } = await import('../config/fault.ts');
  const { vip, pool } = options;
  const vips = configuration.vips.filter(({ protocol }) => protocol === 'dicom').map(({ name }) => name);
  if (vips.length === 0) throw usageFailure('there is no VIP of protocol dicom: nothing can be probed');
  if (vip !== undefined && !vips.includes(vip))
    throw usageFailure(`there is no VIP "${vip}" of protocol dicom: ${advice(vip, vips)}`);
  const { pool: _, ...anyPool } = options;
  const names = planProbe(configuration, anyPool).map(({ name }) => name);
  if (pool !== undefined && !names.includes(pool))
    throw usageFailure(
      `there is no pool "${pool}" that ${vip ?? 'a VIP of protocol dicom'} reaches: ${advice(pool, names)}`,
    );
  return planProbe(configuration, options);
}

/** One pool after the other, telling a terminal how far it is. */
async function probe(pools: readonly PoolToProbe[], timeout: number): Promise<PoolReport[]> {
  const { probePool } = await import('../probe/prober.ts');
  const { createDeadlines } = await import('../relay/deadlines.ts');
  const deadlines = createDeadlines();
  const tell = (text: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  };
  const reports: PoolReport[] = [];
  for (const pool of pools) {
    const progress = (count: number, total: number) => tell(`pool ${pool.name}: ${count} of ${total}`);
    reports.push(await probePool(pool, { deadlines, timeout, retries: RETRIES, progress }));
  }
  tell('');
  deadlines.close();
  return reports;
}
