/** A draft as YAML, with comments. */
import { type Draft, isTree, type Part, Remarked, type Tree, type Value } from './draft.ts';

const WIDTH = 110;
/** Lists that have a line for each entry. */
const LONG_LISTS = ['servers', 'routes'];

/** The text of the configuration. */
export function writeDraft({ comments, top, pools, vips }: Draft): string {
  const lines = [...comments.map(comment), 'version: 1', ''];
  for (const [key, value] of Object.entries(top)) {
    if (value !== undefined) lines.push(...entry(key, value, 0), '');
  }
  lines.push('pools:', ...pools.flatMap(part), '', 'vips:', ...vips.flatMap(part));
  return `${lines.join('\n').replace(/\n{3,}/g, '\n\n')}\n`;
}

function part({ name, comments, body }: Part): string[] {
  return [
    '',
    ...comments.map((text) => `  ${comment(text)}`),
    `  ${quoted(name)}:`,
    ...Object.entries(body).flatMap(([key, value]) => (value === undefined ? [] : entry(key, value, 4))),
  ];
}

function entry(key: string, value: Exclude<Value, undefined>, indent: number): string[] {
  const start = `${' '.repeat(indent)}${quoted(key)}:`;
  const line = `${start} ${flow(value)}`;
  const isLong = Array.isArray(value) && LONG_LISTS.includes(key);
  if (!isLong && (line.length <= WIDTH || isScalar(value))) return [line];
  if (Array.isArray(value)) {
    return [start, ...value.flatMap((item) => listed(item as Value, indent + 2))];
  }
  return [start, ...block(value as Tree, indent + 2)];
}

function block(tree: Tree, indent: number): string[] {
  return Object.entries(tree).flatMap(([key, value]) =>
    value === undefined ? [] : entry(key, value, indent),
  );
}

function listed(item: Value, indent: number): string[] {
  const remark = item instanceof Remarked ? item.remark : undefined;
  const value = item instanceof Remarked ? item.value : item;
  const start = `${' '.repeat(indent)}- `;
  const line = `${start}${flow(value)}`;
  const beside = remark === undefined ? line : `${line}   ${comment(remark)}`;
  if (beside.length <= WIDTH || !isTree(value)) return [beside];
  const [first = '', ...others] = block(value, indent + 2);
  const above = remark === undefined ? [] : [`${' '.repeat(indent)}${comment(remark)}`];
  // A whole `when` in braces is easier to read than one that is taken apart.
  if (line.length <= WIDTH) return [...above, line];
  return [...above, start + first.trimStart(), ...others];
}

function flow(value: Value): string {
  if (value instanceof Remarked) return flow(value.value);
  if (Array.isArray(value)) return `[${value.map((item) => flow(item as Value)).join(', ')}]`;
  if (isTree(value)) {
    const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
    return entries.length === 0
      ? '{}'
      : `{ ${entries.map(([key, inner]) => `${quoted(key)}: ${flow(inner)}`).join(', ')} }`;
  }
  return scalar(`${value as string | number | boolean}`);
}

function isScalar(value: Value): boolean {
  return typeof value !== 'object';
}

/** A value: in these, unlike in keys, `${NAME}` would stand for a variable of the environment. */
function scalar(text: string): string {
  return quoted(text.replace(/\$(?=\{[A-Za-z_][A-Za-z0-9_]*\})/g, '$$$$'));
}

/** Plain where nothing in it can be mistaken, else in double quotes, in which JSON's escapes are YAML's too. */
function quoted(text: string): string {
  // A regular expression is told by its slashes: quoted, as the manual has it.
  const isExpression = /^\/.+\/$/.test(text);
  if (!isExpression && /^[A-Za-z0-9/][A-Za-z0-9_./+-]*(?::\d+)?$/.test(text)) return text;
  return JSON.stringify(text).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function comment(text: string): string {
  return text === '' ? '#' : `# ${text.replace(/[^\x20-\x7e\u00a0-\ufffd]/g, '?')}`;
}
