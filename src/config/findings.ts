/** What the checks of a file find, each with its place. */
import type { Fault } from './fault.ts';
import type { File } from './file-schema.ts';
import { find, missingPath } from './judge.ts';
import type { Plain, Source } from './source.ts';

export type FileVip = File['vips'][number];
export type FilePool = File['pools'][number];
export type Path = readonly (string | number)[];

/** Gathers faults by their path in the file. */
export class Findings {
  readonly faults: Fault[] = [];
  readonly warnings: Fault[] = [];
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  fault(path: Path, message: string, atKey = false): void {
    this.faults.push(this.#at(path, message, atKey));
  }

  warn(path: Path, message: string): void {
    this.warnings.push(this.#at(path, message, true));
  }

  /** Is there anything at `path`, faulty or not? */
  has(path: Path): boolean {
    return find(this.#source.place, path).found;
  }

  /** Is what stands at `path` one of the faults that the schema took out? */
  faulty(path: Path): boolean {
    let value: Plain | undefined = this.#source.value;
    for (const key of path) value = (value as { [key: string]: Plain } | undefined)?.[key];
    return value === undefined && this.has(path);
  }

  /** What stands in the list at `path`, each with its own path: that of the list where a single value stands for one. */
  items<T>(path: Path, values: readonly T[]): (readonly [item: T, path: Path])[] {
    const isList = this.has([...path, 0]);
    return values.map((value, index) => [value, isList ? [...path, index] : path]);
  }

  /** The keys written at `path`, those of faulty parts too. */
  keys(path: Path): string[] {
    const { place, found } = find(this.#source.place, path);
    return found ? [...place.record.keys()] : [];
  }

  /** Of `keys`, which exclude each other, those that stand at `path`; more than one is a fault. */
  exclusive(path: Path, keys: readonly string[]): readonly string[] {
    const written = keys.filter((key) => this.has([...path, key]));
    if (written.length > 1) {
      const names = written.map((key) => `"${key}"`).join(' and ');
      this.fault(path, `has both ${names}: one of them would be right`);
    }
    return written;
  }

  #at(path: Path, message: string, atKey: boolean): Fault {
    const { place, found } = find(this.#source.place, path);
    if (found) return this.#source.fault(place, message, atKey);
    return { ...this.#source.fault(place, message, true), path: missingPath(place, path) };
  }
}

/** May work of this VIP come to that pool? */
export function reaches(vip: FileVip, pool: FilePool): boolean {
  return vip.pool === pool.name || vip.routes.some((route) => route.pool === pool.name);
}
