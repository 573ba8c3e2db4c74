/**
 * The text of a configuration file as plain values, each with its place in the file. Every scalar stays its source
 * text: the schema says what is a number, so `calling: 0012` is `0012`. `${NAME}` is replaced by the environment's.
 */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Pair,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { Fault } from './fault.ts';
import { syntaxFaultMessage } from './syntax.ts';

export type Plain = string | null | Plain[] | { [key: string]: Plain };

/** Where a value stands: offsets into the text, and the places of what is in it. */
export interface Place {
  /** `vips.ARCHIVE.routes[1]` */
  readonly path: string;
  readonly offset: number;
  /** Of its key, or of itself where it has none. */
  readonly key: number;
  readonly record: Map<string, Place>;
  readonly list: Place[];
}

export interface Source {
  readonly value: Plain;
  readonly place: Place;
  /** The fault `message` at a place; at its key when `atKey`. */
  fault(place: Place, message: string, atKey?: boolean): Fault;
}

/** More than any real file: stops aliases of aliases of aliases. */
const MOST_VALUES = 100_000;

/**
 * Reads `text`. `source` is undefined when the text is not YAML at all; `faults` may hold faults in either case.
 */
export function readSource(
  text: string,
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): { source: Source | undefined; faults: Fault[] } {
  const document = parseDocument(text, {
    schema: 'failsafe',
    version: '1.2',
    prettyErrors: false,
  });
  const faults: Fault[] = [];
  const faultAt = (offset: number, path: string, message: string): Fault => {
    // Not by the parser's own counter: after some faults of syntax it misses a line.
    const before = text.slice(0, offset).split('\n');
    const column = before.at(-1)!.length + 1;
    return { file, line: before.length, column, path: path || 'configuration', message };
  };
  const syntax = [...document.errors, ...document.warnings];
  // What follows the first break in the structure is mostly its echo.
  const first = syntax.find((error) => error.code !== 'DUPLICATE_KEY');
  for (const error of syntax) {
    if (error !== first && error.code !== 'DUPLICATE_KEY') continue;
    faults.push(
      faultAt(
        error.pos[0],
        'configuration',
        syntaxFaultMessage(error.code, error.message, text, error.pos[0]),
      ),
    );
  }
  if (first !== undefined) return { source: undefined, faults };

  const reader = new Reader(document, environment, (place, message, atKey) => {
    faults.push(faultAt(atKey ? place.key : place.offset, place.path, message));
  });
  const place = newPlace('', 0, 0);
  const value = reader.read(document.contents, place);
  return {
    source: {
      value,
      place,
      fault: (at, message, atKey) => faultAt(atKey ? at.key : at.offset, at.path, message),
    },
    faults,
  };
}

function newPlace(path: string, offset: number, key: number): Place {
  return { path, offset, key, record: new Map(), list: [] };
}

type Report = (place: Place, message: string, atKey?: boolean) => void;

class Reader {
  readonly #document: Document;
  readonly #environment: Readonly<Record<string, string | undefined>>;
  readonly #report: Report;
  readonly #open = new Set<unknown>();
  #values = 0;

  constructor(document: Document, environment: Readonly<Record<string, string | undefined>>, report: Report) {
    this.#document = document;
    this.#environment = environment;
    this.#report = report;
  }

  read(node: unknown, place: Place): Plain {
    this.#values += 1;
    if (this.#values > MOST_VALUES) {
      if (this.#values === MOST_VALUES + 1)
        this.#report(place, `more than ${MOST_VALUES} values in one file`);
      return null;
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target !== undefined && !this.#open.has(target)) return this.read(target, place);
      this.#report(
        place,
        target === undefined
          ? `a value that begins with * must be quoted: "*${node.source}" would be right`
          : `*${node.source} stands for what it is in`,
      );
      return null;
    }
    if (isScalar(node)) return this.#scalar(node, place);
    this.#open.add(node);
    const value = isSeq(node) ? this.#list(node, place) : isMap(node) ? this.#record(node, place) : null;
    this.#open.delete(node);
    return value;
  }

  #list(node: YAMLSeq, place: Place): Plain {
    return node.items.map((item, index) => {
      const offset = offsetOf(item, place.offset);
      const child = newPlace(`${place.path}[${index + 1}]`, offset, offset);
      place.list.push(child);
      return this.read(item, child);
    });
  }

  #scalar(node: { value: unknown; type?: string | undefined }, place: Place): Plain {
    if (typeof node.value !== 'string') return null;
    if (node.value === '' && node.type === 'PLAIN') return null;
    // `$${NAME}` is a literal `${NAME}`.
    return node.value.replace(
      /\$(\$?)\{([A-Za-z_][A-Za-z0-9_]*)\}/g,
      (whole, dollar: string, name: string) => {
        if (dollar !== '') return whole.slice(1);
        const found = this.#environment[name];
        if (found === undefined)
          this.#report(place, `the environment has no ${name}: set it, or write the value here`);
        return found ?? '';
      },
    );
  }

  #record(node: YAMLMap, place: Place): Plain {
    const record: { [key: string]: Plain } = Object.create(null);
    for (const pair of node.items) {
      const key = isScalar(pair.key) && typeof pair.key.value === 'string' ? pair.key.value : undefined;
      const keyOffset = offsetOf(pair.key, place.offset);
      if (key === '<<' && isScalar(pair.key) && pair.key.type === 'PLAIN') {
        this.#merge(pair, record, place);
        continue;
      }
      const child = newPlace(
        place.path === '' ? `${key}` : `${place.path}.${key}`,
        offsetOf(pair.value, keyOffset),
        keyOffset,
      );
      if (key === undefined || key === '__proto__') {
        this.#report(
          { ...child, path: place.path },
          'this is not a key: quote text with [ ] { } or , in it',
          true,
        );
        continue;
      }
      if (pair.value === null && node.flow) {
        this.#report(
          child,
          `"${key}" has no value: inside braces, quote text that has , { } [ ] or : in it${tagAdvice(key)}`,
          true,
        );
        continue;
      }
      place.record.set(key, child);
      record[key] = this.read(pair.value, child);
    }
    return record;
  }

  /** `<<: *common`: the keys of another record, where this one has none of its own. */
  #merge(pair: Pair, record: { [key: string]: Plain }, place: Place): void {
    const from = newPlace(place.path, offsetOf(pair.key, place.offset), offsetOf(pair.key, place.offset));
    const value = this.read(pair.value, from);
    for (const [index, part] of (Array.isArray(value) ? value : [value]).entries()) {
      if (part === null || typeof part !== 'object' || Array.isArray(part)) {
        this.#report(from, '"<<" takes a record, such as an alias of one', true);
        continue;
      }
      for (const [key, inherited] of Object.entries(part)) {
        if (key in record) continue;
        record[key] = inherited;
        const origin = (Array.isArray(value) ? from.list[index]! : from).record.get(key);
        if (origin !== undefined) place.record.set(key, origin);
      }
    }
  }
}

/** A DICOM tag is often written without quotes: `{ (0010,0020): X }` is two keys. */
function tagAdvice(key: string): string {
  return /^\([0-9A-Fa-f]{4}$/.test(key) ? `; a tag is written "${key},eeee)"` : '';
}

function offsetOf(node: unknown, otherwise: number): number {
  return (node as { range?: readonly number[] | null } | null)?.range?.[0] ?? otherwise;
}
