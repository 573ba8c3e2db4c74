/** The rules of a VIP: the first whose facts all match decides. */
import type { Facts, FactValue } from '../../protocols/facts.ts';
import { compilePattern, isText, type Test } from './patterns.ts';

/** Any of these patterns. */
interface FactPatterns {
  readonly name: string;
  readonly patterns: readonly string[];
  /** All values of the fact must fit, where it has any; else one of them must. */
  readonly every?: boolean;
}

/** What a rule asks of the facts: everything in one `when` holds together. Patterns are the configuration's text. */
export interface When {
  readonly facts: readonly FactPatterns[];
  readonly not?: When | undefined;
  readonly any?: readonly When[] | undefined;
}

const NO_FACTS: Facts = { get: () => undefined };

/**
 * Facts as they are asked for by the rules of one VIP: each is worked out at most once for all of them. One reader
 * serves one piece of work after the other.
 */
class FactReader {
  readonly #names: readonly string[];
  readonly #values: (FactValue | null)[];
  #facts = NO_FACTS;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#values = names.map(() => null);
  }

  begin(facts: Facts): void {
    this.#facts = facts;
  }

  /** Keeps nothing of the facts. */
  end(): void {
    this.#facts = NO_FACTS;
    this.#values.fill(null);
  }

  value(slot: number): FactValue {
    const known = this.#values[slot];
    if (known !== null) return known;
    const value = this.#facts.get(this.#names[slot]!);
    this.#values[slot] = value;
    return value;
  }
}

/** One `when`, compiled. */
class Condition {
  readonly #slots: readonly number[];
  readonly #tests: readonly Test[];
  readonly #wantsEvery: readonly boolean[];
  readonly #not: Condition | undefined;
  readonly #any: readonly Condition[] | undefined;

  constructor({ facts, not, any }: When, compiler: Compiler) {
    this.#slots = facts.map(({ name }) => compiler.slotOf(name));
    this.#tests = facts.map(({ name, patterns }) => compiler.testOf(name, patterns));
    this.#wantsEvery = facts.map(({ every = false }) => every);
    this.#not = not && new Condition(not, compiler);
    this.#any = any?.map((each) => new Condition(each, compiler));
  }

  holds(reader: FactReader): boolean {
    for (let index = 0; index < this.#slots.length; index++) {
      const fits = this.#wantsEvery[index]! ? everyValue : someValue;
      if (!fits(reader.value(this.#slots[index]!), this.#tests[index]!)) return false;
    }
    if (this.#not?.holds(reader)) return false;
    return this.#any === undefined || this.#any.some((each) => each.holds(reader));
  }
}

/** A fact without a value matches nothing. */
function someValue(value: FactValue, test: Test): boolean {
  if (typeof value === 'string') return test(value);
  return value?.some(test) ?? false;
}

function everyValue(value: FactValue, test: Test): boolean {
  return textsOf(value).every(test);
}

class Compiler {
  /** The facts that the rules ask for; the index is the slot. */
  readonly names: string[] = [];
  readonly #ignoreCase: readonly string[];

  constructor(ignoreCase: readonly string[]) {
    this.#ignoreCase = ignoreCase;
  }

  slotOf(name: string): number {
    const slot = this.names.indexOf(name);
    return slot === -1 ? this.names.push(name) - 1 : slot;
  }

  /** Any of the patterns. */
  testOf(name: string, patterns: readonly string[]): Test {
    const ignoreCase = this.#ignoreCase.includes(name);
    const tests = patterns.map((pattern) => compilePattern(name, pattern, { ignoreCase }));
    return tests.length === 1 ? tests[0]! : (value) => tests.some((test) => test(value));
  }
}

/** The rules that want a text of one fact, by that text. */
interface Lookup {
  readonly slot: number;
  readonly byText: Map<string, number[]>;
}

/** Finds the first match: its index, or -1. */
export type Matcher = (facts: Facts) => number;

export interface RulesOptions {
  /** Facts whose values are compared without regard to case. */
  readonly ignoreCase?: readonly string[];
}

/**
 * Compiles the conditions of rules, in their order. Throws when a pattern cannot be compiled.
 *
 * A rule that wants certain texts of a fact is looked up by the text that the fact has; only the others are tried one
 * after the other.
 */
export function compileRules(rules: readonly When[], { ignoreCase = [] }: RulesOptions = {}): Matcher {
  const compiler = new Compiler(ignoreCase);
  const conditions = rules.map((when) => new Condition(when, compiler));
  const lookups: Lookup[] = [];
  const others: number[] = [];
  const wantsTexts = ({ name, patterns, every = false }: FactPatterns) =>
    !every && !ignoreCase.includes(name) && patterns.every((pattern) => isText(name, pattern));

  rules.forEach(({ facts }, rule) => {
    const fact = facts.find(wantsTexts);
    if (!fact) {
      others.push(rule);
      return;
    }
    const slot = compiler.slotOf(fact.name);
    let lookup = lookups.find((one) => one.slot === slot);
    if (!lookup) {
      lookup = { slot, byText: new Map() };
      lookups.push(lookup);
    }
    const { byText } = lookup;
    for (const text of new Set(fact.patterns)) byText.set(text, [...(byText.get(text) ?? []), rule]);
  });

  const reader = new FactReader(compiler.names);
  /** The first of `candidates`, which are in order, that holds; `limit` when none before it does. */
  const firstOf = (candidates: readonly number[] | undefined, limit: number) => {
    if (candidates === undefined) return limit;
    for (const rule of candidates) {
      if (rule >= limit) break;
      if (conditions[rule]!.holds(reader)) return rule;
    }
    return limit;
  };
  return (facts) => {
    reader.begin(facts);
    let first = firstOf(others, rules.length);
    for (const { slot, byText } of lookups) {
      const value = reader.value(slot);
      if (typeof value === 'string') first = firstOf(byText.get(value), first);
      else for (const text of value ?? []) first = firstOf(byText.get(text), first);
    }
    reader.end();
    return first === rules.length ? -1 : first;
  };
}

function textsOf(value: FactValue): readonly string[] {
  return typeof value === 'string' ? [value] : (value ?? []);
}
