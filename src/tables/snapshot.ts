/**
 * A snapshot of the persistence tables in a file, so that clients and studies keep their servers over a restart.
 *
 * Lines of JSON in UTF-8: what it is, then each table's name before its entries, and at the end a checksum of all bytes
 * before that line. An entry is its key, its server and when it runs out, in milliseconds since 1970, or null: never; of
 * two with one key the later one counts. What happened since is in the journal with the number of the first line, and in
 * those after it.
 *
 *     {"format":"gantry persistence","version":1,"journal":8}
 *     {"table":"vip ARCHIVE"}
 *     ["archive/calling=CT1","pacs-a",1767225600000]
 *     {"crc32":"89abcdef"}
 *
 * Keys are in it as they are, or the tables would be of no use after a restart. They may be patient data (persistence by
 * patient or study): the file is the owner's alone (mode 0600), and belongs where patient data may be.
 *
 * A large table is read and written by the handful, so that traffic goes on meanwhile. The file is replaced when the
 * new one is whole and on the disk: a balancer that is killed leaves the one before, and the journal.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { notice } from '../observe/events.ts';
import { type Journal, openJournal } from './journal.ts';
import { chunks, endOf, entryIn, faultOf, readLines } from './lines.ts';
import type { Table } from './table.ts';

export interface SnapshotOptions {
  readonly file: string;
  /** The tables as of now, by name. Entries of others are dropped when the file is read. */
  readonly tables: Iterable<readonly [string, Table]>;
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
  /** Milliseconds from one look whether something has changed to the next, at least. */
  readonly interval: number;
  /** Calls `run` after `ms` milliseconds, unless cancelled. */
  readonly later: (ms: number, run: () => void) => { cancel(): void };
}

export interface Snapshot {
  /** To be called when the tables are others than before. */
  follow(): void;
  /** Writes the file if something has changed since. Never rejects: a file that cannot be written is a notice. */
  save(): Promise<void>;
  /** Saves once more, and no more after that. */
  close(): Promise<void>;
}

const FORMAT = 'gantry persistence';
const VERSION = 1;
/** Entries that are written in one turn of the event loop. */
const HANDFUL = 500;
/** So many times as long as the last save took passes before the next: a large table takes seconds. */
const PAUSE = 20;
/** The last line, `{"crc32":"89abcdef"}`. */
const LAST_LINE_LENGTH = 21;

/**
 * Reads the file, and the journal beside it, into the tables and keeps both up to date from then on. Never rejects: a
 * file that cannot be read, or is not whole, is a notice, and the tables begin empty, or with what the journal has; what
 * was unreadable is kept beside it, as `FILE.unreadable`.
 */
export async function openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const journal = await openJournal(options, await restore(options));
  return new Keeper(options, journal);
}

class Keeper implements Snapshot {
  readonly #options: SnapshotOptions;
  readonly #journal: Journal;
  #saved: string | undefined;
  #saving: Promise<void> = Promise.resolve();
  #timer: { cancel(): void } | undefined;
  #isBroken = false;

  constructor(options: SnapshotOptions, journal: Journal) {
    this.#options = options;
    this.#journal = journal;
    this.#saved = journal.isNews ? undefined : this.#state();
    this.follow();
    this.#schedule(options.interval);
  }

  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#save());
    return this.#saving;
  }

  follow(): void {
    this.#journal.follow();
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.save();
    await this.#journal.close();
  }

  #schedule(ms: number): void {
    const { later, interval, now } = this.#options;
    const timer = later(ms, () => {
      const began = now();
      void this.save().then(() => {
        if (this.#timer === timer) this.#schedule(Math.max(interval, (now() - began) * PAUSE));
      });
    });
    this.#timer = timer;
  }

  async #save(): Promise<void> {
    const state = this.#state();
    if (state === this.#saved) return;
    const { file } = this.#options;
    try {
      await write(this.#options, await this.#journal.rotate());
      await this.#journal.discard();
      this.#saved = state;
      this.#isBroken = false;
    } catch (error) {
      // Said once, not each time.
      const level = this.#isBroken ? 'debug' : 'error';
      this.#isBroken = true;
      notice(level, 'the persistence tables could not be saved', { file, reason: (error as Error).message });
    }
  }

  /** Differs when the tables do. */
  #state(): string {
    return [...this.#options.tables].map(([name, { changes }]) => `${name} ${changes}`).join();
  }
}

async function write(options: SnapshotOptions, journal: number): Promise<void> {
  const { file } = options;
  const unfinished = `${file}.new`;
  await rm(unfinished, { force: true });
  const handle = await open(unfinished, 'wx', 0o600);
  try {
    let checksum = 0;
    for (const text of texts(options, journal)) {
      const bytes = Buffer.from(text);
      checksum = crc32(bytes, checksum);
      await handle.writeFile(bytes);
    }
    await handle.writeFile(lastLine(checksum));
    await handle.sync();
    await handle.close();
    await rename(unfinished, file);
  } catch (error) {
    await handle.close();
    await rm(unfinished, { force: true });
    throw error;
  }
  // The new name is on the disk when its directory is.
  const directory = await open(dirname(file), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The file but for its last line, by the handful of lines. */
function* texts({ tables, now }: SnapshotOptions, journal: number): Generator<string> {
  let lines = [JSON.stringify({ format: FORMAT, version: VERSION, journal })];
  for (const [name, table] of [...tables]) {
    lines.push(JSON.stringify({ table: name }));
    for (const entry of table.walk()) {
      lines.push(JSON.stringify([entry.key, entry.server, endOf(entry, now())]));
      if (lines.length < HANDFUL) continue;
      yield `${lines.join('\n')}\n`;
      lines = [];
    }
  }
  yield `${lines.join('\n')}\n`;
}

function lastLine(checksum: number): string {
  return `{"crc32":"${checksum.toString(16).padStart(8, '0')}"}\n`;
}

/** Returns the number of the journal that comes after the snapshot; 0: none does, or it cannot be known. */
async function restore(options: SnapshotOptions): Promise<number> {
  const { file, tables } = options;
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, constants.O_RDONLY);
    const end = (await handle.stat()).size - LAST_LINE_LENGTH;
    await verify(handle, end);
    return await read(handle, end, options);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 0;
    for (const [, table] of tables) table.clear();
    notice('warn', 'the file of the persistence tables could not be read: they begin empty', {
      file,
      reason: faultOf(error),
    });
    if (code === undefined) await rename(file, `${file}.unreadable`).catch(() => {});
    return 0;
  } finally {
    await handle?.close();
  }
}

/** Throws when the file is not whole, or not ours. `end`: where its last line begins. */
async function verify(handle: FileHandle, end: number): Promise<void> {
  let checksum = 0;
  for await (const bytes of chunks(handle, Math.max(end, 0))) checksum = crc32(bytes, checksum);
  const { buffer, bytesRead } = await handle.read(
    Buffer.alloc(LAST_LINE_LENGTH),
    0,
    LAST_LINE_LENGTH,
    Math.max(end, 0),
  );
  if (buffer.toString('latin1', 0, bytesRead) !== lastLine(checksum))
    throw new Error('it is cut off or damaged, or another program wrote it');
}

/** Returns the number of the journal that comes after it. */
async function read(handle: FileHandle, end: number, { tables, now }: SnapshotOptions): Promise<number> {
  const byName = new Map(tables);
  let journal = 0;
  let table: Table | undefined;
  let isFirst = true;
  const take = (line: unknown) => {
    if (isFirst) {
      const { format, version, journal: next } = line as Record<string, unknown>;
      if (format !== FORMAT) throw new Error('another program wrote it');
      if (version !== VERSION) throw new Error(`its version is ${String(version)}, not ${VERSION}`);
      if (typeof next === 'number') journal = next;
      isFirst = false;
    } else if (Array.isArray(line)) {
      const entry = entryIn(line, now());
      if (entry.remaining > 0) table?.restore(entry);
    } else {
      table = byName.get((line as { table: string }).table);
    }
  };
  await readLines(handle, end, take);
  return journal;
}
