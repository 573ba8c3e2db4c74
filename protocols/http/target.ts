/**
 * The request target (RFC 9112 3.2), taken apart as RFC 3986 does:
 *
 *     origin-form    /path?query
 *     absolute-form  http://authority/path?query
 *     asterisk-form  *                                 OPTIONS only
 *
 * `requestFault` (strictness.ts) comes first: what is not one of these never gets here.
 */

const SCHEME = /^https?:\/\//i;

export class Target {
  /** As it came, without query: what goes to the server. `*` for the asterisk-form. */
  readonly path: string;
  /** As it came, without the question mark; undefined: there is none, which is not the same as an empty one. */
  readonly query: string | undefined;
  /** Host and port as they came: from an absolute target, else from the Host field. */
  readonly authority: string | undefined;
  #normalised: string | undefined;

  constructor(path: string, query: string | undefined, authority: string | undefined) {
    this.path = path;
    this.query = query;
    this.authority = authority;
  }

  /** The path that rules see: equal for all spellings of one path. */
  get normalisedPath(): string {
    this.#normalised ??= normalisePath(this.path);
    return this.#normalised;
  }
}

/** `host`: the value of Host (HTTP/2: of `:authority`), if any. */
export function parseTarget(target: string, host: string | undefined): Target {
  const query = target.indexOf('?');
  const end = query === -1 ? target.length : query;
  const after = query === -1 ? undefined : target.slice(query + 1);
  if (target.startsWith('/') || !SCHEME.test(target)) return new Target(target.slice(0, end), after, host);
  const from = target.indexOf('://') + 3;
  const slash = target.indexOf('/', from);
  const path = slash === -1 || slash > end ? end : slash;
  return new Target(target.slice(path, end) || '/', after, target.slice(from, path));
}

/**
 * RFC 3986 6.2.2: percent-encoded letters, digits and `-._~` are decoded, other encodings get upper-case digits, dot
 * segments go. Bytes beyond ASCII are encoded. Empty segments (`//`) are kept: servers tell them apart.
 */
export function normalisePath(path: string): string {
  // Most paths have nothing but ASCII without percent signs.
  return removeDotSegments(/[^!-$&-~]/.test(path) ? normaliseEncoding(path) : path);
}

function normaliseEncoding(path: string): string {
  return path
    .replace(/%([0-9A-Fa-f]{2})/g, (encoding, digits: string) => {
      const character = String.fromCharCode(Number.parseInt(digits, 16));
      return /[A-Za-z0-9._~-]/.test(character) ? character : encoding.toUpperCase();
    })
    .replace(/[\u0080-\u00ff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
}

const DOT_SEGMENT = /\/(?:\.|%2e){1,2}(?:\/|$)/i;

/** RFC 3986 5.2.4, also for dots that are percent-encoded; all other bytes stay as they are. */
export function removeDotSegments(path: string): string {
  if (!DOT_SEGMENT.test(path)) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    const dots = segment.replace(/%2e/gi, '.');
    if (dots !== '.' && dots !== '..') {
      kept.push(segment);
      continue;
    }
    // The first segment is what is before the first slash: nothing, and it stays.
    if (dots === '..' && kept.length > 1) kept.pop();
    if (isLast) kept.push('');
  }
  return kept.join('/');
}

/**
 * The values of one parameter of a query as HTML forms write it (application/x-www-form-urlencoded), decoded. What is
 * not UTF-8 in valid percent-encoding stays as it came.
 */
export function queryValues(query: string | undefined, name: string): readonly string[] {
  const values: string[] = [];
  if (query === undefined) return values;
  for (let from = 0; from <= query.length; ) {
    const found = query.indexOf('&', from);
    const end = found === -1 ? query.length : found;
    const equals = query.indexOf('=', from);
    const nameEnd = equals === -1 || equals > end ? end : equals;
    if (nameEnd > from && decodeForm(query.slice(from, nameEnd)) === name) {
      values.push(decodeForm(query.slice(Math.min(nameEnd + 1, end), end)));
    }
    from = end + 1;
  }
  return values;
}

function decodeForm(text: string): string {
  if (!/[%+]/.test(text)) return text;
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    return spaced;
  }
}
