/** `gantry hl7 send HOST:PORT FILE…`: sends messages and shows what is answered. */
import type { Command } from 'commander';
import type { Hl7SendOptions } from './hl7-exchange.ts';

export function addHl7Send(program: Command): void {
  const hl7 = program.command('hl7').description('HL7 tools: gantry hl7 send');
  hl7
    .command('send')
    .description('send the messages of files over MLLP and print each acknowledgement')
    .argument('<host:port>', 'where to')
    .argument('<file...>', 'files of HL7 messages, one after another in each, with or without MLLP framing')
    .option('--timeout <seconds>', 'how long to wait for the connection and for each acknowledgement', '10')
    .option('--batch', 'send what is between FHS and FTS, or BHS and BTS, as one')
    .option('--tls', 'speak TLS; implied by the options below')
    .option('--ca <file>', 'PEM of the authorities that the server is checked by; default: the usual ones')
    .option('--cert <file>', 'PEM of our own certificate')
    .option('--key <file>', 'PEM of its key')
    .option('--servername <name>', 'the name that the server has in its certificate; default: the host')
    .option('--insecure', 'do not check the certificate of the server')
    .addHelpText(
      'after',
      `
For each message a line says what was answered and how soon; the acknowledgement itself follows. A message goes when
the one before is answered, on one connection. What MSH-15 and MSH-16 ask for is waited for: no answer, CA, or CA and
then the application's own. Line ends become carriage returns.

The exit code is 1 when an acknowledgement is missing, for another message, or not positive.

Example:
  gantry hl7 send 127.0.0.1:2310 admission.hl7
  gantry hl7 send ris.example:2575 orders.hl7 --ca ca.pem --cert us.pem --key us.key`,
    )
    .action(async (target: string, files: string[], options: Hl7SendOptions) => {
      const { sendFiles } = await import('./hl7-exchange.ts');
      await sendFiles(target, files, options);
    });
}
