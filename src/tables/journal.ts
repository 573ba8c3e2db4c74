/**
 * What became of the persistence tables since their snapshot, in a file beside it, so that a balancer that is killed
 * forgets nothing: entries that are new, moved to another server, or forgotten. Not those that were only used again: they
 * live on after a restart for as long as the snapshot says.
 *
 * Lines of JSON in UTF-8, each for itself; a later one counts more than an earlier one:
 *
 *     {"format":"gantry persistence journal","version":1,"journal":7}    the lines that follow are of journal 7
 *     ["vip ARCHIVE","archive/calling=CT1","pacs-a",1767225600000]       table, key, server, end as in the snapshot
 *     ["vip ARCHIVE","archive/calling=CT1"]                              the entry was forgotten
 *     ["vip ARCHIVE"]                                                    the table was cleared, or is no more
 *
 * What happened in one turn of the event loop is written at its end, with one write. Nothing waits for the disk: what was
 * written outlives the process, not a loss of power, which may take the last seconds. The end of the file may be half a
 * line then, or nothing at all.
 *
 * Before each snapshot another journal begins (`rotate`), the file of the one before is put aside as `FILE.journal.old`
 * until the snapshot is on the disk, and the snapshot says which journal comes after it: those before are not read any
 * more. When a snapshot fails, `FILE.journal.old` stays, and the journals after it share one file. At every moment the
 * snapshot and both files, read in this order, say all that was written.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { notice } from '../observe/events.ts';
import { endOf, entryIn, faultOf, readLines } from './lines.ts';
import type { Entry, Listener, Table } from './table.ts';

export interface JournalOptions {
  /** Of the snapshot. */
  readonly file: string;
  /** The tables as of now, by name. */
  readonly tables: Iterable<readonly [string, Table]>;
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
  /** Bytes of lines in a file; what is beyond waits for the snapshot. */
  readonly largest?: number | undefined;
}

const FORMAT = 'gantry persistence journal';
const VERSION = 1;
const LARGEST = 64 * 1024 * 1024;

/**
 * Reads what was written since the snapshot, that is journal `first` and those after it, into the tables, and goes on
 * from there. Never rejects: what cannot be read is a notice, and put aside as `FILE.journal.unreadable`; what was read
 * before it counts.
 */
export async function openJournal(options: JournalOptions, first: number): Promise<Journal> {
  const replay = new Replay(options, first);
  const old = await replay.read(`${options.file}.journal.old`);
  const current = await replay.read(`${options.file}.journal`);
  return new Journal(options, replay, old !== undefined, current ?? 0);
}

export class Journal {
  /** The snapshot does not have everything that was read. */
  readonly isNews: boolean;
  readonly #options: JournalOptions;
  readonly #path: string;
  readonly #largest: number;
  readonly #heard = new Map<string, Table>();
  /** Of the lines that are written now. */
  #number: number;
  /** Is there a `FILE.journal.old`? */
  #hasOld: boolean;
  /** Bytes of the file, but for half a line at its end. */
  #whole: number;
  /** Lines that are not written yet, and their bytes. */
  #lines: string[] = [];
  #waiting = 0;
  #handle: FileHandle | undefined;
  /** One thing after the other. */
  #work: Promise<void> = Promise.resolve();
  /** Nothing is written until the next snapshot is begun. */
  #isStopped = false;
  #isBroken = false;

  constructor(options: JournalOptions, { number, isNews }: Replay, hasOld: boolean, whole: number) {
    this.#options = options;
    this.#path = `${options.file}.journal`;
    this.#largest = options.largest ?? LARGEST;
    this.#number = number;
    this.#hasOld = hasOld;
    this.#whole = whole;
    this.isNews = isNews;
  }

  /** Listens to the tables of now, and to no others. */
  follow(): void {
    const tables = new Map(this.#options.tables);
    for (const [name, table] of this.#heard) {
      if (tables.get(name) === table) continue;
      table.listener = undefined;
      this.#heard.delete(name);
      this.#append([name]);
    }
    for (const [name, table] of tables) {
      table.listener ??= this.#listener(name);
      this.#heard.set(name, table);
    }
  }

  /** Resolves when all that happened so far is written, or cannot be. */
  flush(): Promise<void> {
    return this.#next(() => this.#write().catch((error: Error) => this.#stop(error.message)));
  }

  /**
   * Begins another journal: its number. What happens from now on is in it, and what happened before is in a snapshot
   * that is begun when this has resolved.
   */
  rotate(): Promise<number> {
    return this.#next(async () => {
      // What cannot be written is in the snapshot, or that one says so.
      await this.#write().catch(() => {});
      await this.#close();
      if (!this.#hasOld && this.#whole > 0) await this.#putAside();
      // What was said is said again only after a time when all went well.
      this.#isBroken &&= this.#isStopped;
      this.#isStopped = false;
      return ++this.#number;
    });
  }

  /** The snapshot is on the disk: what is older than the last `rotate` is of no use any more. */
  discard(): Promise<void> {
    return this.#next(async () => {
      if (!this.#hasOld) return;
      try {
        await rm(`${this.#path}.old`, { force: true });
        this.#hasOld = false;
      } catch {
        // It is tried again after the next snapshot.
      }
    });
  }

  /** Listens no more. */
  async close(): Promise<void> {
    for (const table of this.#heard.values()) table.listener = undefined;
    await this.flush();
    await this.#close();
  }

  #listener(name: string): Listener {
    const { now } = this.#options;
    return {
      placed: (entry) => this.#append([name, entry.key, entry.server, endOf(entry, now())]),
      forgotten: (key) => this.#append([name, key]),
      cleared: () => this.#append([name]),
    };
  }

  #append(line: readonly unknown[]): void {
    if (this.#isStopped) return;
    const text = `${JSON.stringify(line)}\n`;
    const bytes = Buffer.byteLength(text);
    if (this.#whole + this.#waiting + bytes > this.#largest) {
      this.#stop(`it is larger than ${this.#largest} bytes`);
      return;
    }
    this.#waiting += bytes;
    if (this.#lines.push(text) === 1) setImmediate(() => void this.flush());
  }

  async #write(): Promise<void> {
    const [lines, bytes] = [this.#lines, this.#waiting];
    if (lines.length === 0) return;
    this.#lines = [];
    try {
      this.#handle ??= await this.#open();
      await this.#put(this.#handle, lines.join(''));
    } catch (error) {
      await this.#close();
      throw error;
    } finally {
      this.#waiting -= bytes;
    }
  }

  async #open(): Promise<FileHandle> {
    const handle = await open(this.#path, 'a', 0o600);
    try {
      await handle.chmod(0o600);
      // Lines after half a line were no lines.
      await handle.truncate(this.#whole);
      await this.#put(
        handle,
        `${JSON.stringify({ format: FORMAT, version: VERSION, journal: this.#number })}\n`,
      );
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #put(handle: FileHandle, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    await handle.appendFile(bytes);
    this.#whole += bytes.length;
  }

  async #putAside(): Promise<void> {
    try {
      await rename(this.#path, `${this.#path}.old`);
      this.#hasOld = true;
      this.#whole = 0;
    } catch {
      // It goes on in the same file.
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => {});
  }

  /** Goes on without until the next snapshot. Said once, not each time. */
  #stop(reason: string): void {
    this.#isStopped = true;
    notice(
      this.#isBroken ? 'debug' : 'error',
      'the journal of the persistence tables could not be written: until they are saved, a balancer that is killed forgets what is new',
      { file: this.#path, reason },
    );
    this.#isBroken = true;
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#work.then(run);
    this.#work = done.then(
      () => {},
      () => {},
    );
    return done;
  }
}

/** Reads the files of a run before. */
class Replay {
  /** The last journal that was found. */
  number: number;
  isNews = false;
  readonly #first: number;
  readonly #tables: ReadonlyMap<string, Table>;
  readonly #now: () => number;

  constructor({ tables, now }: JournalOptions, first: number) {
    this.#tables = new Map(tables);
    this.#now = now;
    this.#first = first;
    this.number = first;
  }

  /** The length of the file in whole lines; undefined: there is none any more. */
  async read(file: string): Promise<number | undefined> {
    let handle: FileHandle | undefined;
    /** Of the lines that are read now. */
    let number: number | undefined;
    try {
      handle = await open(file, constants.O_RDONLY);
      const { size } = await handle.stat();
      return await readLines(handle, size, (line) => {
        if (!Array.isArray(line)) number = numberIn(line as Record<string, unknown>);
        else if (number === undefined) throw new SyntaxError('it does not begin with what it is');
        else if (number >= this.#first) this.#take(line);
        this.number = Math.max(this.number, number);
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      notice(
        'warn',
        'a journal of the persistence tables could not be read to its end: what is before counts',
        {
          file,
          reason: faultOf(error),
        },
      );
      await rename(file, `${file}.unreadable`).catch(() => {});
      return undefined;
    } finally {
      await handle?.close();
    }
  }

  #take(line: readonly unknown[]): void {
    const [name, key, ...rest] = line;
    const table = this.#tables.get(name as string);
    this.isNews = true;
    if (line.length === 1) table?.clear();
    else if (line.length === 2) table?.delete(key as string);
    else if (table) replay(table, entryIn([key, ...rest], this.#now()));
  }
}

function numberIn({ format, version, journal }: Record<string, unknown>): number {
  if (format !== FORMAT) throw new Error('another program wrote it');
  if (version !== VERSION) throw new Error(`its version is ${String(version)}, not ${VERSION}`);
  if (typeof journal !== 'number') throw new SyntaxError('it has no number');
  return journal;
}

/**
 * An entry that was placed, once more. The snapshot may have been written later than the line, and know that the entry
 * was used again since.
 */
function replay(table: Table, entry: Entry): void {
  const { key, server, remaining } = entry;
  const known = table.entry(key);
  if (known?.server === server && known.remaining >= remaining) return;
  if (remaining > 0) table.restore(entry);
  else table.delete(key);
}
