/**
 * What became of each line of a foreign configuration. Every line is judged: it is in the draft, has no meaning here, or
 * is told of; none is dropped in silence.
 */

/** One line that says something. */
export interface Line {
  /** Counted from 1. */
  readonly number: number;
  /** Without quotes and comments. */
  readonly words: readonly string[];
}

/**
 * `lost`: it does nothing in the draft. `changed`: the draft does something near it, or wants a hand. `idle`: it has no
 * meaning here, and nothing is missing without it.
 */
export type Fate = 'lost' | 'changed' | 'idle';

export interface Note {
  readonly line: number;
  readonly fate: Fate;
  /** What the line says, without secrets. */
  readonly says: string;
  /** Why, and what would do instead. */
  readonly why: string;
}

/** A directive, or a part of one, that is not taken over. The message is the reason, and what would do instead. */
export class Loss extends Error {}

export class Ledger {
  readonly #lines: readonly Line[];
  readonly #taken = new Set<number>();
  readonly #covered = new Set<number>();
  readonly #notes = new Map<string, Note>();
  /** By line. */
  readonly #noted = new Map<number, Set<Fate>>();

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  /** The line is in the draft. */
  take(line: Line): void {
    this.#taken.add(line.number);
  }

  /** `part`: the words that are meant, where it is not the whole line. */
  lost(line: Line, why: string, part?: string): void {
    this.#note(line, 'lost', why, part);
  }

  changed(line: Line, why: string, part?: string): void {
    this.#note(line, 'changed', why, part);
  }

  idle(line: Line, why: string, part?: string): void {
    this.#note(line, 'idle', why, part);
  }

  /** It is told of together with another line: the one that begins its section. */
  cover(line: Line): void {
    this.#covered.add(line.number);
  }

  isJudged({ number }: Line): boolean {
    return this.#taken.has(number) || this.#covered.has(number) || this.#noted.has(number);
  }

  /** Is anything of it lost? */
  isToldOf({ number }: Line): boolean {
    return this.#noted.get(number)?.has('lost') ?? false;
  }

  isTaken({ number }: Line): boolean {
    return this.#taken.has(number);
  }

  isCovered({ number }: Line): boolean {
    return this.#covered.has(number);
  }

  /** Lines that nobody judged, in their order. */
  unjudged(): readonly Line[] {
    return this.#lines.filter((line) => !this.isJudged(line));
  }

  /** In the order of the file. A line of `defaults` may be idle for one section and in the draft for another. */
  notes(): readonly Note[] {
    return [...this.#notes.values()]
      .filter(({ line, fate, says }) => fate !== 'idle' || !this.#taken.has(line) || says.startsWith('…'))
      .sort((a, b) => a.line - b.line);
  }

  #note(line: Line, fate: Fate, why: string, part?: string): void {
    const says = part === undefined ? shown(line.words) : `… ${shown(part.split(' '))}`;
    const fates = this.#noted.get(line.number) ?? new Set();
    this.#noted.set(line.number, fates.add(fate));
    // The same line of `defaults` is met in many sections.
    this.#notes.set(`${line.number} ${fate} ${part ?? ''} ${why}`, {
      line: line.number,
      fate,
      says,
      why: printable(why),
    });
  }
}

/** A sentence may quote what the file says. */
function printable(sentence: string): string {
  const text = sentence.replace(/\p{Cc}/gu, '?');
  return text.length > 3 * LONGEST ? `${text.slice(0, 3 * LONGEST)}…` : text;
}

/** After one of these comes something that is nobody's business. */
const SECRET_NEXT =
  /^(?:password|insecure-password|passwd|secret|login|auth|ca-sign-pass|tcp-md5sig|cluster-secret)$/i;
const SECRET_KEY = /^((?:passwd|secret|login)\s*=).*/i;
const LONGEST = 120;

/** The words on one line, cut, without control characters and without secrets. */
export function shown(words: readonly string[]): string {
  const said = words.map((word, index) => {
    const before = words[index - 1];
    if (before !== undefined && SECRET_NEXT.test(before) && word !== '=' && !isKeyword(words, index))
      return '***';
    if (/^authorization$/i.test(before ?? '')) return '***';
    return word.replace(SECRET_KEY, '$1***');
  });
  const text = said
    .join(' ')
    .replace(/(authorization:?\s*)\S.*/i, '$1***')
    .replace(/[^\x20-\x7e]/g, '?');
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}

/** `http-request auth realm X`, `http-check send meth …`: no secret follows. */
function isKeyword(words: readonly string[], index: number): boolean {
  return words[index - 1] === 'auth' && words[0] !== 'stats';
}
