/** What comes into the queue, and how much of it may: the limits, and the reserve of the disk. */
import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Bodies } from './bodies.ts';
import { MOST_PIECES, PIECE_BYTES } from './file.ts';
import type { Depth, QueueSettings, Refusal } from './message.ts';
import { isNew, type Operation, type OperationOf, type Result } from './operations.ts';
import type { Rows } from './rows.ts';

export class Intake {
  settings: QueueSettings;
  /** What the file has, after what the transaction has done so far. */
  counts = { messages: 0, bytes: 0, taken: 0, held: 0 };
  readonly bodies: Bodies;
  readonly #rows: Rows;
  readonly #file: string;
  /** Those of the last transaction. */
  #before = this.counts;
  /** Why nothing is taken in now. */
  #closed: Refusal | undefined;
  /** Of the file and its log, as they were found first. */
  readonly #inodes = new Map<string, number>();

  constructor(file: string, rows: Rows, settings: QueueSettings) {
    this.settings = settings;
    this.bodies = new Bodies(rows);
    this.#rows = rows;
    this.#file = file;
    this.#lookForFiles();
  }

  /** A transaction with these operations began. Throws when what is new would go into a file that nobody finds again. */
  begin(operations: readonly Operation[]): void {
    const bringsNew = operations.some(isNew);
    if (bringsNew) this.#lookForFiles();
    this.#closed = bringsNew && !this.#hasReserve ? 'no space' : undefined;
    this.bodies.begin();
  }

  committed(): void {
    this.#before = { ...this.counts };
    this.bodies.committed();
  }

  rolledBack(): void {
    this.counts = { ...this.#before };
    this.bodies.rolledBack();
  }

  /** The id of the message, or why it is not taken in. */
  store({ keys, about, fingerprint, merges, content }: OperationOf<'store'>, now: number): number | Refused {
    const isReceived = 'incoming' in content;
    const size = isReceived ? this.bodies.sizeOf(content) : content.length;
    // Its pieces were counted when they came.
    const refusal = size === undefined ? 'unavailable' : this.#refusal(1, isReceived ? 0 : size);
    if (size === undefined || refusal) {
      if (isReceived) this.bodies.discard(content.incoming);
      return { refusal: refusal! };
    }
    const id = this.#rows.freshId();
    const body = isReceived ? this.bodies.finish(content.incoming) : id;
    if (!isReceived) this.#rows.addBody(body, content);
    this.#rows.insert(id, body, size, now, keys, about);
    if (fingerprint) this.#rows.remember(now, fingerprint);
    if (merges) this.#rows.addMerges(now, merges);
    this.counts.messages++;
    this.counts.bytes += size;
    return id;
  }

  piece(operation: OperationOf<'piece'>): Result {
    const refusal = this.#refusal(0, operation.bytes.length) ?? this.bodies.add(operation);
    return refusal && { refusal };
  }

  /** A message has gone. */
  gone(size: number): void {
    this.counts.messages--;
    this.counts.bytes -= size;
  }

  /** What there is now. */
  depth(): Depth {
    const sizeOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    return {
      ...this.counts,
      bytes: this.counts.bytes + this.bodies.bytes,
      oldest: this.#rows.oldest(),
      fileBytes: sizeOf(this.#file) + sizeOf(`${this.#file}-wal`),
    };
  }

  #refusal(messages: number, bytes: number): Refusal | undefined {
    if (this.#closed) return this.#closed;
    const { mostMessages, mostBytes } = this.settings;
    const isTooMuch =
      this.counts.messages + messages > mostMessages ||
      this.counts.bytes + this.bodies.bytes + bytes > mostBytes ||
      bytes > MOST_PIECES * PIECE_BYTES;
    return isTooMuch ? 'full' : undefined;
  }

  /** SQLite goes on writing to a file without a name; with the process it would be gone. */
  #lookForFiles(): void {
    for (const path of [this.#file, `${this.#file}-wal`]) {
      const inode = statSync(path, { throwIfNoEntry: false })?.ino;
      const before = this.#inodes.get(path);
      if (inode === before) continue;
      if (before !== undefined)
        throw new Error(`${path} was removed or replaced: put it back, or start again`);
      this.#inodes.set(path, inode!);
    }
  }

  /** Other programs write to the disk too. */
  get #hasReserve(): boolean {
    const { bavail, bsize } = statfsSync(dirname(this.#file));
    return bavail * bsize >= this.settings.reserve;
  }
}

interface Refused {
  readonly refusal: Refusal;
}
