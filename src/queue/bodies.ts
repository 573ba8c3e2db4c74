/** Bodies: those of messages, and those that are being received piece by piece and belong to no message yet. */
import { free } from './buffers.ts';
import { MOST_PIECES } from './file.ts';
import type { Refusal } from './message.ts';
import type { OperationOf, Received } from './operations.ts';
import type { Rows } from './rows.ts';

interface Incoming {
  readonly body: number;
  size: number;
  pieces: number;
  /** A piece of it was lost with its transaction. */
  isSpoiled: boolean;
}

export class Bodies {
  readonly #rows: Rows;
  readonly #incoming = new Map<number, Incoming>();
  /** Those that the transaction has changed. */
  #touched: Incoming[] = [];
  /** What is in the file of bodies that nobody wants. */
  #leftovers: number[] = [];
  #cleaned = 0;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** Bytes of those that are being received. */
  get bytes(): number {
    let sum = 0;
    for (const { size } of this.#incoming.values()) sum += size;
    return sum;
  }

  /** A transaction began. */
  begin(): void {
    for (const body of this.#leftovers) this.#remove(body);
    this.#cleaned = this.#leftovers.length;
  }

  committed(): void {
    this.#touched = [];
    if (this.#cleaned > 0) this.#leftovers = this.#leftovers.slice(this.#cleaned);
    this.#cleaned = 0;
  }

  rolledBack(): void {
    this.#cleaned = 0;
    for (const incoming of this.#touched) {
      if (incoming.isSpoiled) continue;
      incoming.isSpoiled = true;
      this.#leftovers.push(incoming.body);
    }
    this.#touched = [];
  }

  /** A piece came. Returns why it is not taken: the body is too long, or a piece before it was lost. */
  add({ incoming: name, number, bytes }: OperationOf<'piece'>): Refusal | undefined {
    let incoming = this.#incoming.get(name);
    if (!incoming) {
      if (number > 0) return 'unavailable';
      const body = this.#rows.freshId();
      incoming = { body, size: 0, pieces: 0, isSpoiled: false };
      this.#incoming.set(name, incoming);
      this.#rows.arriving(body);
    }
    this.#touched.push(incoming);
    if (incoming.isSpoiled || number !== incoming.pieces) return 'unavailable';
    if (incoming.pieces === MOST_PIECES) return 'full';
    this.#rows.addPiece(incoming.body, incoming.pieces, bytes);
    incoming.pieces++;
    incoming.size += bytes.length;
    return undefined;
  }

  /** Bytes received; undefined: the body is not whole. */
  sizeOf({ incoming: name, pieces }: Received): number | undefined {
    const incoming = this.#incoming.get(name);
    return incoming && !incoming.isSpoiled && incoming.pieces === pieces ? incoming.size : undefined;
  }

  /** It belongs to a message from now on. Returns the body. */
  finish(name: number): number {
    const incoming = this.#incoming.get(name)!;
    this.#touched.push(incoming);
    this.#incoming.delete(name);
    this.#rows.arrived(incoming.body);
    return incoming.body;
  }

  /** It will not be received to its end. */
  discard(name: number): void {
    const incoming = this.#incoming.get(name);
    if (!incoming) return;
    this.#incoming.delete(name);
    if (!incoming.isSpoiled) this.#leftovers.push(incoming.body);
  }

  /** A piece of a message's body, in `into`; undefined: there is none, or it is damaged. */
  read({ id, number, into }: OperationOf<'read'>): Uint8Array | undefined {
    const row = this.#rows.message(id);
    const piece = row && this.#rows.piece(row.body, number);
    if (!piece) return undefined;
    const bytes = new Uint8Array(into, 0, piece.length);
    bytes.set(piece);
    free(piece.buffer);
    return bytes;
  }

  /** The body of a message; undefined: there is no such message, or its body is damaged. */
  whole(id: number): Uint8Array | undefined {
    const row = this.#rows.message(id);
    if (!row) return undefined;
    const whole = new Uint8Array(row.size);
    let length = 0;
    for (let number = 0; number === 0 || length < row.size; number++) {
      const piece = this.#rows.piece(row.body, number);
      if (!piece || length + piece.length > row.size) return undefined;
      whole.set(piece, length);
      length += piece.length;
    }
    return whole;
  }

  #remove(body: number): void {
    this.#rows.removeBody(body);
    this.#rows.arrived(body);
  }
}
