/** What an HTTP check wants of the answer: its status, and what its body says. */

export interface HttpExpectation {
  /** Ranges of status codes that are good, both ends included. */
  readonly status: readonly StatusRange[];
  /** Text that the body must contain, or `/a regular expression/` that it must match. */
  readonly body: string | undefined;
  /** What a JSON body must have: the keys and indices that lead to a value, and patterns of which one must fit it. */
  readonly json: readonly JsonExpectation[];
}

export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

export interface JsonExpectation {
  readonly path: readonly (string | number)[];
  /** The value as text: `UP`, `true`, `3`; with `*` for any text, or `/a regular expression/`. */
  readonly patterns: readonly string[];
}

/** Why the status is not a good one; undefined when it is. */
export function statusFault(code: number, ranges: readonly StatusRange[]): string | undefined {
  if (ranges.some(({ from, to }) => code >= from && code <= to)) return undefined;
  const wanted = ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
  return `answers with status ${code}, not ${wanted}`;
}

/** Why the body is not a good one; undefined when it is. What it holds is never shown. */
export function bodyFault(text: string, { body, json }: HttpExpectation): string | undefined {
  if (body !== undefined && !hasText(text, body))
    return 'answers, but its body has not the text that is wanted';
  if (json.length === 0) return undefined;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return 'answers, but its body is no JSON';
  }
  const missing = json.find(({ path, patterns }) => !fits(valueAt(document, path), patterns));
  return missing && `answers, but its JSON has not the value that is wanted at ${pathText(missing.path)}`;
}

function hasText(text: string, wanted: string): boolean {
  return expressionIn(wanted)?.test(text) ?? text.includes(wanted);
}

/** Only its own keys: no document says what `constructor` is. */
function valueAt(document: unknown, path: readonly (string | number)[]): unknown {
  let value = document;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

function fits(value: unknown, patterns: readonly string[]): boolean {
  const text = scalarText(value);
  if (text === undefined) return false;
  return patterns.some((pattern) => (expressionIn(pattern) ?? globOf(pattern)).test(text));
}

/** Objects and lists have none. */
function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const isScalar = typeof value === 'number' || typeof value === 'boolean' || value === null;
  return isScalar ? JSON.stringify(value) : undefined;
}

function expressionIn(written: string): RegExp | undefined {
  const isOne = written.length > 2 && written.startsWith('/') && written.endsWith('/');
  return isOne ? new RegExp(written.slice(1, -1)) : undefined;
}

function globOf(pattern: string): RegExp {
  return new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^]*')}$`);
}

function pathText(path: readonly (string | number)[]): string {
  return path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`))
    .join('')
    .replace(/^\./, '');
}
