/**
 * `rewrite: { path }`: the path that the server is asked for, made of the path that the rule's pattern matched.
 *
 *     path: "/chat/*"              rewrite: { path: "/$1" }        $1, $2, … are what each * stands for
 *     path: "~^/v(\\d+)/(.*)$"     rewrite: { path: "/$2?v=$1" }   or the groups of the regular expression
 *
 * `$$` is a dollar sign. The rule matched the normalised path; the rewritten one keeps the client's own spelling, without
 * dot segments: behind another prefix they would lead elsewhere.
 */
import { removeDotSegments, type Target } from './target.ts';

/** A path of the server's world → of the client's; undefined: it cannot be told. */
export type BackMapping = (path: string) => string | undefined;

export interface Rewritten {
  /** What the server is asked for: path and query. */
  readonly target: string;
  /** For Location and cookie paths of the answer; undefined where the mapping has no reverse. */
  readonly back: BackMapping | undefined;
}

export type Rewrite = (target: Target) => Rewritten;

interface Pattern {
  /** What each * or group stands for; undefined: the path does not match. */
  match(path: string): readonly string[] | undefined;
  readonly back: BackMapping | undefined;
}

/**
 * `patterns`: those of the rule's `path`; none is any path, as `/*`. Throws an Error with an operator's sentence when the
 * replacement cannot work with them.
 */
export function compileRewrite(patterns: readonly string[], replacement: string): Rewrite {
  const pieces = parseReplacement(replacement);
  const compiled = (patterns.length > 0 ? patterns : ['/*']).map((pattern) => compile(pattern, pieces));
  return (target) => {
    const path = removeDotSegments(target.path);
    const rewritten = apply(compiled, pieces, path) ?? apply(compiled, pieces, target.normalisedPath);
    if (!rewritten) return { target: withQuery(path, target.query), back: undefined };
    return { target: withQuery(rewritten.path, target.query), back: rewritten.back };
  };
}

function apply(
  patterns: readonly Pattern[],
  pieces: readonly (string | number)[],
  path: string,
): { path: string; back: BackMapping | undefined } | undefined {
  for (const pattern of patterns) {
    const captures = pattern.match(path);
    if (!captures) continue;
    const joined = pieces
      .map((piece) => (typeof piece === 'string' ? piece : (captures[piece - 1] ?? '')))
      .join('');
    return { path: joined.startsWith('/') ? joined : `/${joined}`, back: pattern.back };
  }
  return undefined;
}

/** A replacement may bring a query of its own. */
function withQuery(path: string, query: string | undefined): string {
  if (query === undefined) return path;
  return `${path}${path.includes('?') ? '&' : '?'}${query}`;
}

/** Text and the numbers of captures, in turn. */
function parseReplacement(replacement: string): (string | number)[] {
  const pieces: (string | number)[] = [];
  for (const [piece, number] of replacement.matchAll(/\$(\d+)|\$\$|[^$]+|\$/g)) {
    if (number !== undefined) pieces.push(Number(number));
    else if (piece === '$') throw new Error(`"${replacement}": $1 would be right, or $$ for a dollar sign`);
    else pieces.push(piece === '$$' ? '$' : piece);
  }
  if (/[^!-~]|#/.test(replacement)) {
    throw new Error(`"${replacement}" is not a path: other characters are written percent-encoded, as %20`);
  }
  return pieces;
}

function compile(pattern: string, pieces: readonly (string | number)[]): Pattern {
  const isExpression = pattern.startsWith('~');
  const { match, captures } = isExpression ? expression(pattern.slice(1)) : glob(pattern);
  const wrong = pieces.find((piece) => typeof piece === 'number' && (piece < 1 || piece > captures));
  if (wrong !== undefined) {
    const right = captures === 0 ? 'text without $' : captures === 1 ? '$1' : `$1 to $${captures}`;
    throw new Error(`$${wrong} stands for nothing in "${pattern}": ${right} would be right`);
  }
  return { match, back: isExpression ? undefined : reverse(pattern, pieces) };
}

function expression(source: string): { match: Pattern['match']; captures: number } {
  const compiled = new RegExp(source);
  // An alternative that is empty always matches, and tells how many groups there are.
  const captures = new RegExp(`${source}|`).exec('')!.length - 1;
  return {
    captures,
    match(path) {
      const found = compiled.exec(path);
      return found ? found.slice(1).map((group) => group ?? '') : undefined;
    },
  };
}

/** The same matching as the director's: each * but the last takes as little as it can. */
function glob(pattern: string): { match: Pattern['match']; captures: number } {
  const parts = pattern.split('*');
  const first = parts[0]!;
  const last = parts.at(-1)!;
  const middle = parts.slice(1, -1);
  return {
    captures: parts.length - 1,
    match(path) {
      if (parts.length === 1) return path === pattern ? [] : undefined;
      if (path.length < first.length + last.length) return undefined;
      if (!path.startsWith(first) || !path.endsWith(last)) return undefined;
      const end = path.length - last.length;
      const captures: string[] = [];
      let from = first.length;
      for (const part of middle) {
        const found = path.indexOf(part, from);
        if (found === -1 || found + part.length > end) return undefined;
        captures.push(path.slice(from, found));
        from = found + part.length;
      }
      captures.push(path.slice(from, end));
      return captures;
    },
  };
}

/** `/a/*` and `/b/$1`: every path below `/b/` is one below `/a/`. Without * and $: the one path is the other. */
function reverse(pattern: string, pieces: readonly (string | number)[]): BackMapping | undefined {
  if (pieces.some((piece) => typeof piece === 'string' && piece.includes('?'))) return undefined;
  const text = pieces.filter((piece) => typeof piece === 'string').join('');
  if (!pattern.includes('*')) return (path) => (path === text ? pattern : undefined);
  const isPrefix = pattern.indexOf('*') === pattern.length - 1 && pieces.indexOf(1) === pieces.length - 1;
  if (!isPrefix) return undefined;
  const ours = pattern.slice(0, -1);
  return (path) => {
    if (path.startsWith(text)) return ours + path.slice(text.length) || '/';
    // What the prefix itself is called without its slash: an application's root, the path of its cookies.
    return `${path}/` === text && ours.endsWith('/') ? ours.slice(0, -1) || '/' : undefined;
  };
}
