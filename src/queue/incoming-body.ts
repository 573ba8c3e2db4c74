/** A body that is received while it is stored, so that no message is in memory as a whole. */
import type { Buffers } from './buffers.ts';
import { PIECE_BYTES } from './file.ts';
import type { NewMessage, Refusal, Stored } from './message.ts';
import { isRefused, type Operation, type Received, type Result } from './operations.ts';
import type { Traffic } from './traffic.ts';

/** What it asks of the queue. */
export interface BodyKeeper {
  readonly buffers: Buffers;
  readonly traffic: Traffic;
  submit(operation: Operation, told?: (result: Result) => void): void;
  store(message: NewMessage, content: Received, stored: Stored): void;
}

const EMPTY: Uint8Array = new Uint8Array(0);

export class IncomingBody {
  readonly #keeper: BodyKeeper;
  readonly #name: number;
  /** What is gathered, when there is something: the first `#length` bytes of it count. */
  #piece: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;
  /** Pieces that were submitted. */
  #pieces = 0;
  /** Why the body will not be kept. */
  #refusal: Refusal | undefined;
  /** What was given and is not gathered yet, and who waits for that. */
  #rest = EMPTY;
  #written: ((refusal: Refusal | undefined) => void) | undefined;

  /** `name`: unique while the process lives. */
  constructor(keeper: BodyKeeper, name: number) {
    this.#keeper = keeper;
    this.#name = name;
  }

  /**
   * Takes the next bytes, which stay as they are until `written` is called: at once, or when the disk keeps up again;
   * with the reason when the body is not kept. Give no more bytes before that.
   */
  write(bytes: Uint8Array, written: (refusal: Refusal | undefined) => void): void {
    this.#rest = bytes;
    this.#written = written;
    this.#gather();
  }

  /** It is whole, and this is what it belongs to. */
  store(message: NewMessage, stored: Stored): void {
    if (this.#pieces === 0) this.#piece ??= new Uint8Array(0);
    this.#submit();
    const content = { incoming: this.#name, pieces: this.#pieces };
    this.#keeper.store(message, content, (id, refusal) => stored(id, refusal && (this.#refusal ?? refusal)));
  }

  /** It will not be whole. */
  discard(): void {
    this.#rest = EMPTY;
    this.#written = undefined;
    if (this.#piece) this.#keeper.buffers.giveBack(this.#piece.buffer);
    this.#piece = undefined;
    this.#keeper.submit({ do: 'discard', incoming: this.#name });
  }

  readonly #gather = (): void => {
    const { buffers, traffic } = this.#keeper;
    while (this.#rest.length > 0 && !this.#refusal) {
      if (!this.#piece) {
        if (traffic.isJammed) {
          traffic.wait(this.#gather);
          return;
        }
        this.#piece = new Uint8Array(buffers.take(PIECE_BYTES));
      }
      const part = this.#rest.subarray(0, PIECE_BYTES - this.#length);
      this.#piece.set(part, this.#length);
      this.#length += part.length;
      this.#rest = this.#rest.subarray(part.length);
      if (this.#length === PIECE_BYTES) this.#submit();
    }
    const written = this.#written;
    this.#rest = EMPTY;
    this.#written = undefined;
    written?.(this.#refusal);
  };

  #submit(): void {
    if (!this.#piece) return;
    const bytes = this.#piece.subarray(0, this.#length);
    this.#piece = undefined;
    this.#length = 0;
    this.#keeper.traffic.depart();
    this.#keeper.submit({ do: 'piece', incoming: this.#name, number: this.#pieces++, bytes }, this.#told);
  }

  readonly #told = (result: Result): void => {
    if (isRefused(result)) this.#refusal ??= result.refusal;
    this.#keeper.traffic.arrived();
  };
}
