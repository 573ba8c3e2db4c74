/** The rules of a VIP: the first whose facts all match decides. */
import type { Facts, FactValue } from '../../protocols/facts.ts';
import { compilePattern, type Test } from './patterns.ts';

/** What a rule asks of the facts: everything in one `when` holds together. Patterns are the configuration's text. */
export interface When {
  readonly facts: readonly { readonly name: string; readonly patterns: readonly string[] }[];
  readonly not?: When | undefined;
  readonly any?: readonly When[] | undefined;
}

/** Facts as they are asked for by the rules of one VIP: each is worked out at most once for all of them. */
class FactReader {
  readonly #facts: Facts;
  readonly #names: readonly string[];
  readonly #values: (FactValue | null)[];

  constructor(facts: Facts, names: readonly string[]) {
    this.#facts = facts;
    this.#names = names;
    this.#values = new Array(names.length).fill(null);
  }

  value(slot: number): FactValue {
    const known = this.#values[slot];
    if (known !== null) return known;
    const value = this.#facts.get(this.#names[slot]!);
    this.#values[slot] = value;
    return value;
  }
}

type Condition = (reader: FactReader) => boolean;

/** Finds the first match: its index, or -1. */
export type Matcher = (facts: Facts) => number;

export interface RulesOptions {
  /** Facts whose values are compared without regard to case. */
  readonly ignoreCase?: readonly string[];
}

/** Compiles the conditions of rules, in their order. Throws when a pattern cannot be compiled. */
export function compileRules(rules: readonly When[], { ignoreCase = [] }: RulesOptions = {}): Matcher {
  const names: string[] = [];
  const slotOf = (name: string) => {
    const slot = names.indexOf(name);
    return slot === -1 ? names.push(name) - 1 : slot;
  };
  const compile = (when: When): Condition => {
    const conditions = when.facts.map(({ name, patterns }) =>
      anyMatches(
        slotOf(name),
        patterns.map((pattern) => compilePattern(name, pattern, { ignoreCase: ignoreCase.includes(name) })),
      ),
    );
    if (when.not) {
      const unwanted = compile(when.not);
      conditions.push((reader) => !unwanted(reader));
    }
    if (when.any) {
      const alternatives = when.any.map(compile);
      conditions.push((reader) => alternatives.some((alternative) => alternative(reader)));
    }
    return conditions.length === 1
      ? conditions[0]!
      : (reader) => conditions.every((condition) => condition(reader));
  };
  const conditions = rules.map(compile);
  return (facts) => {
    const reader = new FactReader(facts, names);
    for (let index = 0; index < conditions.length; index++) if (conditions[index]!(reader)) return index;
    return -1;
  };
}

/** Does any value of a fact match any of the patterns? A fact without a value matches nothing. */
function anyMatches(slot: number, tests: readonly Test[]): Condition {
  const only = tests.length === 1 ? tests[0]! : (value: string) => tests.some((test) => test(value));
  return (reader) => {
    const value = reader.value(slot);
    if (value === undefined) return false;
    return typeof value === 'string' ? only(value) : value.some(only);
  };
}
