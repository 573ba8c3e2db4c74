/** A folder for the files of one test, and a store without its thread. */
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openFile } from '../../src/queue/file.ts';
import type { QueueSettings } from '../../src/queue/message.ts';
import { MessageStore } from '../../src/queue/message-store.ts';
import type { Operation, OperationOf } from '../../src/queue/operations.ts';
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
