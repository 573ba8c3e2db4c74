import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Verdict } from '../../src/pools/verdict.ts';

const checked = { isChecked: true, rise: 2, fall: 3, startDown: false };

/** The first letters of the states after each of these results. */
function statesAfter(results: string, options = checked): string {
  const verdict = new Verdict(options);
  const states = results.split('').map((result) => {
    verdict.result(result === '+');
    return verdict.state[0];
  });
  return states.join('');
}

describe('verdict', () => {
  test('the first result alone decides', () => {
    expect(new Verdict(checked).state).toBe('starting');
    expect(statesAfter('+')).toBe('u');
    expect(statesAfter('-')).toBe('d');
  });

  test('startDown: down until the first result, which alone decides', () => {
    const startDown = { ...checked, startDown: true };
    expect(new Verdict(startDown).state).toBe('down');
    expect(statesAfter('+', startDown)).toBe('u');
    expect(statesAfter('-+', startDown)).toBe('dd');
  });

  test('fall bad results in a row take it down, rise good ones bring it up', () => {
    expect(statesAfter('+--+---')).toBe('uuuuuud');
    expect(statesAfter('-+-++')).toBe('ddddu');
  });

  test('is in doubt until the first result and while results speak against it', () => {
    const verdict = new Verdict(checked);
    expect(verdict.isInDoubt).toBe(true);
    verdict.result(true);
    expect(verdict.isInDoubt).toBe(false);
    verdict.result(false);
    expect(verdict.isInDoubt).toBe(true);
    verdict.result(true);
    expect(verdict.isInDoubt).toBe(false);
  });

  test('says when it comes up after having been down, not at the very start', () => {
    const verdict = new Verdict({ ...checked, startDown: true });
    expect(verdict.result(true)).toBe(false);
    verdict.takeDown();
    expect([verdict.result(true), verdict.result(true), verdict.result(true)]).toEqual([false, true, false]);
  });

  test('real traffic takes it down, rise good results bring it back', () => {
    const verdict = new Verdict(checked);
    verdict.result(true);
    verdict.takeDown();
    expect(verdict.state).toBe('down');
    verdict.result(true);
    verdict.result(true);
    expect(verdict.state).toBe('up');
  });

  test('new counts hold from now on; what was found out stays', () => {
    const verdict = new Verdict(checked);
    verdict.result(true);
    verdict.result(false);
    expect(verdict.reconfigure({ ...checked, fall: 2 })).toBe(false);
    expect(verdict.state).toBe('up');
    verdict.result(false);
    expect(verdict.state).toBe('down');
    verdict.reconfigure({ ...checked, rise: 1 });
    expect(verdict.state).toBe('down');
    verdict.result(true);
    expect(verdict.state).toBe('up');
  });

  test('checks that end leave it up; the first result of checks that begin alone decides', () => {
    const verdict = new Verdict(checked);
    verdict.takeDown();
    expect([verdict.reconfigure({ ...checked, isChecked: false }), verdict.state]).toEqual([true, 'up']);
    expect([verdict.reconfigure(checked), verdict.state, verdict.isInDoubt]).toEqual([true, 'up', true]);
    verdict.result(false);
    expect(verdict.state).toBe('down');
  });

  test('unchecked: up for ever', () => {
    const verdict = new Verdict({ ...checked, isChecked: false });
    expect([verdict.state, verdict.isInDoubt]).toEqual(['up', false]);
  });

  test('changes only after rise or fall equal results (property)', () => {
    const counts = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1 }), counts, counts, (results, rise, fall) => {
        const verdict = new Verdict({ ...checked, rise, fall });
        let state = verdict.state;
        results.forEach((good, index) => {
          verdict.result(good);
          if (index > 0 && verdict.state !== state) {
            const last = results.slice(0, index + 1).slice(good ? -rise : -fall);
            expect(last.every((result) => result === good)).toBe(true);
          }
          state = verdict.state;
        });
      }),
    );
  });
});
