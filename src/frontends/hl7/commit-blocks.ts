/**
 * The commit acknowledgements that we write on a connection (MLLP release 2). None may stand inside a block of ours that
 * is written in parts: it waits for the end of that.
 */
import { COMMITTED, encodeFrame, type MllpBlocks, NOT_COMMITTED } from '../../../protocols/hl7/mllp.ts';
import type { Channel } from '../../relay/channel.ts';

export class CommitBlocks {
  readonly #channel: Channel;
  readonly #committed: Buffer;
  readonly #notCommitted: Buffer;
  #held: Buffer[] | undefined;

  constructor(channel: Channel, blocks: MllpBlocks) {
    this.#channel = channel;
    this.#committed = encodeFrame(COMMITTED, blocks);
    this.#notCommitted = encodeFrame(NOT_COMMITTED, blocks);
  }

  /** What came was passed on, or had been. */
  accept(): void {
    this.#write(this.#committed);
  }

  /** What came was dropped. */
  refuse(): void {
    this.#write(this.#notCommitted);
  }

  /** A block of ours begins that is written in parts. */
  hold(): void {
    this.#held = [];
  }

  /** It has ended. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const block of held) this.#channel.write(block);
  }

  #write(block: Buffer): void {
    if (this.#held) this.#held.push(block);
    else this.#channel.write(block);
  }
}
