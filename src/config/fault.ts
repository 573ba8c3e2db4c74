/** A fault of a configuration file: where it is, what is wrong and what would be right. */

export interface Fault {
  /** As the operator named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `vips.ARCHIVE.routes[1].pool`; places in a list count from 1, as rules do in the log. */
  readonly path: string;
  readonly message: string;
}

/** `FILE:LINE:COL: path: what is wrong and what would be right` */
export function formatFault({ file, line, column, path, message }: Fault): string {
  return `${file}:${line}:${column}: ${path}: ${message}`;
}

/** The name among `known` that `written` was probably meant to be. */
export function suggestion(written: string, known: Iterable<string>): string | undefined {
  const limit = written.length < 3 ? 0 : Math.floor(written.length / 3);
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance =
      name.toLowerCase() === written.toLowerCase() ? 0 : editDistance(written, name, best?.distance ?? limit);
    if (distance <= limit && distance < (best?.distance ?? limit + 1)) best = { name, distance };
  }
  return best?.name;
}

/** `did you mean "x"?`, or, when nothing is near, what there is (`offered`). */
export function advice(written: string, offered: readonly string[], known = offered): string {
  const near = suggestion(written, known);
  if (near !== undefined) return `did you mean "${near}"?`;
  return offered.length === 0 ? 'there are none' : `there are ${offered.join(', ')}`;
}

/** Letters to insert, delete, replace or swap with their neighbour; counting stops beyond `limit`. */
function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) > limit || from.length > 64) return limit + 1;
  let previous: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1];
      let cost = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        cost = Math.min(cost, previous[j - 2]! + 1);
      }
      next.push(cost);
    }
    previous = row;
    row = next;
  }
  return row[to.length]!;
}
