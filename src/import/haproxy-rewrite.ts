/** `set-path`, `replace-path` → `rewrite` of a route. */
import { literal } from './haproxy-actions.ts';
import { argumentsOf, readSample } from './haproxy-sample.ts';
import type { Directive } from './haproxy-sections.ts';
import { isExpression } from './haproxy-values.ts';
import { type Ledger, Loss } from './losses.ts';

export interface Rewriting {
  /** The pattern of `path` whose paths are rewritten. */
  readonly pattern: string;
  /** The new path. */
  readonly path: string;
}

/** Throws a Loss. */
export function rewriting(
  verb: string,
  words: readonly string[],
  line: Directive,
  ledger: Ledger,
): Rewriting {
  const made = verb === 'set-path' ? setPath(words[0] ?? '') : replace(words[0] ?? '', words[1] ?? '');
  if (verb === 'replace-uri')
    ledger.changed(line, 'the path alone is rewritten, and the query stays as it is', verb);
  if (!/^[/$][\x21-\x7e]*$/.test(made.path) || made.path.includes('#'))
    throw new Loss(`"${made.path}" is no path: one that begins with "/" would be right`);
  return made;
}

/** A path, `/prefix%[path]`, or `%[path,regsub(^/a,/b)]`. */
function setPath(format: string): Rewriting {
  const prefix = /^([^%]*?)\/?%\[path\]$/.exec(format)?.[1];
  if (prefix !== undefined) return { pattern: '/*', path: `${literal(prefix)}/$1` };
  const sample = readSample(/^%\[(.*)\]$/s.exec(format)?.[1] ?? '');
  if (!sample) return { pattern: '*', path: literal(format) };
  const [converter, ...more] = sample.converters;
  if (sample.name !== 'path' || converter?.name !== 'regsub' || more.length > 0)
    throw new Loss('a path is rewritten by one pattern: `replace-path` is imported');
  const [search = '', replacement = '', flags = ''] = argumentsOf(converter.argument ?? '');
  // What comes behind the match stays: it becomes a group of its own.
  if (!search.startsWith('^') || search.endsWith('$') || flags !== '')
    throw new Loss('a path is rewritten as a whole: `replace-path` is imported');
  const groups = groupsOf(search);
  return { pattern: `~${search}(.*)$`, path: `${referring(replacement, groups)}$${groups + 1}` };
}

/** HAProxy makes the whole path of the replacement, whatever part of it the pattern matched. */
function replace(search: string, format: string): Rewriting {
  return { pattern: `~${search}`, path: referring(format, groupsOf(search)) };
}

function groupsOf(expression: string): number {
  if (!isExpression(expression))
    throw new Loss('it is no regular expression of JavaScript: write it in that dialect');
  // An alternative that is empty always matches, and tells how many groups there are.
  return new RegExp(`${expression}|`).exec('')!.length - 1;
}

/** `\1` is `$1`. */
function referring(format: string, groups: number): string {
  return literal(format).replace(/\\(\d)/g, (_, number: string) => {
    if (Number(number) === 0 || Number(number) > groups)
      throw new Loss(`\\${number} stands for nothing in its pattern`);
    return `$${number}`;
  });
}
