/**
 * Several checks that are one: `all` of them have to be good, or `any` of them. Each part runs on its own, so that it is
 * shared with whoever else asks for the same; a result of the whole comes whenever every part has a new one.
 */
import type { CheckOutcome } from '../server.ts';
import type { CheckResult } from './check.ts';

export type Mode = 'all' | 'any';

/** From worst to best. */
const OUTCOMES: readonly CheckOutcome[] = ['down', 'misconfigured', 'busy', 'up'];

/** `all`: the worst of the results, `any`: the best, with the reasons of those that made it so. At least one result. */
export function combine(mode: Mode, results: readonly CheckResult[]): CheckResult {
  const ranks = results.map(({ outcome }) => OUTCOMES.indexOf(outcome));
  const rank = mode === 'all' ? Math.min(...ranks) : Math.max(...ranks);
  const counting = results.filter((_, index) => ranks[index] === rank);
  return {
    outcome: OUTCOMES[rank]!,
    reason: [...new Set(counting.map(({ reason }) => reason))].join('; '),
    ms: Math.max(...results.map(({ ms }) => ms)),
  };
}

/**
 * Collects the results of `count` parts and tells those of the whole. A part whose check was left out this time
 * (`undefined`) counts with what it found before.
 */
export function createComposite(
  mode: Mode,
  count: number,
  tell: (result: CheckResult | undefined) => void,
): (part: number, result: CheckResult | undefined) => void {
  const latest: (CheckResult | undefined)[] = new Array(count).fill(undefined);
  const heard = new Set<number>();
  return (part, result) => {
    if (result) latest[part] = result;
    heard.add(part);
    if (heard.size < count) return;
    heard.clear();
    const known = latest.filter((each) => each !== undefined);
    tell(known.length > 0 ? combine(mode, known) : undefined);
  };
}
