/**
 * A draft that `gantry check` finds fault with: what is at fault is taken out and told of, so that the rest can be used. What
 * keeps somebody out is never taken out by itself: then its VIP goes as a whole.
 */
import type { Draft, Part } from './draft.ts';

/** As `gantry check` has it: `vips.web.source`, and what is wrong there. */
export interface DraftFault {
  readonly path: string;
  readonly message: string;
}

export interface Repaired {
  /** undefined: too much is at fault. */
  readonly draft: Draft | undefined;
  readonly removed: readonly (DraftFault & { readonly line: number })[];
}

/** Without these a pool or a VIP works as well, only otherwise. */
const DISPENSABLE = [
  'source',
  'timeouts',
  'limits',
  'headers',
  'forwarded',
  'persistence',
  'health',
  'balance',
  'slowStart',
];
/** Each round may bring faults to light that others hid. */
const MOST_ROUNDS = 10;

/** `faultsOf`: judges a draft. */
export function repair(draft: Draft, faultsOf: (draft: Draft) => readonly DraftFault[]): Repaired {
  const removed: (DraftFault & { line: number })[] = [];
  let rest = draft;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const faults = faultsOf(rest);
    if (faults.length === 0) return { draft: rest, removed };
    // Whose faults they are is told by the draft that was judged: names may begin alike.
    const parts = faults.map((fault) => partAt(rest, fault));
    for (const [index, fault] of faults.entries()) {
      const part = parts[index];
      removed.push({ ...fault, line: part ? lineOf(part) : 1 });
      if (!part) return { draft: undefined, removed };
      rest = without(rest, part.name, fault);
    }
  }
  return { draft: undefined, removed };
}

function partAt({ vips, pools }: Draft, { path }: DraftFault): Part | undefined {
  const among = path.startsWith('vips.') ? vips : path.startsWith('pools.') ? pools : [];
  const rest = path.slice(path.indexOf('.') + 1);
  // Names have dots in them: the longest that fits is meant.
  return among
    .filter(({ name }) => rest === name || rest.startsWith(`${name}.`))
    .sort((a, b) => b.name.length - a.name.length)[0];
}

/** Of the file that it came from. */
function lineOf({ comments }: Part): number {
  return Number(/line (\d+)$/.exec(comments[0] ?? '')?.[1] ?? 1);
}

/** Without what is at fault in the part `name`, or without that part, which may be gone already. */
function without(draft: Draft, name: string, { path }: DraftFault): Draft {
  const room = path.startsWith('vips.') ? 'vips' : 'pools';
  const [key = ''] = path.slice(room.length + name.length + 2).split(/[.[]/);
  const kept = (part: Part): Part[] => {
    if (part.name !== name) return [part];
    return DISPENSABLE.includes(key) ? [{ ...part, body: { ...part.body, [key]: undefined } }] : [];
  };
  return { ...draft, [room]: draft[room].flatMap(kept) };
}
