/**
 * A library as a process of its own, so that what ends it ends no test:
 *
 *     hl7-library-process.ts receive LIBRARY PORT [keep | MSH-10]     MSH-10: the message that its handler fails at
 *     hl7-library-process.ts send LIBRARY PORT SENDERS COUNT LENGTH     LENGTH: of the last message of each sender
 *
 * Prints `got MSH-10 SHA-256` for each message it gets, or `sent MSH-10 SHA-256 MSA-1 MSA-2` for each that was answered.
 */
import { createHash } from 'node:crypto';
import type { Hl7Library } from './hl7-library.ts';
import { fieldOf } from './hl7-messages.ts';
import { mixedMessage } from './hl7-mix.ts';

const LIBRARIES: Readonly<Record<string, () => Promise<Hl7Library>>> = {
  '@medplum/hl7': async () => (await import('./hl7-medplum.ts')).medplum,
  'hl7v2-net': async () => (await import('./hl7-hl7v2-net.ts')).hl7v2Net,
  'simple-hl7': async () => (await import('./hl7-simple.ts')).simpleHl7,
  'node-hl7-server': async () => (await import('./hl7-node.ts')).nodeHl7,
};

const [role, name, port, ...more] = process.argv.slice(2);
const library = await LIBRARIES[name!]!();
if (role === 'receive') await receive(more[0]);
else await send(Number(more[0]), Number(more[1]), Number(more[2]));

async function receive(option: string | undefined): Promise<void> {
  await library.listen(
    Number(port),
    (message) => {
      const bytes = Buffer.from(message as string);
      const controlId = fieldOf(bytes, 'MSH', 10);
      if (controlId === option) throw new Error('the application failed');
      console.log(`got ${controlId} ${sha256(bytes)}`);
    },
    option === 'keep',
  );
}

async function send(senders: number, count: number, length: number): Promise<void> {
  const all = Array.from({ length: senders }, async (_, sender) => {
    const connection = await library.connect(Number(port));
    for (let index = 0; index < count; index++) {
      const message = mixedMessage(sender, index, index === count - 1 ? length : 0);
      const { sent, answer } = await connection.send(message.toString('utf8'));
      const said = Buffer.from(answer);
      console.log(
        `sent ${fieldOf(message, 'MSH', 10)} ${sha256(Buffer.from(sent))} ${fieldOf(said, 'MSA', 1)} ${fieldOf(said, 'MSA', 2)}`,
      );
    }
    connection.close();
  });
  await Promise.all(all);
  process.exit();
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
