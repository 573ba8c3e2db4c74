/** A balancer is killed at any moment of its saves: its tables come back from what is on the disk then. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type { Table } from '../../src/tables/table.ts';
import { until } from '../peers/waiting.ts';
import { newFile, put, start, stopAll } from './journal-runs.ts';
import { disk } from './stepped-files.ts';

vi.mock('node:fs/promises', async (original) => {
  const { steppedFiles } = await import('./stepped-files.ts');
  return steppedFiles(await original<typeof import('node:fs/promises')>());
});

/** What one round of the property does: entries, turns of the event loop, saves; and which of its moments it dies in. */
interface Round {
  readonly steps: readonly Step[];
  /** What happens while files are written. */
  readonly meanwhile: readonly Change[];
  readonly dies: number;
}

type Change =
  | { readonly kind: 'put'; readonly table: string; readonly key: string; readonly server: string }
  | { readonly kind: 'delete'; readonly table: string; readonly key: string }
  | { readonly kind: 'clear'; readonly table: string };
type Step = Change | { readonly kind: 'turn' | 'save' | 'save in vain' };

const table = fc.constantFrom('vip V', 'share S');
const key = fc.constantFrom('k', 'l', 'm', 'n');
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      table,
      key,
      server: fc.constantFrom('a', 'b'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), table, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear' as const), table }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: change },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('turn' as const, 'save' as const, 'save in vain' as const),
    }),
  },
);
const round: fc.Arbitrary<Round> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 12 }),
  meanwhile: fc.array(change, { maxLength: 12 }),
  dies: fc.nat(),
});

type Content = ReadonlyMap<string, string>;

function contentOf(tables: ReadonlyMap<string, Table>): Content {
  const entries = [...tables].flatMap(([name, one]) =>
    [...one.entries()].map(({ key, server }): [string, string] => [`${name}/${key}`, server]),
  );
  return new Map(entries);
}

/** What a kill at one moment leaves, and what was in the tables since what must be in it. */
interface Moment {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly contents: readonly Content[];
}

/** Plays a round on the files that another one left, and returns every moment of it. */
async function play(files: Moment['files'], { steps, meanwhile }: Round): Promise<readonly Moment[]> {
  const { tables, file, snapshot } = await startOn(files);
  const moments: Moment[] = [];
  /** What was in the tables after each line of the journal, from the last one that was written on. */
  let contents = [contentOf(tables)];
  const carryOut = (change: Change) => {
    const one = tables.get(change.table)!;
    const before = contentOf(tables);
    if (change.kind === 'put') put(one, change.key, change.server);
    else if (change.kind === 'delete') one.delete(change.key);
    else one.clear();
    const after = contentOf(tables);
    const isNews = change.kind === 'clear' || !sameContent(before, after);
    if (isNews) contents.push(after);
  };
  /** Nothing must move while files are copied. */
  const remember = (copy: (files: Map<string, Buffer>) => Map<string, Buffer>) => {
    if (disk.busy === 0) moments.push({ files: copy(filesIn(dirname(file))), contents: [...contents] });
  };
  const left = [...meanwhile];
  let isVain = false;
  disk.step = (what, bytes) => {
    if (what === 'appendFile done') {
      const text = String(bytes);
      // It might have died in the middle of the write.
      remember((files) => {
        const journal = files.get('table.journal')!;
        const cut = journal.subarray(0, journal.length - Math.ceil(text.length / 2));
        return files.set('table.journal', cut);
      });
      contents = contents.slice(text.split('\n').filter((line) => line.startsWith('[')).length);
    }
    remember((files) => files);
    const next = left.shift();
    if (next) carryOut(next);
    if (isVain && what === 'sync') throw new Error('the disk is full');
  };
  for (const one of steps) {
    isVain = one.kind === 'save in vain';
    if ('table' in one) carryOut(one);
    else await (one.kind === 'turn' ? new Promise(setImmediate) : snapshot.save());
  }
  await until(() => contents.length === 1 && disk.busy === 0, 'what happened to be written');
  remember((files) => files);
  await stopAll();
  return moments;
}

async function startOn(files: Moment['files']) {
  const file = newFile();
  for (const [name, bytes] of files) writeFileSync(join(dirname(file), name), bytes, { mode: 0o600 });
  return { file, ...(await start(file)) };
}

function filesIn(folder: string): Map<string, Buffer> {
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

function sameContent(one: Content, other: Content): boolean {
  return one.size === other.size && [...one].every(([name, server]) => other.get(name) === server);
}

test('killed at any moment of changes, saves, saves that fail and restarts: every entry is as it was since the last write (property)', async () => {
  const kills = { count: 0, exact: 0 };
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 4 }), async (rounds) => {
      let files: Moment['files'] = new Map();
      for (const one of rounds) {
        const moments = await play(files, one);
        for (const { files, contents } of moments) {
          const { tables, notices } = await startOn(files);
          const restored = contentOf(tables);
          const names = new Set([...restored.keys(), ...contents.flatMap((content) => [...content.keys()])]);
          for (const name of names)
            expect(contents.map((content) => content.get(name))).toContain(restored.get(name));
          expect(notices).toEqual([]);
          kills.count++;
          if (contents.length === 1) kills.exact++;
          await stopAll();
        }
        files = moments[one.dies % moments.length]!.files;
      }
    }),
    { numRuns: 25 },
  );
  // Many kills, mostly four of ten, leave no doubt of what must be there.
  expect(kills.exact).toBeGreaterThan(kills.count / 10);
});
