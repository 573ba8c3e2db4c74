/**
 * Patterns for the subject of a certificate, which is a sequence of names (RFC 4514):
 *
 *     CN=ct1,OU=CT,O=Hospital
 *
 * A pattern is one or more of these names. A subject fits that has each of them, whole, in any order: `CN=ct1` does not
 * fit `CN=ct12`, and no value can pretend to be a further name, because its commas are escaped. `*` in a value stands for
 * any characters of that value. Types are compared without regard to case (RFC 4514 4), values with.
 */

/** Separators: without a backslash before them, but for one that is escaped itself. */
const COMMA = /(?<=(?<!\\)(?:\\\\)*),/;
const PLUS = /(?<=(?<!\\)(?:\\\\)*)\+/;

/** What a value has a backslash before, wherever it stands (RFC 4514 2.4). */
const ALWAYS_ESCAPED = /[,+"\\<>;]/;
/** What has one only at the beginning or the end, or need not have one. */
const SOMETIMES_ESCAPED = /[# ]/;

/** One character of a value: escaped as two hexadecimal digits or by a backslash, or as it is. */
const CHARACTER = /\\([0-9A-Fa-f]{2})|\\(.)|(.)/gsu;

/** Any characters of one value. */
const ANY = '(?:[^,+\\\\]|\\\\.)*';

/** Any names, with the comma behind the last of them. */
const NAMES_BEFORE = '(?:(?:[^,\\\\]|\\\\.)*,)*';

/** The source of a regular expression that finds the subjects that fit; undefined when `written` is no such pattern. */
export function subjectPattern(written: string): string | undefined {
  const names = written.split(COMMA).map(namePattern);
  if (names.includes(undefined)) return undefined;
  return `^${names.map((name) => `(?=${NAMES_BEFORE}${name}(?:,|$))`).join('')}`;
}

/** A name may have several parts: `CN=ct1+UID=7`. */
function namePattern(written: string): string | undefined {
  const parts = written.split(PLUS).map(partPattern);
  return parts.includes(undefined) ? undefined : parts.join('\\+');
}

function partPattern(written: string): string | undefined {
  const match = /^\s*([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+)\s*=\s*(.*?)\s*$/s.exec(written);
  if (!match?.[2]) return undefined;
  const type = match[1]!.replaceAll(
    /[A-Za-z]/g,
    (letter) => `[${letter.toUpperCase()}${letter.toLowerCase()}]`,
  );
  const value = match[2].replaceAll(CHARACTER, (_, digits?: string, escaped?: string, plain?: string) => {
    if (digits !== undefined) return `\\\\${digits.toUpperCase()}`;
    return plain === '*' ? ANY : characterPattern((escaped ?? plain)!);
  });
  return `${type.replaceAll('.', '\\.')}=${value}`;
}

function characterPattern(character: string): string {
  const itself = character.replace(/[$()*+.?[\\\]^{|}/]/, '\\$&');
  if (ALWAYS_ESCAPED.test(character)) return `\\\\${itself}`;
  return SOMETIMES_ESCAPED.test(character) ? `\\\\?${itself}` : itself;
}
