/** `gantry hl7 send HOST:PORT FILE…`: sends messages and shows what is answered. */
import type { Command } from 'commander';
import { runFailure, usageFailure } from './failure.ts';

export function addHl7Send(program: Command): void {
  const hl7 = program.command('hl7').description('HL7 tools: gantry hl7 send');
  hl7
    .command('send')
    .description('send the messages of files over MLLP and print each acknowledgement')
    .argument('<host:port>', 'where to')
    .argument('<file...>', 'files of HL7 messages, one after another in each, with or without MLLP framing')
    .option('--timeout <seconds>', 'how long to wait for an acknowledgement', '10')
    .addHelpText(
      'after',
      `
Line ends become carriage returns. The exit code is 1 when an acknowledgement is missing or not positive.

Example:
  gantry hl7 send 127.0.0.1:2310 admission.hl7`,
    )
    .action(async (target: string, files: string[], { timeout }: { timeout: string }) => {
      const { parseEndpoint, parseSeconds } = await import('./endpoint.ts');
      const { readInput } = await import('./input.ts');
      const { MllpClient, messagesIn } = await import('./mllp-client.ts');
      const { openMessage } = await import('../../protocols/hl7/cursor.ts');
      const { isPositive, matches, readAcknowledgement } = await import(
        '../../protocols/hl7/acknowledgement.ts'
      );
      const endpoint = parseEndpoint(target);
      const milliseconds = parseSeconds(timeout);
      const messages = files.flatMap((file) => {
        const found = messagesIn(readInput(file));
        if (found.length === 0) throw usageFailure(`${file} has no HL7 message: none begins with MSH`);
        return found.map((message, index) => ({ message, name: `${file}, message ${index + 1}` }));
      });
      const client = await MllpClient.connect(endpoint, milliseconds);
      let refused = 0;
      try {
        for (const { message, name } of messages) {
          const answer = await client.exchange(message, name);
          process.stdout.write(`${answer.toString('utf8').replace(/\r\n?/g, '\n').trimEnd()}\n`);
          const acknowledgement = readAcknowledgement(answer);
          const controlId = openMessage(message).header(10);
          if (!acknowledgement) throw runFailure(`${name}: what was answered is not an acknowledgement`);
          if (!matches(acknowledgement, controlId, 'strict')) {
            throw runFailure(`${name}: the acknowledgement is for another message (MSA-2 is not its MSH-10)`);
          }
          if (!isPositive(acknowledgement.code)) refused += 1;
        }
      } finally {
        client.close();
      }
      if (refused > 0) throw runFailure(`${refused} of ${messages.length} messages were refused`);
    });
}
