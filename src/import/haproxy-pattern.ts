/** What a fact is compared with, `-m beg /x`, as a pattern of Gantry (HAProxy's manual, 7.1). */
import { isExpression } from './haproxy-values.ts';
import { Loss } from './losses.ts';

const MATCHES = [
  'str',
  'beg',
  'end',
  'sub',
  'dir',
  'dom',
  'reg',
  'found',
  'ip',
  'int',
  'bool',
  'len',
  'bin',
] as const;
export type Match = (typeof MATCHES)[number];

/** Throws a Loss. */
export function matchOf(written: string | undefined): Match {
  const match = MATCHES.find((each) => each === written);
  if (!match) throw new Loss(`"-m ${written ?? ''}" is no way to compare that is known here`);
  return match;
}

/** Header fields that are lists: `hdr` looks at each of their values by itself. */
export const LISTS =
  /^header\.(?:accept.*|cache-control|connection|forwarded|pragma|te|transfer-encoding|upgrade|vary|via|x-forwarded-for)$/i;

export interface PatternOptions {
  readonly match: Match;
  readonly ignoreCase: boolean;
  readonly isList: boolean;
}

/** A pattern of Gantry for the fact `of`: text, a glob, or a regular expression where only that says it. */
export function patternOf(of: string, text: string, { match, ignoreCase, isList }: PatternOptions): string {
  const quoted = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const [start, end] = isList ? ['(?:^|,)[ \\t]*', '[ \\t]*(?:,|$)'] : ['^', '$'];
  const expressions: Partial<Record<Match, string>> = {
    str: start + quoted + end,
    beg: start + quoted,
    end: quoted + end,
    sub: quoted,
    dir: `(?:^|/)${quoted.replace(/^\/+|\/+$/g, '')}(?:/|$)`,
    dom: `(?:^|[./?:])${quoted}(?:[./?:]|$)`,
    reg: text.replace(/^\(\?i\)/, ''),
  };
  const globs: Partial<Record<Match, string>> = {
    str: text,
    beg: `${text}*`,
    end: `*${text}`,
    sub: `*${text}*`,
  };
  const glob = isList && match !== 'sub' ? undefined : globs[match];
  // A glob has no way to say "*", and text must not look like a regular expression.
  const isPlain =
    !text.includes('*') && text !== '' && !(of === 'path' ? text.startsWith('~') : /^\/.*\/$/.test(text));
  if (glob !== undefined && !ignoreCase && isPlain) return glob;
  const expression = expressions[match];
  if (expression === undefined) throw new Loss(`Gantry compares texts, not by "${match}"`);
  const insensitive = ignoreCase || /^\(\?i\)/.test(text) ? `(?i:${expression})` : expression;
  if (!isExpression(insensitive))
    throw new Loss('it is no regular expression of JavaScript: write it in that dialect into `when`');
  return of === 'path' ? `~${insensitive}` : `/${insensitive}/`;
}
