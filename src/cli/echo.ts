/** `gantry echo HOST:PORT`: does a DICOM server answer, to these AE titles? */
import type { Command } from 'commander';
import { runFailure } from './failure.ts';

interface EchoOptions {
  readonly called: string;
  readonly calling: string;
  readonly timeout: string;
}

export function addEcho(program: Command): void {
  program
    .command('echo')
    .description('associate with a DICOM server, C-ECHO, release')
    .argument('<host:port>', 'where to')
    .option('--called <ae>', 'the AE title of the server', 'ANY-SCP')
    .option('--calling <ae>', 'our own AE title', 'GANTRY')
    .option('--timeout <seconds>', 'how long it may take', '10')
    .addHelpText(
      'after',
      `
The exit code is 1 when the server does not answer with success.

Example:
  gantry echo 127.0.0.1:11112 --called DEMO --calling TEST`,
    )
    .action(async (target: string, { called, calling, timeout }: EchoOptions) => {
      const { checkAeTitle, parseEndpoint, parseSeconds } = await import('./endpoint.ts');
      const options = {
        ...parseEndpoint(target),
        called: checkAeTitle('--called', called),
        calling: checkAeTitle('--calling', calling),
        timeout: parseSeconds(timeout),
      };
      const { echo } = await import('../pools/health/dicom-echo.ts');
      const { outcome, reason, ms } = await echo(options);
      if (outcome !== 'up') throw runFailure(reason.startsWith(target) ? reason : `${target} ${reason}`);
      process.stdout.write(`${target} ${reason} (${Math.round(ms)} ms)\n`);
    });
}
