/**
 * A long message whose fingerprint is taken as it passes. Only its last byte tells whether it is a repetition: then it
 * breaks there, and no server sees it end.
 */
import { createHash, type Hash } from 'node:crypto';
import type { Fingerprint } from './duplicates.ts';
import type { Break, MessageStream, StreamReader } from './message-stream.ts';

export class HashingStream implements MessageStream, StreamReader {
  readonly #stream: MessageStream;
  /** False: it is a repetition. Asked once. */
  readonly #isWanted: (fingerprint: Fingerprint) => boolean;
  #reader: StreamReader | undefined;
  /** Of what has passed; undefined: all of it has. */
  #hash: Hash | undefined;

  constructor(stream: MessageStream, isWanted: (fingerprint: Fingerprint) => boolean) {
    this.#stream = stream;
    this.#isWanted = isWanted;
    this.#begin();
  }

  get beginning(): Buffer {
    return this.#stream.beginning;
  }

  next(reader: StreamReader): void {
    this.#reader = reader;
    this.#stream.next(this);
  }

  rewind(): boolean {
    if (!this.#stream.rewind()) return false;
    if (this.#hash) this.#begin();
    return true;
  }

  shorten(length: number): void {
    this.#stream.shorten?.(length);
  }

  cancel(): void {
    this.#stream.cancel();
  }

  part(bytes: Buffer): void {
    this.#hash?.update(bytes);
    this.#reader!.part(bytes);
  }

  end(): void {
    const hash = this.#hash;
    this.#hash = undefined;
    if (!hash || this.#isWanted(hash.digest('binary'))) this.#reader!.end();
    else this.#reader!.broken('it is a repetition');
  }

  broken(why: Break): void {
    this.#reader!.broken(why);
  }

  #begin(): void {
    this.#hash = createHash('sha256').update(this.#stream.beginning);
  }
}
