/**
 * The words of a HAProxy configuration (its manual, 2.2 "Quoting and escaping" and 2.3 "Environment variables").
 *
 *     outside quotes   \ before space, #, \, ' or " makes it a character; \n \r \t \xNN
 *     "weak"           the same, \$ too, and $NAME, ${NAME}, ${NAME-default}, ${NAME[*]} (several words)
 *     'strong'         nothing
 *     #                outside quotes: the rest of the line is a comment
 */
import type { Line } from './losses.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Lexed {
  readonly lines: readonly Line[];
  /** Lines that cannot be read: a quote without an end. They are not among `lines`. */
  readonly faults: readonly { readonly line: Line; readonly message: string }[];
  /** Names that the environment does not have, by line. */
  readonly missing: readonly { readonly line: Line; readonly name: string }[];
}

const CONTROL: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };
const VARIABLE = /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_.]\w*)(?:-([^}]*))?(\[\*\])?\})/y;

/** Never throws, whatever the text. */
export function readLines(text: string, environment: Environment): Lexed {
  const lines: Line[] = [];
  const faults: { line: Line; message: string }[] = [];
  const missing: { line: Line; name: string }[] = [];
  for (const [index, written] of text.split(/\r?\n/).entries()) {
    const number = index + 1;
    const names: string[] = [];
    const words = wordsOf(written, environment, names);
    if (words === undefined) {
      const line = { number, words: written.trim().split(/\s+/) };
      faults.push({ line, message: 'a quote has no end: HAProxy refuses this line too' });
      continue;
    }
    if (words.length === 0) continue;
    const line = { number, words };
    lines.push(line);
    for (const name of names) missing.push({ line, name });
  }
  return { lines, faults, missing };
}

/** undefined: a quote has no end. `missing` is told the variables that are not there. */
function wordsOf(text: string, environment: Environment, missing: string[]): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; ) {
    const character = text[at]!;
    if (quote === "'") {
      if (character === "'") quote = '';
      else word += character;
      at += 1;
    } else if (character === '\\') {
      const { made, length } = escaped(text, at, quote);
      word = (word ?? '') + made;
      at += length;
    } else if (character === '"' || (character === "'" && quote === '')) {
      quote = quote === '' ? character : '';
      word ??= '';
      at += 1;
    } else if (quote === '"' && character === '$') {
      VARIABLE.lastIndex = at;
      const match = VARIABLE.exec(text);
      const [first, ...others] = match ? valuesOf(match, environment, missing) : ['$'];
      word = (word ?? '') + (first ?? '');
      for (const other of others) {
        words.push(word);
        word = other;
      }
      at += match?.[0].length ?? 1;
    } else if (quote === '' && character === '#') {
      break;
    } else if (quote === '' && (character === ' ' || character === '\t')) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += 1;
    } else {
      word = (word ?? '') + character;
      at += 1;
    }
  }
  if (quote !== '') return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

function escaped(text: string, at: number, quote: string): { made: string; length: number } {
  const next = text[at + 1] ?? '';
  const hex = /^x([0-9A-Fa-f]{2})/.exec(text.slice(at + 1, at + 4));
  if (hex) return { made: String.fromCharCode(Number.parseInt(hex[1]!, 16)), length: 4 };
  if (next in CONTROL) return { made: CONTROL[next]!, length: 2 };
  if (next !== '' && (` \t\\#'"`.includes(next) || (quote === '"' && next === '$')))
    return { made: next, length: 2 };
  return { made: '\\', length: 1 };
}

function valuesOf(match: RegExpExecArray, environment: Environment, missing: string[]): string[] {
  const [, plain, braced, otherwise, isList] = match;
  const name = plain ?? braced ?? '';
  const value = environment[name] ?? otherwise;
  if (value === undefined) missing.push(name);
  return isList === undefined ? [value ?? ''] : (value ?? '').split(/\s+/);
}
