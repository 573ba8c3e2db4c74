/** Loads a configuration file: every fault of it at once, or what it says. */
import { dirname } from 'node:path';
import { check } from './check.ts';
import type { Fault } from './fault.ts';
import { readFiles, readText, unreadable } from './files.ts';
import { judge } from './judge.ts';
import { normalise } from './normalise.ts';
import type { Configuration } from './schema.ts';
import { readSource } from './source.ts';

export type Loaded =
  | {
      readonly configuration: Configuration;
      readonly faults?: undefined;
      readonly warnings: readonly Fault[];
    }
  | {
      readonly configuration?: undefined;
      readonly faults: readonly Fault[];
      readonly warnings: readonly Fault[];
    };

export type Environment = Readonly<Record<string, string | undefined>>;

/** Loads the file `path`; faults name it as it is written here. */
export function loadConfiguration(path: string, environment: Environment = process.env): Loaded {
  let text: string;
  try {
    text = readText(path);
  } catch (error) {
    const message = `cannot be read: ${unreadable(error)}`;
    return { faults: [{ file: path, line: 1, column: 1, path: 'configuration', message }], warnings: [] };
  }
  return readConfiguration(text, { file: path, environment });
}

/** Reads the text of a configuration. `file` is for faults, and paths are relative to its folder; certificates have expired or not at `now`. */
export function readConfiguration(
  text: string,
  options: { file: string; environment?: Environment; now?: Date },
): Loaded {
  const folder = dirname(options.file);
  const read = readSource(text, options.file, options.environment ?? process.env);
  const faults = [...read.faults];
  const warnings: Fault[] = [];
  if (read.source === undefined) return { faults, warnings };
  faults.push(...readFiles(read.source, folder));
  const judged = judge(read.source);
  faults.push(...judged.faults);
  if (judged.file !== undefined) {
    const checked = check(judged.file, read.source, { folder, now: options.now ?? new Date() });
    faults.push(...checked.faults);
    // With parts of the file taken out, "nobody uses it" may be wrong.
    if (faults.length === 0) warnings.push(...checked.warnings);
    if (faults.length === 0) return { configuration: normalise(judged.file, folder), warnings };
  }
  return { faults: onePerPlace(faults), warnings };
}

/** In the order of the file; of several faults at one place the first, which the others mostly follow from. */
function onePerPlace(faults: readonly Fault[]): Fault[] {
  const places = new Map<string, Fault>();
  for (const fault of faults) {
    const place = `${fault.line}:${fault.column}:${fault.path}`;
    if (!places.has(place)) places.set(place, fault);
  }
  return [...places.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}
