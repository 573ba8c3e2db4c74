/** `gantry dicom send HOST:PORT FILE…`: stores DICOM files. */
import type { Command } from 'commander';
import { runFailure } from './failure.ts';

interface SendOptions {
  readonly called: string;
  readonly calling: string;
  readonly timeout: string;
}

export function addDicomSend(program: Command): void {
  const dicom = program.command('dicom').description('DICOM tools: gantry dicom send');
  dicom
    .command('send')
    .description('store DICOM files on one association')
    .argument('<host:port>', 'where to')
    .argument('<file...>', 'DICOM files')
    .option('--called <ae>', 'the AE title of the server', 'ANY-SCP')
    .option('--calling <ae>', 'our own AE title', 'GANTRY')
    .option('--timeout <seconds>', 'how long each step may take', '10')
    .addHelpText(
      'after',
      `
Prints the status of each file. The exit code is 1 when one was not stored.

Example:
  gantry dicom send 127.0.0.1:11112 --called DEMO image.dcm`,
    )
    .action(async (target: string, files: string[], { called, calling, timeout }: SendOptions) => {
      const { parseEndpoint, parseSeconds, checkAeTitle } = await import('./endpoint.ts');
      const endpoint = parseEndpoint(target);
      const options = {
        called: checkAeTitle('--called', called),
        calling: checkAeTitle('--calling', calling),
        timeout: parseSeconds(timeout),
      };
      const { store } = await import('./dimse.ts');
      let count = 0;
      const answered = new Set<string>();
      await store(endpoint, files, options, ({ file, status }) => {
        answered.add(file);
        const isStored = status !== undefined && (status === 0 || (status & 0xf000) === 0xb000);
        if (isStored) count += 1;
        const code = status === undefined ? 'no answer' : status.toString(16).toUpperCase().padStart(4, '0');
        process.stdout.write(`${file}: ${isStored ? 'stored' : 'not stored'} (${code})\n`);
      });
      for (const file of files)
        if (!answered.has(file)) process.stdout.write(`${file}: not stored (no answer)\n`);
      if (count < files.length)
        throw runFailure(`${files.length - count} of ${files.length} files were not stored`);
    });
}
