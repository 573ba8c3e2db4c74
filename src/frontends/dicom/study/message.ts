/**
 * One DIMSE message on its way, as the bytes that go on the wire: P-DATA-TF PDUs of one PDV each, with the fragments as
 * they came (PS3.8 Table 9-22, layout in protocols/dicom/pdu-follower.ts). It can be written while it still arrives, and
 * again from its start for as long as it is kept.
 */
import type { Command, CommandToWrite } from '../../../../protocols/dicom/command-set.ts';
import {
  COMMAND_BIT,
  FRAME_HEADER_LENGTH,
  fragmentLength,
  frameControl,
  LAST_BIT,
  putFrameHeader,
  writeCommand,
  writeDataSet,
} from '../../../../protocols/dicom/p-data.ts';
import { CHUNK_LENGTH, giveChunk, type ReplayBudget, takeChunk } from './replay-budget.ts';

/** Command sets have a few hundred bytes: most messages need no more than this. */
const FIRST_CHUNK_LENGTH = 512;

/** A piece of the message's bytes. The header of a frame never lies in two of them. */
export interface MessageChunk {
  readonly bytes: Buffer;
  /** Bytes of it that are the message's. */
  filled: number;
}

export class Message {
  readonly contextId: number;
  /** The last fragment is here. */
  isComplete = false;
  /** Nobody wants the rest of it: what still comes is dropped. */
  isUnwanted = false;
  /** Bytes so far, headers included. */
  length = 0;
  readonly #budget: ReplayBudget | undefined;
  /** Those before the first one that is there were released. */
  readonly #chunks: (MessageChunk | undefined)[] = [];
  #command: Command | undefined;
  #isKept: boolean;
  #keptBytes = 0;
  #released = 0;
  #writers = 0;
  #isOver = false;

  /** With a budget, what was written is kept until `over`, as far as the budget goes. */
  constructor(contextId: number, budget?: ReplayBudget) {
    this.contextId = contextId;
    this.#budget = budget;
    this.#isKept = budget !== undefined;
  }

  /** A whole message of our own. `maxLength`: what its receiver announced. */
  static of(
    contextId: number,
    command: CommandToWrite,
    dataSet: Uint8Array | undefined,
    maxLength: number,
  ): Message {
    const message = new Message(contextId);
    message.#appendFrames(writeCommand(contextId, command, maxLength));
    if (dataSet) message.#appendFrames(writeDataSet(contextId, dataSet, maxLength));
    message.isComplete = true;
    return message;
  }

  get hasCommand(): boolean {
    return this.#command !== undefined;
  }

  /** Known once its last fragment was there. */
  get command(): Command {
    return this.#command!;
  }

  set command(command: Command) {
    this.#command = command;
  }

  /** It can be written again from its start. */
  get isKept(): boolean {
    return this.#isKept;
  }

  get chunkCount(): number {
    return this.#chunks.length;
  }

  chunk(index: number): MessageChunk | undefined {
    return this.#chunks[index];
  }

  /** A PDV begins, of a fragment of `length` bytes. */
  appendHeader(isCommand: boolean, isLast: boolean, length: number): void {
    const { bytes, filled } = this.#room(FRAME_HEADER_LENGTH);
    putFrameHeader(
      bytes,
      filled,
      this.contextId,
      (isCommand ? COMMAND_BIT : 0) | (isLast ? LAST_BIT : 0),
      length,
    );
    this.#grew(FRAME_HEADER_LENGTH);
  }

  /** Bytes of the fragment under way, copied. */
  append(bytes: Uint8Array, start = 0, end = bytes.length): void {
    for (let at = start; at < end; ) {
      const chunk = this.#room(1);
      const count = Math.min(end - at, chunk.bytes.length - chunk.filled);
      chunk.bytes.set(
        at === 0 && count === bytes.length ? bytes : bytes.subarray(at, at + count),
        chunk.filled,
      );
      this.#grew(count);
      at += count;
    }
  }

  /** The fragments of its data set put together: a copy, of a message that is kept. */
  dataSet(): Buffer {
    const all = Buffer.concat(this.#chunks.map((chunk) => chunk!.bytes.subarray(0, chunk!.filled)));
    const fragments: Buffer[] = [];
    for (let at = 0; at < all.length; ) {
      const start = at + FRAME_HEADER_LENGTH;
      const end = start + fragmentLength(all, at);
      if ((frameControl(all, at) & COMMAND_BIT) === 0) fragments.push(all.subarray(start, end));
      at = end;
    }
    return Buffer.concat(fragments);
  }

  /** Somebody writes it, and calls `leave` when it was written. */
  enter(): void {
    this.#writers++;
  }

  leave(): void {
    this.#writers--;
    this.#freeIfIdle();
  }

  /** A writer is beyond the chunks before `index`: what is not kept goes. */
  passed(index: number): void {
    if (this.#isKept) return;
    while (this.#released < index) this.#free(this.#released++);
  }

  /** It will not be written again once those who write it now are done. */
  over(): void {
    this.#isOver = true;
    this.#freeIfIdle();
  }

  #appendFrames(pdus: Buffer): void {
    for (let at = 0; at < pdus.length; ) {
      const length = fragmentLength(pdus, at);
      const control = frameControl(pdus, at);
      this.appendHeader((control & COMMAND_BIT) !== 0, (control & LAST_BIT) !== 0, length);
      at += FRAME_HEADER_LENGTH;
      this.append(pdus, at, at + length);
      at += length;
    }
  }

  /** The last chunk, with room for `count` bytes more. */
  #room(count: number): MessageChunk {
    const last = this.#chunks.at(-1);
    if (last && last.bytes.length - last.filled >= count) return last;
    const isFirst = this.#chunks.length === 0;
    if (!isFirst && this.#isKept) this.#keepMore();
    const chunk = { bytes: isFirst ? Buffer.allocUnsafe(FIRST_CHUNK_LENGTH) : takeChunk(), filled: 0 };
    this.#chunks.push(chunk);
    return chunk;
  }

  #grew(count: number): void {
    this.#chunks.at(-1)!.filled += count;
    this.length += count;
  }

  #keepMore(): void {
    if (this.#budget!.take(this.#keptBytes, CHUNK_LENGTH)) this.#keptBytes += CHUNK_LENGTH;
    else this.#keepNoMore();
  }

  #keepNoMore(): void {
    this.#isKept = false;
    this.#budget?.give(this.#keptBytes);
    this.#keptBytes = 0;
  }

  #freeIfIdle(): void {
    if (!this.#isOver || this.#writers > 0) return;
    this.isUnwanted = true;
    this.#keepNoMore();
    this.passed(this.#chunks.length);
  }

  #free(index: number): void {
    const chunk = this.#chunks[index];
    this.#chunks[index] = undefined;
    if (chunk?.bytes.length === CHUNK_LENGTH) giveChunk(chunk.bytes);
  }
}
