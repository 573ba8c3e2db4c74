/** `gantry run -c FILE`: the balancer, in the foreground. */
import type { Command } from 'commander';

export function addRun(program: Command): void {
  program
    .command('run')
    .description('run the balancer in the foreground')
    .requiredOption('-c, --config <file>', 'the configuration')
    .addHelpText(
      'after',
      `
Logs JSON lines to standard output. SIGTERM (or Ctrl-C) lets work in hand finish and ends; a second one ends at once.
SIGHUP reads the configuration again; a faulty one changes nothing.

Example:
  gantry run -c gantry.yaml`,
    )
    .action(async ({ config }: { config: string }) => {
      const { needConfiguration } = await import('./configuration.ts');
      const configuration = await needConfiguration(config);
      const { runBalancer } = await import('./run-balancer.ts');
      await runBalancer(configuration, config);
    });
}
