import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import { compileRules } from '../../src/director/rules.ts';
import {
  all,
  any,
  asksFor,
  type Condition,
  fact,
  isAlways,
  isNever,
  not,
  whenOf,
} from '../../src/import/condition.ts';
import { writeDraft } from '../../src/import/write.ts';

const NAMES = ['path', 'host', 'method'];
const VALUES = ['a', 'b', 'c'];

const conditions = fc.letrec<{ tree: Condition }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .tuple(fc.constantFrom(...NAMES), fc.subarray(VALUES))
      .map(([name, patterns]): Condition => fact(name, patterns)),
    tie('tree').map((of) => not(of)),
    fc.array(tie('tree'), { maxLength: 4 }).map((of) => all(...of)),
    fc.array(tie('tree'), { maxLength: 4 }).map((of) => any(...of)),
  ),
})).tree;

function holds(condition: Condition, facts: Readonly<Record<string, string | undefined>>): boolean {
  switch (condition.kind) {
    case 'constant':
      return condition.value;
    case 'fact':
      return condition.patterns.includes(facts[condition.name] ?? '');
    case 'not':
      return !holds(condition.of, facts);
    case 'all':
      return condition.of.every((part) => holds(part, facts));
    case 'any':
      return condition.of.some((part) => holds(part, facts));
  }
}

const facts = fc.record(
  Object.fromEntries(NAMES.map((name) => [name, fc.constantFrom('a', 'b', 'c', 'd', undefined)])),
);

test('the rules that a draft has ask what the condition asked, for whatever comes', () => {
  fc.assert(
    fc.property(conditions, fc.array(facts, { minLength: 1, maxLength: 6 }), (condition, samples) => {
      fc.pre(!isAlways(condition) && !isNever(condition));
      const yaml = writeDraft({
        comments: [],
        top: {},
        pools: [{ name: 'p', comments: [], body: { servers: ['10.0.0.1:80'] } }],
        vips: [
          {
            name: 'v',
            comments: [],
            body: {
              protocol: 'http',
              listen: '10.0.0.4:80',
              routes: [{ when: whenOf(condition), pool: 'p' }],
            },
          },
        ],
      });
      const { configuration, faults } = readConfiguration(yaml, { file: 'gantry.yaml', environment: {} });
      expect(faults, yaml).toBeUndefined();
      const [route] = configuration!.vips[0]!.routes;
      const matches = compileRules([route!.when]);
      for (const sample of samples) {
        expect(matches({ get: (name) => sample[name] }), yaml).toBe(holds(condition, sample) ? 0 : -1);
      }
    }),
  );
});

test('constants go, and what is asked for is known', () => {
  expect(isAlways(all())).toBe(true);
  expect(isNever(any())).toBe(true);
  expect(isNever(all(fact('path', ['a']), not(all())))).toBe(true);
  expect(not(not(fact('path', ['a'])))).toEqual(fact('path', ['a']));
  expect(any(fact('path', ['a']), fact('path', ['b']))).toEqual(fact('path', ['a', 'b']));
  const nested = not(any(fact('host', ['a']), all(fact('path', ['a']), fact('method', ['b']))));
  expect(asksFor(nested, 'path')).toBe(true);
  expect(asksFor(nested, 'client')).toBe(false);
});
