/** A body that is received while it is stored, so that no message is in memory as a whole. */
import { PIECE_BYTES } from './file.ts';
import type { NewMessage, Refusal, Stored } from './message.ts';
import { isRefused, type Operation, type Result } from './operations.ts';

/** What it asks of the queue. `bytes` are copied. */
export interface BodyKeeper {
  submit(operation: Operation, told?: (result: Result) => void): void;
  copy(bytes: Uint8Array): Uint8Array;
  store(message: NewMessage, content: Uint8Array | number, stored: Stored): void;
}

export class IncomingBody {
  readonly #keeper: BodyKeeper;
  readonly #name: number;
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #length = 0;
  #refusal: Refusal | undefined;

  /** `name`: unique while the process lives. */
  constructor(keeper: BodyKeeper, name: number) {
    this.#keeper = keeper;
    this.#name = name;
  }

  /**
   * Takes the next bytes; they are copied. `written`, when more may come: at once, or when they are on the disk; with
   * the reason when the queue takes nothing in. Give no more bytes before that.
   */
  write(bytes: Uint8Array, written: (refusal: Refusal | undefined) => void): void {
    let waitsFor = 0;
    const told = (result: Result) => {
      if (isRefused(result)) this.#refusal ??= result.refusal;
      waitsFor--;
      if (waitsFor === 0) written(this.#refusal);
    };
    for (let from = 0; from < bytes.length; ) {
      if (this.#length === PIECE_BYTES) {
        waitsFor++;
        this.#submit(told);
      }
      const part = bytes.subarray(from, from + PIECE_BYTES - this.#length);
      this.#piece.set(part, this.#length);
      this.#length += part.length;
      from += part.length;
    }
    if (waitsFor === 0) written(this.#refusal);
  }

  /** It is whole, and this is what it belongs to. */
  store(message: NewMessage, stored: Stored): void {
    this.#submit();
    this.#keeper.store(message, this.#name, stored);
  }

  /** It will not be whole. */
  discard(): void {
    this.#keeper.submit({ do: 'discard', incoming: this.#name });
  }

  #submit(told?: (result: Result) => void): void {
    const bytes = this.#keeper.copy(this.#piece.subarray(0, this.#length));
    this.#length = 0;
    this.#keeper.submit({ do: 'piece', incoming: this.#name, bytes }, told);
  }
}
