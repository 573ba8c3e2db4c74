/**
 * Which AE titles may come to which pool: the rules of a VIP, judged by what is known before anybody has called. A rule
 * that also asks for something else, a modality or an address, may hold or not: then the rules after it are reached too.
 */
import { compilePattern, isText } from '../director/patterns.ts';

/** What a rule asks of the facts: everything in one `when` holds together. */
export interface When {
  readonly facts: readonly { readonly name: string; readonly patterns: readonly string[] }[];
  readonly not?: When | undefined;
  readonly any?: readonly When[] | undefined;
}

export interface Route {
  readonly when: When;
  /** undefined: it rejects. */
  readonly pool: string | undefined;
}

export interface Reaching {
  /** undefined: somebody else than those with the known titles. */
  readonly calling: string | undefined;
  /** undefined: no rule that leads there names one. */
  readonly called: string | undefined;
}

/** The texts that the rules name for a fact: patterns that only an equal value matches. What a `not` names is not wanted. */
export function literalsOf(routes: readonly Route[], name: string): string[] {
  const inWhen = ({ facts, any = [] }: When): string[] => [
    ...facts.flatMap((fact) =>
      fact.name === name ? fact.patterns.filter((pattern) => isText(name, pattern)) : [],
    ),
    ...any.flatMap(inWhen),
  ];
  return [...new Set(routes.flatMap(({ when }) => inWhen(when)))];
}

/**
 * Pool → who may come to it, of those with the titles `calling` and of others, by the called AE titles that the rules
 * name and by any other one. `routes`: all that decide, in their order; the last one may be without a condition.
 */
export function reachOf(
  routes: readonly Route[],
  calling: readonly string[],
  ignoreCase: boolean,
): ReadonlyMap<string, readonly Reaching[]> {
  const reached = new Map<string, Reaching[]>();
  const judges = routes.map(({ when }) => compile(when, ignoreCase));
  const namedBy = routes.map((route) => literalsOf([route], 'called'));
  for (const title of [...calling, undefined]) {
    for (const called of [...literalsOf(routes, 'called'), undefined]) {
      for (const [index, { pool }] of routes.entries()) {
        const verdict = judges[index]!({ calling: title, called });
        if (verdict === false) continue;
        if (pool !== undefined) {
          const named = called !== undefined && namedBy[index]!.includes(called) ? called : undefined;
          reached.set(pool, [...(reached.get(pool) ?? []), { calling: title, called: named }]);
        }
        if (verdict === true) break;
      }
    }
  }
  return reached;
}

/** undefined: it depends on what is not known. */
type Verdict = boolean | undefined;

type Known = Readonly<Record<string, string | undefined>>;

function compile({ facts, not, any }: When, ignoreCase: boolean): (known: Known) => Verdict {
  const parts = facts.map(({ name, patterns }) => {
    if (name !== 'calling' && name !== 'called') return () => undefined;
    const tests = patterns.map((pattern) => compilePattern(name, pattern, { ignoreCase }));
    // A title that no rule names fits no text, and may fit the rest.
    const ofOthers = patterns.every((pattern) => isText(name, pattern)) ? false : undefined;
    return (known: Known): Verdict => {
      const value = known[name];
      return value === undefined ? ofOthers : tests.some((test) => test(value));
    };
  });
  if (not) {
    const inner = compile(not, ignoreCase);
    parts.push((known) => {
      const verdict = inner(known);
      return verdict === undefined ? undefined : !verdict;
    });
  }
  if (any) {
    const alternatives = any.map((each) => compile(each, ignoreCase));
    parts.push((known) => {
      const verdicts = alternatives.map((each) => each(known));
      if (verdicts.includes(true)) return true;
      return verdicts.includes(undefined) ? undefined : false;
    });
  }
  return (known) => {
    const verdicts = parts.map((part) => part(known));
    if (verdicts.includes(false)) return false;
    return verdicts.includes(undefined) ? undefined : true;
  };
}
