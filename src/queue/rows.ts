/** The rows of the file: what is asked of SQLite, each a statement prepared once. */
import type { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { CORRUPT, MOST_PIECES, PIECE_BYTES, STATE, sqliteCode } from './file.ts';
import { packFingerprints, type Remembered } from './fingerprints.ts';
import type { About, HeldMessage, KeyMerge, OrderKeys } from './message.ts';
import type { Recalled } from './operations.ts';

/** What the index is made of. */
export interface IndexRow {
  readonly id: number;
  readonly size: number;
  readonly keys: string;
  readonly state: number;
  readonly due: number;
}

export interface MessageRow {
  readonly id: number;
  readonly body: number;
  readonly size: number;
  readonly arrived: number;
  readonly keys: string;
  readonly about: string;
  readonly state: number;
  readonly attempts: number;
  readonly refusals: number;
  readonly maybe: number;
  readonly reason: string;
}

/** Milliseconds for which merges are remembered, and how many: as long as who merges them remembers them. */
const MERGE_MS = 72 * 3_600_000;
const MOST_MERGES = 100_000;
/** Ids that are set aside at once. */
const IDS = 10_000;

export class Rows {
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  #nextId: number;
  /** Ids below this one are set aside in the file. */
  #reserved: number;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#statements = prepare(database);
    this.#nextId = Number(this.#statements.counter.get()!.next);
    this.#reserved = this.#nextId;
  }

  begin(): void {
    this.#statements.begin.run();
  }

  commit(): void {
    this.#statements.commit.run();
  }

  /** Ends the transaction as if it had not been, if there is one: some errors have ended it already. */
  rollback(): void {
    this.#reserved = this.#nextId;
    if (this.#database.isTransaction) this.#statements.rollback.run();
  }

  /** An id that no message or body had, not even before a crash. */
  freshId(): number {
    if (this.#nextId === this.#reserved) {
      this.#reserved += IDS;
      this.#statements.reserve.run(this.#reserved);
    }
    return this.#nextId++;
  }

  /** An id for what is in memory only, in order with the others; it may come again after a crash. */
  passingId(): number {
    if (this.#nextId === this.#reserved) this.#reserved++;
    return this.#nextId++;
  }

  insert(id: number, body: number, size: number, arrived: number, keys: OrderKeys, about: About): void {
    this.#statements.insert.run(id, body, size, arrived, JSON.stringify(keys), JSON.stringify(about));
  }

  message(id: number): MessageRow | undefined {
    return this.#statements.message.get(id) as MessageRow | undefined;
  }

  take(id: number): void {
    this.#statements.take.run(id);
  }

  /** It may be delivered already. */
  mark(id: number): void {
    this.#statements.mark.run(id);
  }

  /** It waits, for `due`. */
  pause(id: number, due: number, refusals: number, maybe: number): void {
    this.#statements.pause.run(due, refusals, maybe, id);
  }

  hold(id: number, keepsPlace: boolean, reason: string, maybe: number): void {
    this.#statements.hold.run(keepsPlace ? STATE.HELD_IN_PLACE : STATE.HELD_ASIDE, reason, maybe, id);
  }

  /** It waits as if it had never been tried, under an id that may be new. */
  renew(id: number, as: number): void {
    this.#statements.renew.run(as, id);
  }

  remove(id: number, body: number): void {
    this.#statements.remove.run(id);
    this.removeBody(body);
  }

  removeBody(body: number): void {
    this.#statements.removePieces.run(body * MOST_PIECES, body * MOST_PIECES + MOST_PIECES - 1);
  }

  addPiece(body: number, number: number, bytes: Uint8Array): void {
    this.#statements.addPiece.run(body * MOST_PIECES + number, crc32(bytes), bytes);
  }

  /** A body in as many pieces as it takes. */
  addBody(body: number, content: Uint8Array): void {
    let number = 0;
    do {
      const from = number * PIECE_BYTES;
      this.addPiece(body, number++, content.subarray(from, from + PIECE_BYTES));
    } while (number * PIECE_BYTES < content.length);
  }

  /** Undefined: it is not there, or not as it was written. */
  piece(body: number, number: number): Uint8Array<ArrayBuffer> | undefined {
    try {
      const row = this.#statements.piece.get(body * MOST_PIECES + number);
      const { crc, bytes } = (row ?? {}) as { crc?: number; bytes?: Uint8Array<ArrayBuffer> };
      return bytes && crc32(bytes) === crc ? bytes : undefined;
    } catch (error) {
      if (sqliteCode(error) === CORRUPT) return undefined;
      throw error;
    }
  }

  arriving(body: number): void {
    this.#statements.arriving.run(body);
  }

  arrived(body: number): void {
    this.#statements.arrived.run(body);
  }

  /** Removes what is left of bodies that were being received. */
  removeUnfinished(): void {
    for (const { body } of this.#statements.unfinished.all()) {
      this.removeBody(Number(body));
      this.arrived(Number(body));
    }
  }

  remember(at: number, fingerprint: Uint8Array): void {
    this.#statements.remember.run(at, fingerprint);
  }

  forget(before: number, entries: number): void {
    this.#statements.forgetOld.run(before);
    this.#statements.forgetMany.run(entries);
  }

  addMerges(at: number, merges: readonly KeyMerge[]): void {
    for (const { from, to } of merges) this.#statements.addMerge.run(at, from, to);
    this.#statements.forgetMerges.run(at - MERGE_MS, MOST_MERGES);
  }

  /** `since`: fingerprints that are older are not. */
  recall(since: number): Recalled {
    const remembered = packFingerprints(
      this.#statements.remembered.iterate(since) as unknown as Iterable<Remembered>,
    );
    return { remembered, merges: this.#statements.merges.all() as unknown as KeyMerge[] };
  }

  /** Every message, in order. */
  index(): Iterable<IndexRow> {
    return this.#statements.index.iterate() as unknown as Iterable<IndexRow>;
  }

  held(after: number, limit: number): HeldMessage[] {
    const rows = this.#statements.held.all(after, limit) as unknown as MessageRow[];
    return rows.map((row) => heldOf(row, row.state === STATE.HELD_IN_PLACE));
  }

  /** When the first that is not in quarantine was stored. */
  oldest(): number | undefined {
    const row = this.#statements.oldest.get() as { arrived: number } | undefined;
    return row?.arrived;
  }

  /** Gives at most `most` free pages back to the file system; true: there are more than `slack` left. */
  shrink(most: number, slack: number): boolean {
    const free = Number(this.#statements.freePages.get()!.freelist_count);
    if (free <= slack) return false;
    this.#database.exec(`PRAGMA incremental_vacuum(${Math.min(most, free - slack)})`);
    return free - most > slack;
  }

  /** Moves what the log has into the database, so that the log may begin anew. */
  checkpoint(): void {
    this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  }

  close(): void {
    this.#database.close();
  }
}

function prepare(database: DatabaseSync) {
  const sql = (text: string) => database.prepare(text);
  return {
    begin: sql('BEGIN IMMEDIATE'),
    commit: sql('COMMIT'),
    rollback: sql('ROLLBACK'),
    counter: sql('SELECT next FROM counter'),
    reserve: sql('UPDATE counter SET next = ?'),
    insert: sql('INSERT INTO message (id, body, size, arrived, keys, about) VALUES (?, ?, ?, ?, ?, ?)'),
    message: sql('SELECT * FROM message WHERE id = ?'),
    take: sql(`UPDATE message SET state = ${STATE.TAKEN}, attempts = attempts + 1 WHERE id = ?`),
    mark: sql(`UPDATE message SET state = ${STATE.WAITING}, maybe = 1 WHERE id = ?`),
    pause: sql(`UPDATE message SET state = ${STATE.WAITING}, due = ?, refusals = ?, maybe = ? WHERE id = ?`),
    hold: sql('UPDATE message SET state = ?, reason = ?, maybe = ? WHERE id = ?'),
    renew: sql(
      `UPDATE message SET id = ?, state = ${STATE.WAITING}, refusals = 0, due = 0, reason = '' WHERE id = ?`,
    ),
    remove: sql('DELETE FROM message WHERE id = ?'),
    removePieces: sql('DELETE FROM piece WHERE id BETWEEN ? AND ?'),
    addPiece: sql('INSERT INTO piece VALUES (?, ?, ?)'),
    piece: sql('SELECT crc, bytes FROM piece WHERE id = ?'),
    arriving: sql('INSERT INTO arriving VALUES (?)'),
    arrived: sql('DELETE FROM arriving WHERE body = ?'),
    unfinished: sql('SELECT body FROM arriving'),
    remember: sql('INSERT INTO seen (at, fingerprint) VALUES (?, ?)'),
    // In order of arrival: the first that is young enough ends the search.
    forgetOld: sql(`DELETE FROM seen WHERE id <
      coalesce((SELECT id FROM seen WHERE at >= ? ORDER BY id LIMIT 1), (SELECT max(id) + 1 FROM seen))`),
    forgetMany: sql('DELETE FROM seen WHERE id <= (SELECT max(id) FROM seen) - ?'),
    remembered: sql('SELECT at, fingerprint FROM seen WHERE at >= ? ORDER BY id'),
    addMerge: sql('INSERT INTO merge (at, prior, surviving) VALUES (?, ?, ?)'),
    forgetMerges: sql('DELETE FROM merge WHERE at < ? OR id <= (SELECT max(id) FROM merge) - ?'),
    merges: sql('SELECT prior AS "from", surviving AS "to" FROM merge ORDER BY id'),
    index: sql('SELECT id, size, keys, state, due FROM message ORDER BY id'),
    held: sql('SELECT * FROM message WHERE state >= 2 AND id > ? ORDER BY id LIMIT ?'),
    oldest: sql('SELECT arrived FROM message WHERE state < 2 ORDER BY id LIMIT 1'),
    freePages: sql('PRAGMA freelist_count'),
  };
}

/** A message as it is shown that is in quarantine. */
export function heldOf(row: MessageRow, keepsPlace: boolean): HeldMessage {
  const { id, about, size, arrived, attempts, maybe, reason } = row;
  const maybeTwice = maybe === 1;
  return { id, about: JSON.parse(about) as About, size, arrived, attempts, maybeTwice, reason, keepsPlace };
}
