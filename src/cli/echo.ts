/** `gantry echo HOST:PORT`: does a DICOM server answer, to these AE titles? */
import type { Command } from 'commander';

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
    .action(async (target: string, options: { called: string; calling: string; timeout: string }) => {
      const { echo } = await import('./echo-client.ts');
      process.stdout.write(`${await echo(target, options)}\n`);
    });
}
