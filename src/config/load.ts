/** Loads a configuration file: every fault of it at once, or what it says. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { check } from './check.ts';
import type { Fault } from './fault.ts';
import { find, judge } from './judge.ts';
import { normalise } from './normalise.ts';
import type { Configuration, File } from './schema.ts';
import { readSource, type Source } from './source.ts';

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
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const message = `cannot be read: ${unreadable(error)}`;
    return { faults: [{ file: path, line: 1, column: 1, path: 'configuration', message }], warnings: [] };
  }
  return readConfiguration(text, { file: path, environment });
}

/** Reads the text of a configuration. `file` is for faults, and `file:PATH` is relative to its folder. */
export function readConfiguration(
  text: string,
  options: { file: string; environment?: Environment },
): Loaded {
  const read = readSource(text, options.file, options.environment ?? process.env);
  const faults = [...read.faults];
  const warnings: Fault[] = [];
  if (read.source === undefined) return { faults, warnings };
  const judged = judge(read.source);
  faults.push(...judged.faults);
  if (judged.file !== undefined) {
    const checked = check(judged.file, read.source);
    faults.push(...checked.faults);
    // With parts of the file taken out, "nobody uses it" may be wrong.
    if (faults.length === 0) warnings.push(...checked.warnings);
    const file = withSecrets(judged.file, read.source, options.file, faults);
    if (faults.length === 0) return { configuration: normalise(file), warnings };
  }
  return { faults: onePerPlace(faults), warnings };
}

/** Puts the content of the file in the place of `file:PATH`. */
function withSecrets(file: File, source: Source, path: string, faults: Fault[]): File {
  const token = file.admin?.token;
  if (file.admin === undefined || token === undefined || !token.startsWith('file:')) return file;
  const { place } = find(source.place, ['admin', 'token']);
  try {
    const content = readFileSync(resolve(dirname(path), token.slice('file:'.length)), 'utf8').trim();
    if (content !== '') return { ...file, admin: { ...file.admin, token: content } };
    faults.push(source.fault(place, 'the file is empty'));
  } catch (error) {
    faults.push(source.fault(place, `the file cannot be read: ${unreadable(error)}`));
  }
  return file;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a folder',
  ENOTDIR: 'there is no such folder',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'it is not UTF-8 text',
};

function unreadable(error: unknown): string {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
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
