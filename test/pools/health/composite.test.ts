import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CheckResult } from '../../../src/pools/health/check.ts';
import { combine, createComposite } from '../../../src/pools/health/composite.ts';
import type { CheckOutcome } from '../../../src/pools/server.ts';

function found(outcome: CheckOutcome, reason: string = outcome, ms = 1): CheckResult {
  return { outcome, reason, ms };
}

describe('several checks as one', () => {
  test('all: the worst counts, with the reasons of those that are so', () => {
    expect(combine('all', [found('up', 'answers ping'), found('up', 'answers a C-ECHO', 7)])).toEqual(
      found('up', 'answers ping; answers a C-ECHO', 7),
    );
    expect(
      combine('all', [found('up', 'a'), found('down', 'b'), found('busy', 'c'), found('down', 'd')]),
    ).toEqual(found('down', 'b; d'));
    expect(combine('all', [found('up'), found('busy', 'busy: slow')])).toEqual(found('busy', 'busy: slow'));
  });

  test('any: the best counts, with the reasons of those that are so', () => {
    expect(combine('any', [found('down', 'a'), found('up', 'b'), found('busy', 'c')])).toEqual(
      found('up', 'b'),
    );
    expect(combine('any', [found('down', 'a'), found('down', 'b')])).toEqual(found('down', 'a; b'));
    expect(combine('any', [found('down', 'a'), found('misconfigured', 'b')])).toEqual(
      found('misconfigured', 'b'),
    );
  });

  test('the same reason is given once', () => {
    expect(combine('all', [found('up', 'answers'), found('up', 'answers')]).reason).toBe('answers');
  });

  test('all is good when each is, any when one is', () => {
    const outcome = fc.constantFrom<CheckOutcome>('up', 'busy', 'misconfigured', 'down');
    const isGood = (one: CheckOutcome) => one === 'up' || one === 'busy';
    fc.assert(
      fc.property(fc.array(outcome, { minLength: 1 }), (outcomes) => {
        const results = outcomes.map((one) => found(one));
        expect(isGood(combine('all', results).outcome)).toBe(outcomes.every(isGood));
        expect(isGood(combine('any', results).outcome)).toBe(outcomes.some(isGood));
      }),
    );
  });

  test('a result of the whole comes when every part has a new one', () => {
    const told: (string | undefined)[] = [];
    const hear = createComposite('all', 2, (result) => told.push(result?.reason));
    hear(0, found('down', 'first'));
    hear(0, found('up', 'first'));
    expect(told).toEqual([]);
    hear(1, found('up', 'second'));
    expect(told).toEqual(['first; second']);
    hear(1, found('down', 'second is down'));
    expect(told).toHaveLength(1);
    hear(0, found('up', 'first'));
    expect(told).toEqual(['first; second', 'second is down']);
  });

  test('a part that was left out counts as before; without any there is nothing to tell', () => {
    const told: (string | undefined)[] = [];
    const hear = createComposite('all', 2, (result) => told.push(result?.reason));
    hear(0, undefined);
    hear(1, undefined);
    expect(told).toEqual([undefined]);
    hear(0, undefined);
    hear(1, found('up', 'second'));
    expect(told).toEqual([undefined, 'second']);
    hear(0, found('down', 'first'));
    hear(1, undefined);
    expect(told).toEqual([undefined, 'second', 'first']);
  });
});
