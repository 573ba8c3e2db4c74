/** `gantry demo`: what `npm start` runs. */
import { type Command, InvalidArgumentError } from 'commander';

interface Options {
  readonly dicomPort: number;
  readonly hl7Port: number;
  readonly adminPort: number;
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('run a balancer in front of embedded servers, to try it out')
    .option('--dicom-port <port>', 'listen for DICOM here', port, 11112)
    .option('--hl7-port <port>', 'listen for HL7 here', port, 2310)
    .option('--admin-port <port>', 'listen for the API and the dashboard here', port, 9090)
    .addHelpText('after', '\nEverything listens on 127.0.0.1. Ctrl-C ends it.')
    .action(async (options: Options) => {
      const { runDemo } = await import('../demo/demo.ts');
      await runDemo(options);
    });
}

function port(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < 1 || number > 65_535)
    throw new InvalidArgumentError('A port is 1 to 65535.');
  return number;
}
