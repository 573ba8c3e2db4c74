/** Records, lists and comments of YAML as lines, and what is said or written only the first time. */

/** Columns. */
const WIDTH = 110;

/** One key of a record. */
export interface Entry {
  readonly key: string;
  /** On the line of the key. */
  readonly value?: string;
  /** On lines of their own below it. */
  readonly lines?: readonly string[];
  /** Sentences above it. */
  readonly note?: string | undefined;
  /** It is there as a comment. */
  readonly isOff?: true;
}

/** A record `name` of `entries`: on one line where it fits and nothing is said of an entry. `remark` stands behind. */
export function record(name: string, entries: readonly Entry[], remark: string): string[] {
  const isPlain = entries.every(({ lines, note, isOff }) => !lines && note === undefined && !isOff);
  const line = `  ${name}: { ${entries.map(({ key, value }) => `${key}: ${value}`).join(', ')} }`;
  if (isPlain && line.length <= WIDTH) return [`${line}   # ${remark}`];
  return [`  ${name}:   # ${remark}`, ...entries.flatMap(entryLines)];
}

function entryLines({ key, value, lines = [], note, isOff }: Entry): string[] {
  const own = [value === undefined ? `${key}:` : `${key}: ${value}`, ...lines.map((line) => `  ${line}`)];
  return [...comment(note, '    '), ...own.map((line) => `    ${isOff ? '# ' : ''}${line}`)];
}

/** Blocks of lines one after another, with an empty line beside those that are longer than one. */
export function spaced(blocks: readonly (readonly string[])[]): string[] {
  return blocks.flatMap((block, index) => {
    const before = blocks[index - 1];
    return before && Math.max(before.length, block.length) > 1 ? ['', ...block] : block;
  });
}

/** Sentences as comment lines. */
export function comment(text: string | undefined, indent = ''): string[] {
  return text === undefined ? [] : wrap(text, WIDTH - indent.length).map((line) => `${indent}# ${line}`);
}

/** Text in lines of at most `width` columns, as far as its words allow; what is in quotes or braces stays together. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const [word] of text.matchAll(/(?:"[^"]*"|\{[^}]*\}|\S)+/g)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** A value of any characters, in quotes where YAML needs them; `${` is no name of the environment. */
export function scalar(text: string): string {
  return /^[\w/]([\w/.:-]*[\w/])?$/.test(text) ? text : quoted(text);
}

export function quoted(text: string): string {
  return JSON.stringify(text.replaceAll(/\$(?=\{)/g, '$$$$'));
}

/** What the file has already. */
export class Written {
  readonly #anchors = new Set<string>();
  readonly #notes = new Set<string>();

  /** The entry with the anchor `name`, and from the second time on its alias. */
  shared(name: string, { key, value, lines, note }: Entry): Entry {
    if (this.#anchors.has(name)) return { key, value: `*${name}` };
    this.#anchors.add(name);
    const anchored = value === undefined ? `&${name}` : `&${name} ${value}`;
    return { key, value: anchored, ...(lines && { lines }), note };
  }

  /** `note`, the first time. */
  once(note: string): string | undefined {
    if (this.#notes.has(note)) return undefined;
    this.#notes.add(note);
    return note;
  }
}
