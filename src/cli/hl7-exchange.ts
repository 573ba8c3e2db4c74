/** Sends the messages of files, one after another on one connection, and prints what is answered. */
import {
  type AcknowledgementMode,
  acknowledgementMode,
  isCommit,
  isPositive,
  isSent,
  matches,
  readAcknowledgement,
} from '../../protocols/hl7/acknowledgement.ts';
import { openMessage } from '../../protocols/hl7/cursor.ts';
import { commitAcknowledgement } from '../../protocols/hl7/mllp.ts';
import { checkTlsClient, type TlsClientOptions } from '../relay/tls-client.ts';
import { parseEndpoint, parseSeconds } from './endpoint.ts';
import { runFailure, usageFailure } from './failure.ts';
import { messagesIn } from './hl7-file.ts';
import { readInput } from './input.ts';
import { MllpClient } from './mllp-client.ts';
import { printable } from './table.ts';

export interface Hl7SendOptions {
  readonly timeout: string;
  readonly batch?: true;
  readonly tls?: true;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly insecure?: true;
}

export async function sendFiles(
  target: string,
  files: readonly string[],
  options: Hl7SendOptions,
): Promise<void> {
  const endpoint = parseEndpoint(target);
  const timeout = parseSeconds(options.timeout);
  const tls = tlsOf(options);
  const messages = files.flatMap((file) => outgoingIn(file, options.batch ?? false));
  const client = await MllpClient.connect(endpoint, timeout, tls);
  let refused = 0;
  try {
    const owed = new Set<string>();
    for (const message of messages) refused += (await exchange(client, message, timeout, owed)) ? 0 : 1;
  } finally {
    await client.close();
  }
  if (refused > 0) throw runFailure(`${refused} of ${messages.length} messages were refused`);
}

/** undefined: no TLS. */
function tlsOf({ tls, ca, cert, key, servername, insecure }: Hl7SendOptions): TlsClientOptions | undefined {
  if (!(tls || ca || cert || key || servername || insecure)) return undefined;
  if ((cert === undefined) !== (key === undefined)) throw usageFailure('--cert and --key go together');
  const pem = (file: string | undefined) => (file === undefined ? undefined : readInput(file).toString());
  const options = { verify: !insecure, ca: pem(ca), cert: pem(cert), key: pem(key), servername };
  try {
    checkTlsClient(options);
  } catch (error) {
    throw usageFailure((error as Error).message);
  }
  return options;
}

interface Outgoing {
  readonly bytes: Buffer;
  /** Where it comes from and what it is. */
  readonly name: string;
  readonly controlId: string;
  readonly mode: AcknowledgementMode;
}

function outgoingIn(file: string, wholeBatches: boolean): Outgoing[] {
  const found = messagesIn(readInput(file), wholeBatches);
  if (found.length === 0) throw usageFailure(`${file} has no HL7 message: none begins with MSH`);
  return found.map((bytes, index) => {
    const message = openMessage(bytes);
    const kind = message.batch ? 'batch' : [message.header(9, 1), message.header(9, 2)].join('^');
    // FHS-11 and BHS-11, the batch control id (HL7 v2.5.1 2.14.2, 2.14.4).
    const controlId = message.header(message.batch ? 11 : 10);
    return {
      bytes,
      name: `${file}, message ${index + 1}, ${printable(`${kind} ${controlId}`)}`,
      controlId,
      mode: acknowledgementMode(message),
    };
  });
}

/**
 * Sends a message and prints what comes back. True: all is well. Throws when what follows would mean nothing. `owed`:
 * control ids of messages that were taken, and whose application may answer yet.
 */
async function exchange(
  client: MllpClient,
  { bytes, name, controlId, mode }: Outgoing,
  timeout: number,
  owed: Set<string>,
): Promise<boolean> {
  const say = (text: string) => process.stdout.write(`${name}: ${text}\n`);
  const within = `within ${timeout / 1000} s`;
  const start = performance.now();
  client.send(bytes);
  if (mode.accept === 'NE' && mode.application === 'NE') {
    say('sent, and it asks for no answer (MSH-15, MSH-16)');
    return true;
  }
  let isTaken = false;
  for (;;) {
    const answer = await client.answer(timeout);
    if (!answer) {
      const isSilent = client.lost === undefined;
      if (isSilent && isTaken) {
        say(`no answer of its application came on this connection ${within}`);
        owed.add(controlId.trim());
      } else if (isSilent && !isSent(mode.accept, true) && !isSent(mode.application, true)) {
        say(`no answer ${within}: it asks for one only when something is wrong (MSH-15, MSH-16)`);
      } else {
        const why = client.lost ?? `none came ${within}`;
        throw runFailure(`${name}: no acknowledgement from ${client.target}: ${why}`);
      }
      return true;
    }
    const after = `after ${Math.round(performance.now() - start)} ms`;
    const block = commitAcknowledgement(answer);
    if (block !== undefined) {
      say(`${block}, says MLLP release 2 ${after}`);
      if (block === 'not committed') return false;
      continue;
    }
    const acknowledgement = readAcknowledgement(answer);
    const isLate = acknowledgement !== undefined && owed.delete(acknowledgement.controlId);
    const text = openMessage(answer).text('MSA-3');
    const what = `${isLate ? 'an answer to an earlier message, ' : ''}${acknowledgement?.code ?? 'no code'}`;
    say(`${what} ${after}${text ? `: ${printable(text)}` : ''}\n${linesOf(answer)}`);
    if (isLate) continue;
    if (!acknowledgement) throw runFailure(`${name}: what was answered is not an acknowledgement`);
    if (!matches(acknowledgement, controlId, 'strict'))
      throw runFailure(`${name}: the acknowledgement is for another message (MSA-2 is not its MSH-10)`);
    if (!isPositive(acknowledgement.code)) return false;
    const isFinal = !isCommit(acknowledgement.code) || !mode.enhanced || !isSent(mode.application, true);
    if (isFinal) return true;
    isTaken = true;
  }
}

/** A segment a line; what a terminal would obey is shown, not sent. */
function linesOf(message: Buffer): string {
  return message
    .toString('utf8')
    .split(/\r\n?|\n/)
    .map(printable)
    .join('\n')
    .trimEnd();
}
