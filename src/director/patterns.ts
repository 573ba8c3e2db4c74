/**
 * The patterns of a rule: text, a glob with `*`, a regular expression as `/…/` (for `path`, which begins with a slash
 * itself, as `~…`), or a network for `client`.
 */
import { compileNetwork } from './address.ts';

export type Test = (value: string) => boolean;

export interface PatternOptions {
  readonly ignoreCase?: boolean;
}

/** Compiles one pattern for the fact `name`. Throws an Error with an operator's sentence when it cannot be. */
export function compilePattern(
  name: string,
  pattern: string,
  { ignoreCase = false }: PatternOptions = {},
): Test {
  const expression = expressionIn(name, pattern);
  if (expression !== undefined) return compileExpression(expression, ignoreCase);
  if (name === 'client' && !pattern.includes('*')) return compileNetwork(pattern);
  const test = pattern.includes('*') ? compileGlob : compileText;
  if (!ignoreCase) return test(pattern);
  const lower = test(pattern.toLowerCase());
  return (value) => lower(value.toLowerCase());
}

/** Is the pattern plain text, which only an equal value matches? */
export function isText(name: string, pattern: string): boolean {
  return name !== 'client' && !pattern.includes('*') && expressionIn(name, pattern) === undefined;
}

function expressionIn(name: string, pattern: string): string | undefined {
  if (name === 'path') return pattern.startsWith('~') ? pattern.slice(1) : undefined;
  return pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/')
    ? pattern.slice(1, -1)
    : undefined;
}

function compileExpression(source: string, ignoreCase: boolean): Test {
  const expression = new RegExp(source, ignoreCase ? 'i' : '');
  return (value) => expression.test(value);
}

function compileText(text: string): Test {
  return (value) => value === text;
}

/** `*` stands for any text, also none. Takes time in proportion to the value, whatever the pattern. */
function compileGlob(glob: string): Test {
  const parts = glob.split('*');
  const first = parts[0]!;
  const last = parts.at(-1)!;
  const middle = parts.slice(1, -1).filter((part) => part !== '');
  if (middle.length === 0 && last === '') return (value) => value.startsWith(first);
  return (value) => {
    if (value.length < first.length + last.length) return false;
    if (!value.startsWith(first) || !value.endsWith(last)) return false;
    const end = value.length - last.length;
    let from = first.length;
    for (const part of middle) {
      const found = value.indexOf(part, from);
      if (found === -1 || found + part.length > end) return false;
      from = found + part.length;
    }
    return from <= end;
  };
}
