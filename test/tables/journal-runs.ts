/** Runs of a balancer over one table file that end without a word: what the journal's tests share. Keys are invented. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach } from 'vitest';
import { type NoticeEvent, onEvent } from '../../src/observe/events.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { openSnapshot } from '../../src/tables/snapshot.ts';
import { Table } from '../../src/tables/table.ts';
import { disk } from './stepped-files.ts';

const root = mkdtempSync(join(tmpdir(), 'gantry-journal-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

export const TTL = 60_000;
export const clock = { ms: 1_700_000_000_000, now: () => clock.ms };
let folders = 0;

export function newFile(): string {
  const folder = join(root, String(++folders));
  mkdirSync(folder);
  return join(folder, 'table');
}

const stops: (() => unknown)[] = [];
afterEach(stopAll);

/** Closes the files of those who were killed. */
export async function stopAll(): Promise<void> {
  disk.step = () => {};
  for (const stop of stops.splice(0)) await stop();
}

export function newTable(ttl = TTL): Table {
  return new Table(createMemoryStore({ ttl, size: 10_000, now: clock.now }));
}

/** Two tables over one file: `vip V`, whose entries run out, and `share S`, whose entries do not. */
export function newTables(): Map<string, Table> {
  return new Map([
    ['vip V', newTable()],
    ['share S', newTable(Infinity)],
  ]);
}

export function heardNotices(): NoticeEvent[] {
  const notices: NoticeEvent[] = [];
  stops.push(onEvent('notice', (event) => notices.push(event)));
  return notices;
}

/** A run of the balancer that saves when `save` is called; it is killed unless it is closed. */
export async function start(file: string, tables = newTables()) {
  const notices = heardNotices();
  let tick: (() => void) | undefined;
  const later = (_ms: number, run: () => void) => {
    tick = run;
    return { cancel: () => {} };
  };
  const snapshot = await openSnapshot({ file, tables, now: clock.now, interval: 1000, later });
  stops.push(() => snapshot.close());
  return {
    tables,
    vip: tables.get('vip V')!,
    share: tables.get('share S')!,
    snapshot,
    notices,
    tick: () => tick!(),
  };
}

export function put(table: Table, key: string, server: string): void {
  table.confirm(table.claim(key, server), true);
}
