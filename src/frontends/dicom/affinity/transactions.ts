/**
 * The storage commitments that are under way, in a table of texts, so that they outlive a restart. Of one that was
 * split, the reports of the parts are in it too, until the last has come and the client has them all:
 *
 *     transaction=UID   {"ae":"CT1"}, or {"ae":"CT1","parts":["2.25.1","2.25.2"]}; once the client was told: "told":true
 *     part=UID          {"of":"UID"}; once it was reported: "transferSyntax":"1.2…","pieces":2
 *     report=UID/1      a piece of the data set that was reported: deflated, base64
 *
 * What never comes to an end is forgotten when the table forgets it.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Table } from '../../../tables/table.ts';

/** Characters of a UID (PS3.5 9.1): what is longer is none, and not remembered. */
export const LONGEST_UID = 64;

/** One that a client asked for. */
export interface Transaction {
  /** The AE title of the client. */
  readonly ae: string;
  /** The Transaction UIDs of its parts, when there are any. */
  readonly parts?: readonly string[];
  /** The client has the report of all parts. */
  readonly told?: true;
}

export interface PartReport {
  readonly dataSet: Buffer;
  readonly transferSyntax: string;
}

interface Part {
  /** The Transaction UID of the client. */
  readonly of: string;
  readonly transferSyntax?: string;
  readonly pieces?: number;
}

/** Characters: lines of the snapshot are bounded. */
const PIECE = 32 * 1024;

export class Transactions {
  readonly #table: Table;
  readonly #largest: number;

  /** `largest`: bytes that a report may have. */
  constructor(table: Table, largest: number) {
    this.#table = table;
    this.#largest = largest;
  }

  get(uid: string): Transaction | undefined {
    return this.#get(`transaction=${uid}`) as Transaction | undefined;
  }

  begin(uid: string, transaction: Transaction): void {
    for (const part of transaction.parts ?? []) this.#put(`part=${part}`, { of: uid } satisfies Part);
    this.#put(`transaction=${uid}`, transaction);
  }

  /** Its parts stay known: what is still reported of them is nobody's. */
  withdraw(uid: string): void {
    this.#table.delete(`transaction=${uid}`);
  }

  /** The Transaction UID of the client whose request this is a part of; undefined: it is none. */
  wholeOf(part: string): string | undefined {
    return this.#part(part)?.of;
  }

  /** Keeps what was reported of a part; what was before, goes. */
  keep(part: string, { dataSet, transferSyntax }: PartReport): void {
    const { of, pieces: before = 0 } = this.#part(part)!;
    const text = deflateRawSync(dataSet).toString('base64');
    let pieces = 0;
    for (let at = 0; at < text.length; at += PIECE)
      this.#putText(pieceKey(part, ++pieces), text.slice(at, at + PIECE));
    for (let piece = pieces + 1; piece <= before; piece++) this.#table.delete(pieceKey(part, piece));
    this.#put(`part=${part}`, { of, transferSyntax, pieces } satisfies Part);
  }

  /** What was reported of a part; undefined: nothing yet, or it was forgotten. */
  reported(part: string): PartReport | undefined {
    const { transferSyntax, pieces = 0 } = this.#part(part) ?? {};
    if (transferSyntax === undefined) return undefined;
    let text = '';
    for (let piece = 1; piece <= pieces; piece++) {
      const more = this.#table.serverOf(pieceKey(part, piece));
      // What is left of a deflated stream without one of its pieces may inflate to something else.
      if (more === undefined) return undefined;
      text += more;
    }
    try {
      const maxOutputLength = this.#largest;
      return { dataSet: inflateRawSync(Buffer.from(text, 'base64'), { maxOutputLength }), transferSyntax };
    } catch {
      // Larger than a report may be.
      return undefined;
    }
  }

  /** The client has been told. */
  told(uid: string): void {
    const transaction = this.get(uid);
    if (!transaction) return;
    for (const part of transaction.parts ?? []) {
      const { pieces = 0 } = this.#part(part) ?? {};
      for (let piece = 1; piece <= pieces; piece++) this.#table.delete(pieceKey(part, piece));
    }
    this.#put(`transaction=${uid}`, { ...transaction, told: true });
  }

  #part(uid: string): Part | undefined {
    return this.#get(`part=${uid}`) as Part | undefined;
  }

  #get(key: string): unknown {
    const text = this.#table.serverOf(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  #put(key: string, value: Transaction | Part): void {
    this.#putText(key, JSON.stringify(value));
  }

  #putText(key: string, text: string): void {
    this.#table.put(key, text);
  }
}

function pieceKey(part: string, piece: number): string {
  return `report=${part}/${piece}`;
}
