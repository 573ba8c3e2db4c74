import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bodyFault, type HttpExpectation, statusFault } from '../../../src/pools/health/http-answer.ts';

const range = (from: number, to = from) => ({ from, to });

function fault(text: string, expectation: Partial<HttpExpectation>): string | undefined {
  return bodyFault(text, { status: [], body: undefined, json: [], ...expectation });
}

describe('status of an HTTP check', () => {
  test('numbers and ranges, both ends included', () => {
    const wanted = [range(200, 299), range(401)];
    expect([200, 299, 401].map((code) => statusFault(code, wanted))).toEqual(Array(3).fill(undefined));
    expect(statusFault(503, wanted)).toBe('answers with status 503, not 200-299, 401');
  });

  test('a status is good exactly when a range has it', () => {
    const code = fc.integer({ min: 100, max: 599 });
    const ranges = fc.array(fc.tuple(code, code).map(([a, b]) => range(Math.min(a, b), Math.max(a, b))));
    fc.assert(
      fc.property(code, ranges, (status, wanted) => {
        const all = new Set(
          wanted.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i)),
        );
        expect(statusFault(status, wanted) === undefined).toBe(all.has(status));
      }),
    );
  });
});

describe('body of an HTTP check', () => {
  test('text that it must contain, or a regular expression', () => {
    expect(fault('all is WELL today', { body: 'WELL' })).toBeUndefined();
    expect(fault('all is well today', { body: 'WELL' })).toBe(
      'answers, but its body has not the text that is wanted',
    );
    expect(fault('load: 17', { body: '/load: [0-9]{1,2}$/' })).toBeUndefined();
    expect(fault('load: 117', { body: '/load: [0-9]{1,2}$/' })).toBeDefined();
    expect(fault('a/b', { body: '/' })).toBeUndefined();
  });

  test('nothing of the body is shown', () => {
    expect(fault('secret', { body: 'other' })).not.toContain('secret');
    expect(fault('secret', { json: [{ path: ['status'], patterns: ['UP'] }] })).toBe(
      'answers, but its body is no JSON',
    );
  });
});

describe('JSON of an HTTP check', () => {
  const document = JSON.stringify({
    status: 'UP',
    components: { db: [{ ok: true, free: 17, note: null, 'odd key': 'v1.2' }] },
  });
  const at = (path: readonly (string | number)[], ...patterns: string[]) =>
    fault(document, { json: [{ path, patterns }] });

  test('values by their path: text, numbers, true, false and null as they are written', () => {
    expect(at(['status'], 'UP')).toBeUndefined();
    expect(at(['components', 'db', 0, 'ok'], 'true')).toBeUndefined();
    expect(at(['components', 'db', 0, 'free'], '17')).toBeUndefined();
    expect(at(['components', 'db', 0, 'note'], 'null')).toBeUndefined();
  });

  test('one pattern of several, globs, regular expressions', () => {
    expect(at(['status'], 'OK', 'UP')).toBeUndefined();
    expect(at(['components', 'db', 0, 'odd key'], 'v1.*')).toBeUndefined();
    expect(at(['components', 'db', 0, 'odd key'], 'v1_*')).toBeDefined();
    expect(at(['components', 'db', 0, 'free'], '/^[1-9]/')).toBeUndefined();
    expect(at(['status'], 'U')).toBeDefined();
  });

  test('what is not there, or no scalar, fits nothing', () => {
    expect(at(['components', 'db', 1, 'ok'], '*')).toBe(
      'answers, but its JSON has not the value that is wanted at components.db[1].ok',
    );
    expect(at(['components'], '*')).toBeDefined();
    expect(at(['status', 'deeper'], '*')).toBeDefined();
    expect(at(['constructor', 'name'], '*')).toBeDefined();
    expect(at(['__proto__'], '*')).toBeDefined();
  });

  test('any document and any path: an answer, never an error; a scalar that is there is found', () => {
    const key = fc.oneof(fc.string(), fc.nat(3));
    fc.assert(
      fc.property(fc.json(), fc.array(key, { maxLength: 4 }), (text, path) => {
        expect(fault(text, { json: [{ path, patterns: ['*'] }] }) ?? 'answers').toMatch(/^answers/);
      }),
    );
    fc.assert(
      fc.property(fc.array(key, { minLength: 1, maxLength: 4 }), fc.string(), (path, value) => {
        let nested: unknown = value;
        for (const step of path.toReversed()) {
          if (typeof step === 'number') nested = [...Array<null>(step).fill(null), nested];
          else nested = Object.fromEntries([[step, nested]]);
        }
        expect(fault(JSON.stringify(nested), { json: [{ path, patterns: ['*'] }] })).toBeUndefined();
      }),
    );
  });
});
