/** Bodies: those of messages, and those that are being received piece by piece and belong to no message yet. */
import { MOST_PIECES } from './file.ts';
import type { Refusal } from './message.ts';
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
  add(name: number, bytes: Uint8Array): Refusal | undefined {
    let incoming = this.#incoming.get(name);
    if (!incoming) {
      const body = this.#rows.freshId();
      incoming = { body, size: 0, pieces: 0, isSpoiled: false };
      this.#incoming.set(name, incoming);
      this.#rows.arriving(body);
    }
    this.#touched.push(incoming);
    if (incoming.isSpoiled) return 'unavailable';
    if (incoming.pieces === MOST_PIECES) return 'full';
    this.#rows.addPiece(incoming.body, incoming.pieces, bytes);
    incoming.pieces++;
    incoming.size += bytes.length;
    return undefined;
  }

  /** Bytes received; undefined: there is no such body, or it is not whole. */
  sizeOf(name: number): number | undefined {
    const incoming = this.#incoming.get(name);
    return incoming && !incoming.isSpoiled ? incoming.size : undefined;
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

  /** A piece of a message's body; undefined: there is none, or it is damaged. */
  read(id: number, number: number): Uint8Array | undefined {
    const row = this.#rows.message(id);
    return row && this.#rows.piece(row.body, number);
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
