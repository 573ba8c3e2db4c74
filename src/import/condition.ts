/** Conditions: what a rule of another balancer asks, as an expression that becomes a `when`. */
import type { Tree } from './draft.ts';

export type Condition =
  | { readonly kind: 'constant'; readonly value: boolean }
  /** One of these patterns. */
  | { readonly kind: 'fact'; readonly name: string; readonly patterns: readonly string[] }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] };

export const ALWAYS: Condition = { kind: 'constant', value: true };
export const NEVER: Condition = { kind: 'constant', value: false };

export function fact(name: string, patterns: readonly string[]): Condition {
  return patterns.length === 0 ? NEVER : { kind: 'fact', name, patterns: [...new Set(patterns)] };
}

export function not(of: Condition): Condition {
  if (of.kind === 'constant') return of.value ? NEVER : ALWAYS;
  return of.kind === 'not' ? of.of : { kind: 'not', of };
}

export function all(...conditions: readonly Condition[]): Condition {
  const parts = conditions.flatMap((part) => (part.kind === 'all' ? part.of : [part]));
  if (parts.some(isNever)) return NEVER;
  const rest = parts.filter((part) => !isAlways(part));
  return rest.length < 2 ? (rest[0] ?? ALWAYS) : { kind: 'all', of: rest };
}

export function any(...conditions: readonly Condition[]): Condition {
  const parts = conditions.flatMap((part) => (part.kind === 'any' ? part.of : [part]));
  if (parts.some(isAlways)) return ALWAYS;
  const rest: Condition[] = [];
  for (const part of parts) {
    if (isNever(part)) continue;
    const same = rest.findIndex(
      (other) => part.kind === 'fact' && other.kind === 'fact' && other.name === part.name,
    );
    const other = rest[same];
    if (part.kind === 'fact' && other?.kind === 'fact')
      rest[same] = fact(part.name, [...other.patterns, ...part.patterns]);
    else rest.push(part);
  }
  return rest.length < 2 ? (rest[0] ?? NEVER) : { kind: 'any', of: rest };
}

export function isAlways(condition: Condition): boolean {
  return condition.kind === 'constant' && condition.value;
}

export function isNever(condition: Condition): boolean {
  return condition.kind === 'constant' && !condition.value;
}

/** Does it ask for the fact `name` anywhere? */
export function asksFor(condition: Condition, name: string): boolean {
  if (condition.kind === 'fact') return condition.name === name;
  if (condition.kind === 'constant') return false;
  const parts = condition.kind === 'not' ? [condition.of] : condition.of;
  return parts.some((part) => asksFor(part, name));
}

/**
 * The `when` of a condition that is no constant. A `when` has a fact once, one `any` and one `not`; what is more than that
 * goes into the `not`, turned round.
 */
export function whenOf(condition: Condition): Tree {
  switch (condition.kind) {
    case 'constant':
      return {};
    case 'fact':
      return { [condition.name]: patternsOf(condition.patterns) };
    case 'any':
      return { any: condition.of.map(whenOf) };
    case 'not':
      return { not: whenOf(condition.of) };
    case 'all':
      return whenAll(condition.of);
  }
}

function whenAll(parts: readonly Condition[]): Tree {
  const when: Record<string, Tree[string]> = {};
  const negated: Condition[] = [];
  for (const part of parts) {
    if (part.kind === 'fact' && !(part.name in when)) when[part.name] = patternsOf(part.patterns);
    else if (part.kind === 'any' && !('any' in when)) when.any = part.of.map(whenOf);
    else if (part.kind === 'fact' && !('any' in when)) when.any = [whenOf(part)];
    else negated.push(not(part));
  }
  return negated.length === 0 ? when : { ...when, not: whenOf(any(...negated)) };
}

function patternsOf(patterns: readonly string[]): string | readonly string[] {
  return patterns.length === 1 ? patterns[0]! : patterns;
}
