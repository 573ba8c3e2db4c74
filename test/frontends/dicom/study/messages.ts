/** DIMSE messages as bytes, cut in every way that the standard allows, and a channel that takes what it likes. */
import fc from 'fast-check';
import type { Command } from '../../../../protocols/dicom/command-set.ts';
import type { Message } from '../../../../src/frontends/dicom/study/message.ts';
import {
  type MessageListener,
  MessageReader,
  type MessageReaderOptions,
} from '../../../../src/frontends/dicom/study/message-reader.ts';
import type { Channel, ChannelHandler } from '../../../../src/relay/channel.ts';
import { COMMAND, writeCommand } from '../../../peers/commands.ts';
import { CT_IMAGE_STORAGE, EXPLICIT_LITTLE, PDU_TYPE, pData, pdu, readPdvs } from '../../../peers/pdus.ts';

/** Presentation contexts that are accepted in these tests. */
export const CONTEXTS: ReadonlyMap<number, string> = new Map([
  [1, EXPLICIT_LITTLE],
  [3, EXPLICIT_LITTLE],
]);

export interface Fragment {
  readonly contextId: number;
  readonly isCommand: boolean;
  readonly isLast: boolean;
  readonly bytes: Buffer;
}

/** A C-STORE-RQ; without a data set a C-ECHO-RQ. */
export function commandOf(messageId: number, hasDataSet: boolean): Buffer {
  return hasDataSet
    ? writeCommand({
        field: COMMAND.C_STORE_RQ,
        sopClass: CT_IMAGE_STORAGE,
        sopInstance: `1.2.3.${messageId}`,
        messageId,
        hasDataSet,
      })
    : writeCommand({ field: COMMAND.C_ECHO_RQ, messageId, hasDataSet });
}

/** Cuts `bytes` into fragments of these lengths, in turn. */
export function fragmentsOf(
  contextId: number,
  isCommand: boolean,
  bytes: Buffer,
  lengths: readonly number[],
): Fragment[] {
  const fragments: Fragment[] = [];
  let at = 0;
  do {
    const end = Math.min(bytes.length, at + lengths[fragments.length % lengths.length]!);
    fragments.push({
      contextId,
      isCommand,
      isLast: end === bytes.length,
      bytes: bytes.subarray(at, end),
    });
    at = end;
  } while (at < bytes.length);
  return fragments;
}

/** A C-STORE-RQ, or without `dataSet` a C-ECHO-RQ, in fragments of these lengths. */
export function messageOf(
  messageId: number,
  dataSet: Buffer | undefined,
  lengths: readonly number[] = [16_384],
  contextId = 1,
): Fragment[] {
  const command = fragmentsOf(contextId, true, commandOf(messageId, dataSet !== undefined), lengths);
  return dataSet ? [...command, ...fragmentsOf(contextId, false, dataSet, lengths)] : command;
}

/** Each fragment as the only one of its P-DATA-TF. */
export function wireOf(fragments: readonly Fragment[]): Buffer {
  return Buffer.concat(
    fragments.map(({ contextId, isCommand, isLast, bytes }) =>
      pData(contextId, isCommand ? 'command' : 'data', isLast, bytes),
    ),
  );
}

/** P-DATA-TFs with so many PDVs each, in turn. */
export function packed(fragments: readonly Fragment[], perPdu: readonly number[]): Buffer {
  const pdus: Buffer[] = [];
  for (let at = 0; at < fragments.length; ) {
    const count = perPdu[pdus.length % perPdu.length]!;
    const pdvs = fragments.slice(at, at + count).map((one) => wireOf([one]).subarray(6));
    pdus.push(pdu(PDU_TYPE.DATA, ...pdvs));
    at += count;
  }
  return Buffer.concat(pdus);
}

/** `bytes` in pieces of these lengths, in turn. */
export function* cut(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const end = at + lengths[index % lengths.length]!;
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** What a receiver makes of P-DATA-TFs: per message its command and its data set. */
export function readMessages(wire: Buffer): { command: Buffer; dataSet: Buffer; contextId: number }[] {
  const messages: { command: Buffer; dataSet: Buffer; contextId: number }[] = [];
  const so = { command: [] as Buffer[], dataSet: [] as Buffer[] };
  for (const { contextId, isCommand, isLast, fragment } of pdusOf(wire).flatMap(readPdvs)) {
    (isCommand ? so.command : so.dataSet).push(fragment);
    const command = Buffer.concat(so.command);
    if (!isLast || (isCommand && hasDataSet(command))) continue;
    messages.push({ command, dataSet: Buffer.concat(so.dataSet), contextId });
    so.command = [];
    so.dataSet = [];
  }
  return messages;
}

function hasDataSet(command: Buffer): boolean {
  return command.readUInt16LE(command.indexOf(Buffer.of(0, 0, 0, 8, 2, 0, 0, 0)) + 8) !== 0x0101;
}

/** Whole PDUs; throws when the last one is cut off. */
export function pdusOf(wire: Buffer): Buffer[] {
  const pdus: Buffer[] = [];
  for (let at = 0; at < wire.length; ) {
    const end = at + 6 + wire.readUInt32BE(at + 2);
    if (end > wire.length) throw new Error('the last PDU is cut off');
    pdus.push(wire.subarray(at, end));
    at = end;
  }
  return pdus;
}

export const even = (least: number, most: number) =>
  fc.integer({ min: least / 2, max: most / 2 }).map((half) => half * 2);

/** Lengths of pieces in which bytes arrive. */
export const arbitraryCuts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 8 });

const arbitraryMessage = fc.record({
  contextId: fc.constantFrom(1, 3),
  dataSet: fc.option(
    even(0, 3000).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })),
    { nil: undefined, freq: 4 },
  ),
  lengths: fc.array(even(2, 700), { minLength: 1, maxLength: 4 }),
});

/** A few messages after one another: their fragments, and the stream that carries them. */
export const arbitraryStream = fc
  .record({
    messages: fc.array(arbitraryMessage, { minLength: 1, maxLength: 4 }),
    perPdu: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
  })
  .map(({ messages, perPdu }) => {
    const fragments = messages.map(({ dataSet, lengths, contextId }, index) =>
      messageOf(index + 1, dataSet && Buffer.from(dataSet), lengths, contextId),
    );
    return { fragments, stream: packed(fragments.flat(), perPdu) };
  });

/** What a reader said, and the messages that it made. */
export class Heard implements MessageListener {
  readonly messages: Message[] = [];
  readonly commands: Command[] = [];
  readonly ended: Message[] = [];
  readonly others: string[] = [];
  /** `REASON WHAT`. */
  fault: string | undefined;
  /** Called as soon as a message has begun. */
  began: (message: Message) => void = () => {};
  /** Called behind each `push`. */
  pushed: () => void = () => {};
  readonly reader: MessageReader;

  constructor(options: Partial<MessageReaderOptions> = {}) {
    this.reader = new MessageReader(this, { contexts: CONTEXTS, ...options });
  }

  messageBegan(message: Message): void {
    this.messages.push(message);
    this.commands.push(message.command);
    this.began(message);
  }

  messageArrived(): void {}

  messageEnded(message: Message): void {
    this.ended.push(message);
  }

  otherPdu(type: number, source: number, reason: number): void {
    this.others.push(`${type} ${source}/${reason}`);
  }

  broken(reason: number, what: string): void {
    if (this.fault !== undefined) throw new Error('a second fault');
    this.fault = `${reason} ${what}`;
  }

  push(pieces: Iterable<Buffer>): this {
    for (const piece of pieces) {
      this.reader.push(piece);
      this.pushed();
    }
    return this;
  }
}

/** Takes writes or refuses them as it is told, and notices when bytes that it holds change. */
export class FakeChannel implements Channel {
  handler: ChannelHandler = { read() {}, ended() {}, closed() {} };
  readonly remote = { host: '', port: 0 };
  readonly local = { host: '', port: 0 };
  bytesRead = 0;
  bytesWritten = 0;
  open = true;
  readonly #written: Buffer[] = [];
  readonly #accepts: () => boolean;
  #held: { readonly bytes: Uint8Array; readonly asGiven: Buffer; readonly done?: () => void } | undefined;

  /** `accepts`: does the kernel take the next write at once? */
  constructor(accepts: () => boolean = () => true) {
    this.#accepts = accepts;
  }

  /** All that was written, as it was when the kernel took it. */
  get bytes(): Buffer {
    return Buffer.concat(this.#written);
  }

  get pending(): number {
    return this.#held?.bytes.length ?? 0;
  }

  write(bytes: Uint8Array, done?: () => void): boolean {
    if (this.#held) throw new Error('written before the write before was done');
    this.bytesWritten += bytes.length;
    if (this.#accepts()) {
      this.#written.push(Buffer.from(bytes));
      return true;
    }
    this.#held = { bytes, asGiven: Buffer.from(bytes), ...(done && { done }) };
    return false;
  }

  /** The kernel takes what it refused. False: there was nothing. */
  drain(): boolean {
    const held = this.#held;
    if (!held) return false;
    if (!held.asGiven.equals(held.bytes)) throw new Error('bytes changed while the channel held them');
    this.#held = undefined;
    this.#written.push(held.asGiven);
    held.done?.();
    return true;
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  reset(): void {
    this.open = false;
  }
}

/** Refuses where the list says so, in turn. */
export function refusing(pattern: readonly boolean[]): () => boolean {
  let index = 0;
  return () => !pattern[index++ % pattern.length]!;
}
