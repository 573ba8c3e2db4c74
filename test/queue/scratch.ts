/** A folder for the files of one test, and a store without its thread. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { onTestFinished } from 'vitest';
import { openFile } from '../../src/queue/file.ts';
import type { QueueSettings } from '../../src/queue/message.ts';
import { MessageStore } from '../../src/queue/message-store.ts';
import type { Handed, Operation, OperationOf } from '../../src/queue/operations.ts';
import { SETTINGS } from './settings.ts';

/** Gone when the test is over. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-queue-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function openStore(file: string, settings: Partial<QueueSettings> = {}, now = 0): MessageStore {
  return new MessageStore(file, openFile(file), { ...SETTINGS, ...settings }, now);
}

/** What is on the disk now, under another name: what a process that is killed now would leave. */
export function copyAsLeft(file: string, copy: string): void {
  for (const suffix of ['', '-wal'])
    if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
}

/** An invented message. */
export function storing(keys: OperationOf<'store'>['keys'], text = 'MSH|^~\\&|invented'): Operation {
  return { do: 'store', keys, about: { type: 'ADT' }, fingerprint: undefined, content: Buffer.from(text) };
}

/** Carries out one operation. */
export function apply(store: MessageStore, operation: Operation, now = 0) {
  return store.commit([operation], now).results[0];
}

/** All that may go now. */
export function handedBy(store: MessageStore, now = 0): readonly Handed[] {
  store.commit([{ do: 'window', size: 1000 }], now);
  // Before the window is closed again.
  return store.commit([{ do: 'window', size: 0 }], now).handed;
}

/** Rows of a table of a file that nobody has open. */
export function countOf(file: string, table: string): number {
  const database = new DatabaseSync(file);
  const { count } = database.prepare(`SELECT count(*) AS count FROM ${table}`).get()!;
  database.close();
  return Number(count);
}
