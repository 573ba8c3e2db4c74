/** A Gantry configuration while it is being put together: plain values in the order that they are written in. */

/** `undefined` is left out. Text is text, whatever it looks like: the writer quotes it. */
export type Value = string | number | boolean | readonly Value[] | Tree | Remarked | undefined;

export interface Tree {
  readonly [key: string]: Value;
}

/** A value with a comment beside it. */
export class Remarked {
  readonly value: Tree;
  readonly remark: string;

  constructor(value: Tree, remark: string) {
    this.value = value;
    this.remark = remark;
  }
}

/** A pool or a VIP. */
export interface Part {
  readonly name: string;
  /** Lines of a comment above it. */
  readonly comments: readonly string[];
  readonly body: Tree;
}

export interface Draft {
  readonly comments: readonly string[];
  /** Keys of the top that stand before pools and VIPs. */
  readonly top: Tree;
  readonly pools: readonly Part[];
  readonly vips: readonly Part[];
}

/** Names as Gantry wants them, each once. */
export class Names {
  readonly #taken = new Set<string>();

  /** `wanted`, or what is nearest to it and still free. */
  take(wanted: string): string {
    const near = wanted.replace(/[^A-Za-z0-9_.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '') || 'unnamed';
    let name = near;
    for (let count = 2; this.#taken.has(name); count++) name = `${near}-${count}`;
    this.#taken.add(name);
    return name;
  }
}

/** `tree` without what is empty; undefined when nothing is left. */
export function filled(tree: Tree): Tree | undefined {
  const entries = Object.entries(tree).filter(
    ([, value]) => value !== undefined && !(isTree(value) && Object.keys(value).length === 0),
  );
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

export function isTree(value: Value): value is Tree {
  return typeof value === 'object' && !Array.isArray(value) && !(value instanceof Remarked);
}

/** `500ms`, `5s`, `30m`, `72h`: the largest unit that holds it wholly. The longest that Gantry takes: ten years. */
export function durationText(ms: number): string {
  const whole = Math.min(Math.max(Math.round(ms), 1), 87_600 * 3_600_000);
  if (whole % 3_600_000 === 0) return `${whole / 3_600_000}h`;
  if (whole % 60_000 === 0) return `${whole / 60_000}m`;
  return whole % 1000 === 0 ? `${whole / 1000}s` : `${whole}ms`;
}
