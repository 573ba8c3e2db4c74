/**
 * A snapshot of the persistence tables in a file, so that clients and studies keep their servers over a restart.
 *
 * Lines of JSON in UTF-8: what it is, then each table's name before its entries, and at the end a checksum of all bytes
 * before that line. An entry is its key, its server and when it runs out, in milliseconds since 1970, or null: never; of
 * two with one key the later one counts.
 *
 *     {"format":"gantry persistence","version":1}
 *     {"table":"vip ARCHIVE"}
 *     ["archive/calling=CT1","pacs-a",1767225600000]
 *     {"crc32":"89abcdef"}
 *
 * Keys are in it as they are, or the tables would be of no use after a restart. They may be patient data (persistence by
 * patient or study): the file is the owner's alone (mode 0600), and belongs where patient data may be.
 *
 * A large table is read and written by the handful, so that traffic goes on meanwhile. The file is replaced when the
 * new one is whole and on the disk: a balancer that is killed leaves the one before.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { notice } from '../observe/events.ts';
import type { Entry, Table } from './table.ts';

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
/** Bytes that are read in one turn. */
const CHUNK = 64 * 1024;
/** The last line, `{"crc32":"89abcdef"}`. */
const LAST_LINE_LENGTH = 21;
/** Bytes of a line at most: keys are short. */
const LONGEST_LINE = 64 * 1024;

/**
 * Reads the file into the tables and keeps it up to date from then on. Never rejects: a file that cannot be read, or
 * is not whole, is a notice, and the tables begin empty; what was unreadable is kept beside it, as `FILE.unreadable`.
 */
export async function openSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  await restore(options);
  return new Keeper(options);
}

class Keeper implements Snapshot {
  readonly #options: SnapshotOptions;
  #saved: string;
  #saving: Promise<void> = Promise.resolve();
  #timer: { cancel(): void } | undefined;
  #isBroken = false;

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.#saved = this.#state();
    this.#schedule(options.interval);
  }

  save(): Promise<void> {
    this.#saving = this.#saving.then(() => this.#save());
    return this.#saving;
  }

  close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    return this.save();
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
      await write(this.#options);
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

async function write({ file, tables, now }: SnapshotOptions): Promise<void> {
  const unfinished = `${file}.new`;
  await rm(unfinished, { force: true });
  const handle = await open(unfinished, 'wx', 0o600);
  try {
    let checksum = 0;
    for (const text of texts(tables, now)) {
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
function* texts(tables: SnapshotOptions['tables'], now: () => number): Generator<string> {
  let lines = [JSON.stringify({ format: FORMAT, version: VERSION })];
  for (const [name, table] of [...tables]) {
    lines.push(JSON.stringify({ table: name }));
    for (const { key, server, remaining } of table.walk()) {
      // JSON has no Infinity: it becomes null.
      lines.push(JSON.stringify([key, server, Math.round(now() + remaining)]));
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

async function restore(options: SnapshotOptions): Promise<void> {
  const { file, tables } = options;
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, constants.O_RDONLY);
    const end = (await handle.stat()).size - LAST_LINE_LENGTH;
    await verify(handle, end);
    await read(handle, end, options);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    for (const [, table] of tables) table.clear();
    const isOdd = error instanceof SyntaxError || error instanceof TypeError;
    const reason = isOdd ? 'it is not as Gantry writes it' : message;
    notice('warn', 'the file of the persistence tables could not be read: they begin empty', {
      file,
      reason,
    });
    if (code === undefined) await rename(file, `${file}.unreadable`).catch(() => {});
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

async function read(handle: FileHandle, end: number, { tables, now }: SnapshotOptions): Promise<void> {
  const byName = new Map(tables);
  let table: Table | undefined;
  let isFirst = true;
  const take = (line: unknown) => {
    if (isFirst) {
      const { format, version } = line as Record<string, unknown>;
      if (format !== FORMAT) throw new Error('another program wrote it');
      if (version !== VERSION) throw new Error(`its version is ${String(version)}, not ${VERSION}`);
      isFirst = false;
    } else if (Array.isArray(line)) {
      const entry = entryIn(line, now());
      if (entry.remaining > 0) table?.restore(entry);
    } else {
      table = byName.get((line as { table: string }).table);
    }
  };
  let rest = Buffer.alloc(0);
  for await (const bytes of chunks(handle, end)) {
    const all = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    const lines = all.lastIndexOf('\n') + 1;
    if (all.length - lines > LONGEST_LINE) throw new SyntaxError('a line is too long');
    for (const line of all.toString('utf8', 0, Math.max(lines - 1, 0)).split('\n'))
      if (line !== '') take(JSON.parse(line));
    rest = Buffer.from(all.subarray(lines));
  }
}

function entryIn(line: readonly unknown[], now: number): Entry {
  const [key, server, end] = line;
  const until = end === null ? Infinity : end;
  if (typeof key !== 'string' || typeof server !== 'string' || typeof until !== 'number')
    throw new SyntaxError('a line is no entry');
  return { key, server, remaining: until - now };
}

/** The bytes before `end`; each is good until the next is asked for. */
async function* chunks(handle: FileHandle, end: number): AsyncGenerator<Buffer> {
  const chunk = Buffer.allocUnsafe(CHUNK);
  for (let position = 0; position < end; ) {
    const { bytesRead } = await handle.read(chunk, 0, Math.min(CHUNK, end - position), position);
    if (bytesRead === 0) throw new Error('it became shorter while it was read');
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}
