/**
 * Cookies on their way through (RFC 6265 4.1, 4.2):
 *
 *     Cookie:     name=value; name=value
 *     Set-Cookie: name=value; Path=/x; Secure; …
 */
import { isField } from './fields.ts';

/** The values of every cookie of that name, in their order. `fields`: the values of the Cookie fields. */
export function cookieValues(fields: readonly string[], name: string): readonly string[] {
  const values: string[] = [];
  if (name === '') return values;
  for (const field of fields) {
    for (let from = field.indexOf(name); from !== -1; from = field.indexOf(name, from + 1)) {
      const equals = skipBlanks(field, from + name.length);
      if (field[equals] === '=' && beginsPair(field, from)) {
        values.push(field.slice(equals + 1, pairEnd(field, equals)).trim());
      }
    }
  }
  return values;
}

/** A Cookie field without the cookies of that name; undefined: nothing is left. */
export function withoutCookie(field: string, name: string): string | undefined {
  if (!field.includes(name)) return field;
  const kept = field.split(';').filter((pair) => nameOf(pair) !== name);
  return kept.some((pair) => pair.trim() !== '') ? kept.join(';').trim() : undefined;
}

/** Takes the cookies of that name out of all Cookie fields, in place: the balancer's own are nobody else's business. */
export function removeCookie(fields: string[], name: string): void {
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    if (!isField(fields[at]!, 'cookie')) continue;
    const left = withoutCookie(fields[at + 1]!, name);
    if (left === undefined) fields.splice(at, 2);
    else fields[at + 1] = left;
  }
}

/** A Set-Cookie value whose Path is what `map` makes of it; undefined from `map`: as it was. */
export function withCookiePath(setCookie: string, map: (path: string) => string | undefined): string {
  const semicolon = setCookie.indexOf(';');
  if (semicolon === -1) return setCookie;
  const attributes = setCookie
    .slice(semicolon)
    .replace(/(;[ \t]*path[ \t]*=[ \t]*)([^;]*)/gi, (all, before, path) => {
      const mapped = map(path.trim());
      return mapped === undefined ? all : `${before}${mapped}`;
    });
  return setCookie.slice(0, semicolon) + attributes;
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=');
  return equals === -1 ? '' : pair.slice(0, equals).trim();
}

function isBlank(text: string, at: number): boolean {
  return text[at] === ' ' || text[at] === '\t';
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text, at)) at++;
  return at;
}

/** Is there nothing but blanks between `at` and the semicolon or the start before it? */
function beginsPair(text: string, at: number): boolean {
  let before = at - 1;
  while (isBlank(text, before)) before--;
  return before < 0 || text[before] === ';';
}

function pairEnd(text: string, from: number): number {
  const end = text.indexOf(';', from);
  return end === -1 ? text.length : end;
}
