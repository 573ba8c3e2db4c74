/** `gantry check -c FILE`: judges a configuration. */
import type { Command } from 'commander';
import { Failure } from './failure.ts';

export function addCheck(program: Command): void {
  program
    .command('check')
    .description('judge a configuration: print every fault, or nothing')
    .requiredOption('-c, --config <file>', 'the configuration')
    .addHelpText(
      'after',
      `
Faults are printed as FILE:LINE:COL: path: what is wrong and what would be right (exit code 2).
What only this machine lacks, such as an address, is a warning on standard error.

Example:
  gantry check -c gantry.yaml`,
    )
    .action(async ({ config }: { config: string }) => {
      const { faultLines, loadFile } = await import('./configuration.ts');
      const loaded = await loadFile(config);
      if (loaded.faults) {
        process.stdout.write(faultLines(loaded.faults));
        throw new Failure('', 2);
      }
      const { missingOnMachine } = await import('../config/machine.ts');
      for (const sentence of missingOnMachine(loaded.configuration)) {
        process.stderr.write(`warning: ${config}: ${sentence}\n`);
      }
    });
}
