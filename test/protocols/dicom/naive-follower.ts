/**
 * What pdu-follower.ts has to find, found the slow way: from all bytes at once, by slicing, with nothing carried over
 * between pieces. The reference of its property tests.
 */
import { decodeCommand } from '../../../protocols/dicom/command-set.ts';
import { createPduFollower } from '../../../protocols/dicom/pdu-follower.ts';

/** `start TYPE LENGTH`, `end TYPE SOURCE REASON`, `command FIELD ID @CONTEXT`, `data @CONTEXT`, `fault`. */
export interface Followed {
  readonly events: readonly string[];
  /** After how many bytes an A-ABORT may follow. */
  readonly boundaries: ReadonlySet<number>;
}

export function followNaively(bytes: Buffer): Followed {
  const events: string[] = [];
  const boundaries = new Set<number>([0]);
  const message: MessageSoFar = { fragments: [], context: undefined };
  for (let at = 0; at < bytes.length; ) {
    const type = bytes[at]!;
    if (type < 1 || type > 7) return { events: [...events, 'fault'], boundaries };
    if (bytes.length - at < 6) break;
    const length = bytes.readUInt32BE(at + 2);
    events.push(`start ${type} ${length}`);
    const field = bytes.subarray(at + 6, at + 6 + length);
    if (type === 4 && !readPdvs(field, length, message, events)) {
      return { events: [...events, 'fault'], boundaries };
    }
    if (field.length < length) break;
    const hasReason = (type === 3 || type === 7) && length > 0;
    const [source, reason] = hasReason ? [field.at(-2) ?? 0, field.at(-1)] : [0, 0];
    events.push(`end ${type} ${source} ${reason}`);
    at += 6 + length;
    boundaries.add(at);
  }
  return { events, boundaries };
}

interface MessageSoFar {
  fragments: Buffer[];
  context: number | undefined;
}

/** False when the PDVs are broken. `length` is what the PDU announces; `field` may have less of it. */
function readPdvs(field: Buffer, length: number, message: MessageSoFar, events: string[]): boolean {
  for (let at = 0; at < field.length; ) {
    if (length - at < 6) return false;
    if (field.length - at < 6) return true;
    const fragment = field.readUInt32BE(at) - 2;
    const context = field[at + 4]!;
    const isCommand = (field[at + 5]! & 1) === 1;
    const isLast = (field[at + 5]! & 2) === 2;
    if (fragment < 0 || fragment > length - at - 6) return false;
    if (message.context !== undefined && (!isCommand || message.context !== context)) return false;
    const collected = message.fragments.reduce((sum, part) => sum + part.length, 0);
    if (isCommand && collected + fragment > 65536) return false;
    if (isCommand) message.context = context;
    const bytes = field.subarray(at + 6, at + 6 + fragment);
    if (bytes.length < fragment) return true;
    if (isCommand) message.fragments.push(bytes);
    if (isCommand && isLast) {
      try {
        const command = decodeCommand(Buffer.concat(message.fragments));
        events.push(`command ${command.commandField} ${command.messageId} @${context}`);
      } catch {
        return false;
      }
      message.fragments = [];
      message.context = undefined;
    } else if (isLast) {
      events.push(`data @${context}`);
    }
    at += 6 + fragment;
  }
  return true;
}

/** The same from the follower itself, fed with `chunks`; `atBoundary` is asked after each of them. */
export function followInPieces(chunks: readonly Buffer[]): Followed {
  const events: string[] = [];
  const boundaries = new Set<number>();
  const follower = createPduFollower({
    pduStart: (type, length) => events.push(`start ${type} ${length}`),
    pduEnd: (type, source, reason) => events.push(`end ${type} ${source} ${reason}`),
    command: (command, context) =>
      events.push(`command ${command.commandField} ${command.messageId} @${context}`),
    dataEnd: (context) => events.push(`data @${context}`),
    fault: () => events.push('fault'),
  });
  if (follower.atBoundary) boundaries.add(0);
  let at = 0;
  for (const chunk of chunks) {
    follower.push(chunk);
    at += chunk.length;
    if (follower.atBoundary) boundaries.add(at);
  }
  return { events, boundaries };
}
