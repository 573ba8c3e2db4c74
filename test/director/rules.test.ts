import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FactValue, factsFrom } from '../../protocols/facts.ts';
import { compileRules, type When } from '../../src/director/rules.ts';

function when(facts: Record<string, string | string[]>, more: Partial<When> = {}): When {
  return {
    facts: Object.entries(facts).map(([name, patterns]) => ({ name, patterns: [patterns].flat() })),
    ...more,
  };
}

function firstOf(rules: When[], facts: Record<string, FactValue>): number {
  return compileRules(rules)(factsFrom(facts));
}

describe('rules', () => {
  test('the first match wins', () => {
    const rules = [when({ called: 'X' }), when({ called: 'A*' }), when({ called: 'ARCHIVE' })];
    expect(firstOf(rules, { called: 'ARCHIVE' })).toBe(1);
    expect(firstOf(rules, { called: 'B' })).toBe(-1);
    expect(firstOf([], { called: 'B' })).toBe(-1);
  });

  test('a list is any of', () => {
    const rules = [when({ modality: ['CT', 'MR'] })];
    expect(['CT', 'MR', 'US'].map((modality) => firstOf(rules, { modality }))).toEqual([0, 0, -1]);
  });

  test('several facts hold together', () => {
    const rules = [when({ calling: '/^ER_/', client: '10.1.0.0/16' })];
    expect(firstOf(rules, { calling: 'ER_1', client: '10.1.2.3' })).toBe(0);
    expect(firstOf(rules, { calling: 'ER_1', client: '10.2.2.3' })).toBe(-1);
    expect(firstOf(rules, { calling: 'CT_1', client: '10.1.2.3' })).toBe(-1);
  });

  test('a fact with several values matches when one does; without a value it matches nothing', () => {
    const rules = [when({ sopClass: '1.2.*' })];
    expect(firstOf(rules, { sopClass: ['9.9', '1.2.3'] })).toBe(0);
    expect(firstOf(rules, { sopClass: [] })).toBe(-1);
    expect(firstOf(rules, {})).toBe(-1);
    expect(firstOf([when({ sopClass: '*' })], {})).toBe(-1);
  });

  test('not and any compose', () => {
    const rules = [
      when({ called: 'A' }, { not: when({ calling: 'CT*' }) }),
      when({}, { any: [when({ modality: 'US' }), when({ modality: 'XA', calling: 'CT1' })] }),
    ];
    expect(firstOf(rules, { called: 'A', calling: 'MR1' })).toBe(0);
    expect(firstOf(rules, { called: 'A' })).toBe(0);
    expect(firstOf(rules, { called: 'A', calling: 'CT1' })).toBe(-1);
    expect(firstOf(rules, { called: 'B', modality: 'US' })).toBe(1);
    expect(firstOf(rules, { called: 'B', modality: 'XA', calling: 'CT1' })).toBe(1);
    expect(firstOf(rules, { called: 'B', modality: 'XA', calling: 'CT2' })).toBe(-1);
  });

  test('where every value must fit, one that does not is enough, and none is no objection', () => {
    const rule: When = { facts: [{ name: 'sender', patterns: ['A', 'B*'], every: true }] };
    const fits = (sender: FactValue) => firstOf([when({ x: '1' }), rule], { sender }) === 1;
    expect(['A', 'B7', ['A', 'B'], [], undefined].map(fits)).toEqual([true, true, true, true, true]);
    expect(['C', ['A', 'C'], ['C', 'A'], ['']].map(fits)).toEqual([false, false, false, false]);
  });

  test('an empty condition holds', () => {
    expect(firstOf([when({})], {})).toBe(0);
  });

  test('case is disregarded where told', () => {
    const match = compileRules([when({ called: 'archive', modality: 'ct' })], { ignoreCase: ['called'] });
    expect(match(factsFrom({ called: 'ARCHIVE', modality: 'ct' }))).toBe(0);
    expect(match(factsFrom({ called: 'ARCHIVE', modality: 'CT' }))).toBe(-1);
  });

  test('a fact is worked out at most once, and only when a rule wants it', () => {
    const asked: string[] = [];
    const match = compileRules([when({ a: '1*', b: '1' }), when({ a: '2' }), when({ c: '1' })]);
    const facts = { get: (name: string) => void asked.push(name) };
    match(facts);
    expect(asked.sort()).toEqual(['a', 'b', 'c']);
  });

  test('agrees with a naive reading of the rules (property)', () => {
    const values = fc.constantFrom('A', 'B', 'AB');
    const fact = fc.record({
      name: fc.constantFrom('x', 'y', 'z'),
      patterns: fc.array(fc.constantFrom('A', 'B', 'A*', '*B', '*', '/^.B?$/'), {
        minLength: 1,
        maxLength: 3,
      }),
    });
    const { condition } = fc.letrec<{ condition: When }>((tie) => ({
      condition: fc.record({
        facts: fc.array(fact, { maxLength: 2 }),
        not: fc.option(tie('condition'), { nil: undefined, depthSize: 'small' }),
        any: fc.option(fc.array(tie('condition'), { minLength: 1, maxLength: 2 }), {
          nil: undefined,
          depthSize: 'small',
        }),
      }),
    }));
    const facts = fc.dictionary(
      fc.constantFrom('x', 'y', 'z'),
      fc.oneof(values, fc.array(values, { maxLength: 2 })),
    );
    fc.assert(
      fc.property(fc.array(condition, { maxLength: 5 }), facts, (rules, record) => {
        const expected = rules.findIndex((rule) => holds(rule, record));
        expect(firstOf(rules, record)).toBe(expected);
      }),
    );
  });
});

function holds(rule: When, record: Record<string, FactValue>): boolean {
  const all = rule.facts.every(({ name, patterns }) =>
    [record[name] ?? []]
      .flat()
      .some((value) => patterns.some((pattern) => naiveExpression(pattern).test(String(value)))),
  );
  return (
    all && !(rule.not && holds(rule.not, record)) && (rule.any?.some((each) => holds(each, record)) ?? true)
  );
}

function naiveExpression(pattern: string): RegExp {
  return new RegExp(pattern.startsWith('/') ? pattern.slice(1, -1) : `^${pattern.replaceAll('*', '.*')}$`);
}
