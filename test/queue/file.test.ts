import { execFile } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openFile } from '../../src/queue/file.ts';
import { openStore, scratchFolder, storing } from './scratch.ts';

/** A queue with so many messages, closed. */
function filledQueue(messages = 200): string {
  const file = join(scratchFolder(), 'queue');
  const store = openStore(file);
  store.commit(
    Array.from({ length: messages }, (_, index) => storing([`P${index}`], 'MSH|invented'.repeat(100))),
    0,
  );
  store.close();
  return file;
}

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);

test('the file and its log are the owner’s alone, also when the file was not', () => {
  const file = join(scratchFolder(), 'queue');
  writeFileSync(file, '');
  chmodSync(file, 0o644);
  const store = openStore(file);
  store.commit([storing(['P1'])], 0);
  expect([modeOf(file), modeOf(`${file}-wal`)]).toEqual(['600', '600']);
  store.close();
});

test('a second opener is told that another process has it, and does no harm', async () => {
  const file = filledQueue();
  const store = openStore(file);
  const program = `import { openFile } from ${JSON.stringify(new URL('../../src/queue/file.ts', import.meta.url))};
    try { openFile(process.argv[1]); } catch (error) { process.stdout.write(error.code + ' ' + error.message); }`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--input-type=module',
    '-e',
    program,
    file,
  ]);
  expect(stdout).toMatch(/^GTY_QUEUE the queue .*: another process has it open: stop that one/);
  expect(store.commit([storing(['P1'])], 0).trouble).toBeUndefined();
  expect(() => openFile(file)).toThrow('another process has it open');
  store.close();
});

test('a file cut off in the middle is moved aside, and said so', () => {
  const file = filledQueue();
  const size = statSync(file).size;
  truncateSync(file, size / 2);
  const store = openStore(file);
  expect(store.opening).toMatchObject({ movedAside: `${file}.damaged`, messages: 0 });
  expect(statSync(`${file}.damaged`).size).toBe(size / 2);
  store.close();
});

test('a damaged page is found before anything is handed out', () => {
  const file = filledQueue();
  const bytes = readFileSync(file);
  bytes.fill(0xa5, 4096 * 5, 4096 * 9);
  writeFileSync(file, bytes);
  const store = openStore(file);
  expect(store.opening.movedAside).toBe(`${file}.damaged`);
  store.close();
});

test('a beginning of zeros, or half of it, is a damaged file', () => {
  for (const damage of [Buffer.alloc(8192), Buffer.from('SQLite format 3\0cut')]) {
    const file = filledQueue(1);
    writeFileSync(file, damage);
    const store = openStore(file);
    expect(store.opening.movedAside).toBe(`${file}.damaged`);
    store.close();
  }
});

test('what is moved aside does not overwrite what was moved aside before', () => {
  const file = filledQueue(1);
  writeFileSync(`${file}.damaged`, 'from last week');
  writeFileSync(file, Buffer.alloc(8192));
  const store = openStore(file);
  expect(store.opening.movedAside).toBe(`${file}.damaged-2`);
  expect(readFileSync(`${file}.damaged`, 'utf8')).toBe('from last week');
  store.close();
});

test('a log without its database is not thrown away', () => {
  const file = join(scratchFolder(), 'queue');
  const store = openStore(file);
  store.commit([storing(['P1'])], 0);
  const log = readFileSync(`${file}-wal`);
  store.close();
  rmSync(file);
  writeFileSync(`${file}-wal`, log);
  const next = openStore(file);
  expect(next.opening.movedAside).toBe(`${file}.damaged`);
  expect(readFileSync(`${file}.damaged-wal`).equals(log)).toBe(true);
  next.close();
});

test('a log cut off anywhere leaves what was committed before the cut', () => {
  const folder = scratchFolder();
  const file = join(folder, 'queue');
  const store = openStore(file);
  const lengths: number[] = [];
  for (let count = 0; count < 12; count++) {
    store.commit([storing(['P1'], `MSH|invented ${count}`)], 0);
    lengths.push(statSync(`${file}-wal`).size);
  }
  const [database, log] = [readFileSync(file), readFileSync(`${file}-wal`)];
  store.close();
  for (let cut = log.length; cut > 0; cut -= 1999) {
    const copy = join(folder, `cut-${cut}`);
    writeFileSync(copy, database);
    writeFileSync(`${copy}-wal`, log.subarray(0, cut));
    const left = openStore(copy);
    // The database itself was begun in the log too: cut off before that, it is empty.
    expect(left.opening.messages).toBe(lengths.filter((length) => length <= cut).length);
    expect(left.opening.movedAside).toBeUndefined();
    left.close();
  }
});

test('a file of another program is left alone', () => {
  const folder = scratchFolder();
  const text = join(folder, 'notes');
  writeFileSync(text, 'remember the milk');
  expect(() => openFile(text)).toThrow(`${text} is no queue of Gantry: name another file`);
  expect(readFileSync(text, 'utf8')).toBe('remember the milk');

  const other = join(folder, 'other');
  const database = new DatabaseSync(other);
  database.exec('CREATE TABLE milk (litres INTEGER)');
  database.close();
  expect(() => openFile(other)).toThrow('is a database of another program');
  expect(existsSync(`${other}.damaged`)).toBe(false);
});

test('a file of another version is left alone', () => {
  const file = filledQueue(1);
  const database = new DatabaseSync(file);
  database.exec('PRAGMA user_version = 7');
  database.close();
  expect(() => openFile(file)).toThrow('was written by another version of Gantry (format 7, not 2)');
});

test('a folder that is not there is said', () => {
  expect(() => openFile(join(scratchFolder(), 'nowhere', 'queue'))).toThrow(
    /^the queue .*nowhere\/queue cannot be used: ENOENT/,
  );
});
