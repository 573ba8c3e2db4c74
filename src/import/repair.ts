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
  readonly removed: readonly Removed[];
}

export interface Removed extends DraftFault {
  readonly line: number;
  /** What went as a whole: `vips.web`. */
  readonly whole: string | undefined;
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
  const removed: Removed[] = [];
  let rest = draft;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const faults = faultsOf(rest);
    if (faults.length === 0) return { draft: rest, removed };
    // Whose faults they are is told by the draft that was judged: names may begin alike.
    const parts = faults.map((fault) => partAt(rest, fault));
    for (const [index, fault] of faults.entries()) {
      const part = parts[index];
      const whole = part && !isDispensable(fault, part) ? wholeOf(fault, part) : undefined;
      removed.push({ ...fault, line: part ? lineOf(part) : 1, whole });
      if (!part) return { draft: undefined, removed };
      rest = without(rest, part, fault);
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

/** Without what is at fault in the part, or without that part, which may be gone already. */
function without(draft: Draft, part: Part, fault: DraftFault): Draft {
  const room = roomOf(fault);
  const kept = (each: Part): Part[] => {
    if (each.name !== part.name) return [each];
    return isDispensable(fault, part)
      ? [{ ...each, body: { ...each.body, [keyOf(fault, part)]: undefined } }]
      : [];
  };
  return { ...draft, [room]: draft[room].flatMap(kept) };
}

function isDispensable(fault: DraftFault, part: Part): boolean {
  return DISPENSABLE.includes(keyOf(fault, part));
}

/** The key of the part that is at fault. */
function keyOf(fault: DraftFault, part: Part): string {
  return fault.path.slice(wholeOf(fault, part).length + 1).split(/[.[]/)[0]!;
}

function wholeOf(fault: DraftFault, { name }: Part): string {
  return `${roomOf(fault)}.${name}`;
}

function roomOf({ path }: DraftFault): 'vips' | 'pools' {
  return path.startsWith('vips.') ? 'vips' : 'pools';
}
