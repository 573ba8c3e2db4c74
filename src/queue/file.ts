/**
 * The file: an SQLite database of the owner's alone (mode 0600), held by one process at a time.
 *
 *     message    one row a message: what is known of it, its keys, its state - small, so that a change of state is too
 *     piece      its body in pieces of 256 KiB: id = body × 4096 + number, each with its CRC-32
 *     arriving   bodies that are being received: what is left of one after a crash is removed
 *     seen       fingerprints of messages that were stored, in order of arrival
 *     merge      whom messages that were stored have merged, in order of arrival
 *     counter    an id that was not used yet
 *
 * It is in WAL mode with `synchronous=FULL`: what is committed was flushed to the disk, and what a crash cut off was not
 * committed (sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous).
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GantryError } from '../errors.ts';

/** Bytes of a body in one row. */
export const PIECE_BYTES = 256 * 1024;
/** Pieces of a body at most: 1 GiB. */
export const MOST_PIECES = 4096;

/** `message.state`. */
export const STATE = { WAITING: 0, TAKEN: 1, HELD_IN_PLACE: 2, HELD_ASIDE: 3 } as const;

/** What the database header says of its owner ("GTYQ"), and the version of the tables. */
const APPLICATION_ID = 0x47545951;
const VERSION = 2;

const TABLES = `
  CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    body INTEGER NOT NULL,
    size INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    keys TEXT NOT NULL,
    about TEXT NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    maybe INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
  ) STRICT;
  CREATE INDEX held ON message (id) WHERE state >= 2;
  CREATE TABLE piece (id INTEGER PRIMARY KEY, crc INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE arriving (body INTEGER PRIMARY KEY) STRICT;
  CREATE TABLE seen (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, fingerprint BLOB NOT NULL) STRICT;
  CREATE TABLE merge (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, prior TEXT NOT NULL, surviving TEXT NOT NULL) STRICT;
  CREATE TABLE counter (next INTEGER NOT NULL) STRICT;
  INSERT INTO counter VALUES (1);
`;

/** The first bytes of every SQLite database (sqlite.org/fileformat2.html, 1.3). */
const MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
/** Primary result codes (sqlite.org/rescode.html). */
const BUSY = 5;
export const CORRUPT = 11;
export const FULL = 13;
const NOTADB = 26;

export interface OpenedFile {
  readonly database: DatabaseSync;
  /** A damaged file was found and is kept under this name. Messages in it are not in the queue. */
  readonly movedAside: string | undefined;
}

/** The primary result code of an SQLite error; undefined: it is no such error. */
export function sqliteCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/**
 * Opens the file, or makes it. A damaged one is moved aside with its log. Throws GTY_QUEUE when another process has it,
 * when it is no queue of ours, and when it can be neither read nor written.
 */
export function openFile(path: string): OpenedFile {
  try {
    if (isOurs(path) && !isLogAlone(path)) {
      const database = openWhole(path);
      if (database) return { database, movedAside: undefined };
    }
    const movedAside = moveAside(path);
    return { database: openWhole(path)!, movedAside };
  } catch (error) {
    if (error instanceof GantryError) throw error;
    const reason =
      sqliteCode(error) === BUSY
        ? 'another process has it open: stop that one, or give each its own file'
        : (error as Error).message;
    throw new GantryError('GTY_QUEUE', `the queue ${path} cannot be used: ${reason}`, { cause: error });
  }
}

/** False: it was ours, or may have been, and its beginning is damaged. Throws for a file that is something else. */
function isOurs(path: string): boolean {
  if (!existsSync(path)) return true;
  const size = statSync(path).size;
  if (size === 0) return true;
  const beginning = Buffer.alloc(MAGIC.length);
  const descriptor = openSync(path, 'r');
  const length = readSync(descriptor, beginning);
  closeSync(descriptor);
  if (beginning.equals(MAGIC)) return size >= 512;
  // Zeros are what a file system leaves of a page that was never written.
  if (beginning.subarray(0, length).every((byte) => byte === 0)) return false;
  throw new GantryError(
    'GTY_QUEUE',
    `${path} is no queue of Gantry: name another file, or move this one away`,
  );
}

/** The database is gone and its log is there. SQLite would begin anew and remove the log, and the messages in it. */
function isLogAlone(path: string): boolean {
  const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  return sizeOf(path) === 0 && sizeOf(`${path}-wal`) > 0;
}

/** Undefined: it is damaged. */
function openWhole(path: string): DatabaseSync | undefined {
  const isNew = !existsSync(path);
  // SQLite gives the log the mode of the database.
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
  chmodSync(path, 0o600);
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Only for a new file: it would write to one that is there, for which a full disk may have no room.
    if (statSync(path).size === 0) database.exec('PRAGMA auto_vacuum = INCREMENTAL');
    // The lock is kept until the database is closed; without others there is no need for shared memory either.
    database.exec(`
      PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = 4000;
      PRAGMA journal_size_limit = ${16 * 1024 * 1024};
      PRAGMA cache_size = -16000;
      PRAGMA cell_size_check = ON;
    `);
    database.exec('BEGIN IMMEDIATE');
    prepareTables(database, path);
    database.exec('COMMIT');
    const { quick_check: verdict } = database.prepare('PRAGMA quick_check(1)').get()!;
    if (verdict === 'ok') {
      if (isNew) flushDirectory(path);
      return database;
    }
  } catch (error) {
    const code = sqliteCode(error);
    if (code !== CORRUPT && code !== NOTADB) {
      database.close();
      throw error;
    }
  }
  database.close();
  return undefined;
}

function prepareTables(database: DatabaseSync, path: string): void {
  const { application_id: application } = database.prepare('PRAGMA application_id').get()!;
  const { user_version: version } = database.prepare('PRAGMA user_version').get()!;
  const { count } = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()!;
  if (application === APPLICATION_ID && version === VERSION && count !== 0) return;
  if (count !== 0) {
    const what =
      application === APPLICATION_ID
        ? `was written by another version of Gantry (format ${Number(version)}, not ${VERSION})`
        : 'is a database of another program';
    throw new GantryError('GTY_QUEUE', `${path} ${what}: name another file, or move this one away`);
  }
  database.exec(`${TABLES} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION};`);
}

/** A new name is on the disk when its directory is. */
function flushDirectory(path: string): void {
  const directory = openSync(dirname(path), constants.O_RDONLY);
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Keeps what is damaged, log included, so that it may be looked into: `FILE.damaged`, `FILE.damaged-2`, … */
function moveAside(path: string): string {
  let aside = `${path}.damaged`;
  for (let count = 2; existsSync(aside) || existsSync(`${aside}-wal`); count++)
    aside = `${path}.damaged-${count}`;
  for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  rmSync(`${path}-shm`, { force: true });
  return aside;
}
