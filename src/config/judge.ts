/** Holds a file's plain values against the schema, and turns what zod finds into faults with a place. */
import type { z } from 'zod';
import { advice, type Fault } from './fault.ts';
import { type File, fileSchema } from './file-schema.ts';
import { isBuilt } from './record.ts';
import type { Place, Plain, Source } from './source.ts';

type Issue = z.core.$ZodIssue;
type Key = string | number;

/**
 * All faults of `source`. `file` is what is left of it once the faulty parts are taken out, so that what belongs
 * together can still be checked; undefined when nothing useful is left. Takes the faulty parts out of `source` too.
 */
export function judge(source: Source): { file: File | undefined; faults: Fault[] } {
  const faults: Fault[] = [];
  let value = source.value;
  // Each round takes out at least one value, and a round is whole: few are ever needed.
  for (let round = 0; round < 100; round++) {
    const result = fileSchema.safeParse(value, { error: sentenceFor });
    if (result.success) return { file: result.data, faults };
    const issues = result.error.issues.flatMap(mostFitting);
    for (const issue of issues) {
      // What is missing or empty in a later round was taken out in an earlier one.
      if (round === 0 || !(isMissing(issue) || issue.code === 'too_small'))
        faults.push(...faultsOf(issue, source));
    }
    if (!isRecord(value)) break;
    const faulty = issues.flatMap((issue) => (putStandIn(issue, value) ? [] : faultyParts(issue)));
    for (const path of faulty.sort(byDepthAndIndex)) value = without(value, path, source.place);
    if (value === null) break;
  }
  return { file: undefined, faults };
}

/** The sentence for a kind of issue that the schema has none of its own for. */
function sentenceFor(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'unrecognized_keys') {
    const { shape = {} } = (issue.inst?._zod.def ?? {}) as { shape?: Record<string, z.core.$ZodType> };
    const built = Object.keys(shape).filter((key) => isBuilt(shape[key]!));
    return (issue.keys as string[])
      .map((key) => `is not a key here: ${advice(key, built, Object.keys(shape))}`)
      .join('\n');
  }
  if (issue.code === 'invalid_type') {
    const wanted = KINDS[issue.expected as string] ?? String(issue.expected);
    if (issue.input === undefined) return `is missing: ${wanted} would be right`;
    return `is ${kindOf(issue.input)}: ${wanted} would be right`;
  }
  if (issue.code === 'too_small') return 'is empty: at least one is needed';
  if (issue.code === 'invalid_union') {
    const branches = issue.errors as Issue[][];
    const wanted = branches.flatMap((branch) =>
      branch.map((inner) => KINDS[(inner as { expected?: string }).expected ?? '']),
    );
    const kinds = [...new Set(wanted.filter((kind) => kind !== undefined))].join(' or ');
    return issue.input === undefined
      ? `is missing: ${kinds} would be right`
      : `is ${kindOf(issue.input)}: ${kinds} would be right`;
  }
  return undefined;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a single value',
  array: 'a list',
  object: 'a record',
  record: 'a record',
};

function kindOf(input: unknown): string {
  if (input === null) return 'empty';
  if (Array.isArray(input)) return 'a list';
  return typeof input === 'string' ? `"${input}"` : 'a record';
}

/** Of a union, the branch that was meant: the one whose kind of value (record, list, scalar) is there. */
function mostFitting(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = (issue.errors as Issue[][]).find(
    (branch) => branch.length > 0 && !branch.some((inner) => inner.path.length === 0 && isKindIssue(inner)),
  );
  if (meant === undefined) return [issue];
  return meant.flatMap((inner) => mostFitting({ ...inner, path: [...issue.path, ...inner.path] } as Issue));
}

function isKindIssue(issue: Issue): boolean {
  return issue.code === 'invalid_type' || (issue.code === 'invalid_union' && mostFitting(issue)[0] === issue);
}

function isMissing(issue: Issue): boolean {
  return issue.message.startsWith('is missing: ');
}

function faultsOf(issue: Issue, source: Source): Fault[] {
  const { place, found } = find(source.place, issue.path as Key[]);
  if (issue.code === 'unrecognized_keys') {
    const sentences = issue.message.split('\n');
    return issue.keys.map((key, index) =>
      source.fault(place.record.get(key) ?? place, sentences[index] ?? '', true),
    );
  }
  if (issue.code === 'invalid_key') {
    return [source.fault(place, issue.issues[0]?.message ?? issue.message, true)];
  }
  if (found) return [source.fault(place, issue.message)];
  return [{ ...source.fault(place, issue.message, true), path: missingPath(place, issue.path as Key[]) }];
}

/** How the path of a key is written that is not there, in the record at `place`. */
export function missingPath(place: Place, path: readonly Key[]): string {
  const key = String(path.at(-1));
  return place.path === '' ? key : `${place.path}.${key}`;
}

/** The place at `path`, or the last one on the way to it. */
export function find(root: Place, path: readonly Key[]): { place: Place; found: boolean } {
  let place = root;
  for (const key of path) {
    const next = typeof key === 'number' ? place.list[key] : place.record.get(key);
    if (next === undefined) return { place, found: false };
    place = next;
  }
  return { place, found: true };
}

/** Paths of what must go so that the rest can be read. */
function faultyParts(issue: Issue): Key[][] {
  const path = issue.path as Key[];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => [...path, key]);
  return [isMissing(issue) ? path.slice(0, -1) : path];
}

/** Deepest first, and later places of a list before earlier ones, so that removing one leaves the other paths right. */
function byDepthAndIndex(a: readonly Key[], b: readonly Key[]): number {
  if (a.length !== b.length) return b.length - a.length;
  const [lastA, lastB] = [a.at(-1), b.at(-1)];
  return typeof lastA === 'number' && typeof lastB === 'number' ? lastB - lastA : 0;
}

function without(root: Plain, path: readonly Key[], rootPlace: Place): Plain {
  const last = path.at(-1);
  if (last === undefined) return null;
  const value = at(root, path.slice(0, -1));
  if (Array.isArray(value)) {
    value.splice(Number(last), 1);
    find(rootPlace, path.slice(0, -1)).place.list.splice(Number(last), 1);
  } else if (isRecord(value)) {
    delete value[last];
  }
  return root;
}

/** The host of the address that stands in for one that is missing: nobody has it (RFC 5737). */
export const NOWHERE = '192.0.2.0';

/** What stands in for a key that is missing, so that its neighbours are not taken out with it. */
const STAND_INS: Readonly<Record<string, () => Plain>> = {
  listen: () => `${NOWHERE}:0`,
  when: () => ({}),
  pools: () => ({}),
  vips: () => ({}),
};

function putStandIn(issue: Issue, root: Plain): boolean {
  const path = issue.path as Key[];
  const standIn = isMissing(issue) ? STAND_INS[String(path.at(-1))] : undefined;
  const record = at(root, path.slice(0, -1));
  if (standIn === undefined || !isRecord(record)) return false;
  record[String(path.at(-1))] = standIn();
  return true;
}

function at(root: Plain, path: readonly Key[]): Plain | undefined {
  let value: Plain | undefined = root;
  for (const key of path) {
    if (Array.isArray(value)) value = value[Number(key)];
    else value = isRecord(value) ? value[key] : undefined;
  }
  return value;
}

function isRecord(value: Plain | undefined): value is { [key: string]: Plain } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
