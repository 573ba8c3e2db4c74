/** Imports for tests: no line may be lost in silence. */
import { dirname } from 'node:path';
import { expect } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import type { Draft } from '../../src/import/draft.ts';
import { filesBeside } from '../../src/import/files.ts';
import { type Imported, importHaproxy } from '../../src/import/haproxy.ts';
import { importLdirectord } from '../../src/import/ldirectord.ts';
import { type Repaired, repair } from '../../src/import/repair.ts';
import { writeDraft } from '../../src/import/write.ts';

const IMPORTS = { haproxy: importHaproxy, ldirectord: importLdirectord };

export interface ImportedText extends Imported {
  /** The configuration; undefined: there is none. */
  readonly yaml: string | undefined;
  /** What `gantry check` found fault with, and which is therefore not in it. */
  readonly removed: Repaired['removed'];
}

/**
 * Imports `text`, and expects that each line that says something is in the draft, or told of, or without a meaning; and
 * that the draft is a configuration without faults, but for files that are not on this machine, or told of.
 */
export function importText(
  from: keyof typeof IMPORTS,
  text: string,
  { file = 'other.cfg', environment = {}, protocolAware = false } = {},
): ImportedText {
  const imported = IMPORTS[from](text, {
    file,
    files: filesBeside(dirname(file)),
    environment,
    protocolAware,
  });
  const { lines, notes, draft, reason } = imported;
  const judged = new Set([...lines.taken, ...lines.covered, ...notes.map(({ line }) => line)]);
  expect(lines.all.filter((line) => !judged.has(line))).toEqual([]);
  expect(lines.all.length).toBe(new Set(lines.all).size);
  expect(draft === undefined).toBe(reason !== undefined);
  const judge = (each: Draft) =>
    (readConfiguration(writeDraft(each), { file: 'gantry.yaml', environment: {} }).faults ?? []).filter(
      ({ message }) => !message.includes('cannot be read'),
    );
  const { draft: accepted, removed } = draft ? repair(draft, judge) : { draft, removed: [] };
  if (draft && !accepted) expect(removed).not.toEqual([]);
  const yaml = accepted && writeDraft(accepted);
  return { ...imported, yaml, removed };
}

/** `lost 7: compression algo gzip`, in the order of the file. */
export function told({ notes }: Imported): string[] {
  return notes
    .filter(({ fate }) => fate !== 'idle')
    .map(({ fate, line, says }) => `${fate} ${line}: ${says}`);
}
