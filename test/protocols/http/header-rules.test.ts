import { describe, expect, test } from 'vitest';
import { compileHeaderRules, headerFault } from '../../../protocols/http/header-rules.ts';

const came = () => ['Host', 'a', 'X-Debug', '1', 'x-site', 'south', 'Server', 'b', 'x-debug', '2'];

test('set replaces every value there is, add adds one, remove takes all', () => {
  const rewrite = compileHeaderRules({
    set: { 'X-Site': 'north' },
    add: { 'X-Hop': 'gantry', Server: 'c' },
    remove: ['X-DEBUG', 'X-None'],
  });
  const fields = came();
  expect(rewrite!(fields)).toBe(fields);
  expect(fields).toEqual(['Host', 'a', 'Server', 'b', 'X-Site', 'north', 'X-Hop', 'gantry', 'Server', 'c']);
});

test('what is removed and added is there once', () => {
  const rewrite = compileHeaderRules({ remove: ['Server'], add: { Server: 'c' } });
  expect(rewrite!(['Server', 'a', 'Server', 'b'])).toEqual(['Server', 'c']);
});

test('a name with underscores is the same name: many servers take them for hyphens', () => {
  const rewrite = compileHeaderRules({ set: { 'X-Site': 'north' }, remove: ['x_debug'] });
  const fields = ['X_Site', 'south', 'x-Site', 'south', 'X-Debug', '1', 'X_DEBUG', '2', 'X_Sites', 'all'];
  expect(rewrite!(fields)).toEqual(['X_Sites', 'all', 'X-Site', 'north']);
});

test('rules that change nothing are none', () => {
  expect(compileHeaderRules({})).toBeUndefined();
  expect(compileHeaderRules({ set: {}, remove: [] })).toBeUndefined();
});

describe('a rule that cannot be is a sentence for the operator', () => {
  test.each([
    ['X Site', undefined, '"X Site" is not the name of a header field: X-Site would be right'],
    ['', undefined, '"" is not the name of a header field: X-Site would be right'],
    ['X:', undefined, '"X:" is not the name of a header field: X-Site would be right'],
    ['content-LENGTH', '5', '"content-LENGTH" is written by the balancer itself: leave it out'],
    ['Connection', undefined, '"Connection" is written by the balancer itself: leave it out'],
    [
      'X',
      'a\r\nY: b',
      'the value of "X" has characters that a header field cannot hold: printable ASCII would be right',
    ],
    [
      'X',
      ' a',
      'the value of "X" has characters that a header field cannot hold: printable ASCII would be right',
    ],
    [
      'X',
      '\u20ac',
      'the value of "X" has characters that a header field cannot hold: printable ASCII would be right',
    ],
  ])('%j: %j', (name, value, sentence) => {
    expect(headerFault(name, value)).toBe(sentence);
    const rule = value === undefined ? { remove: [name] } : { add: { [name]: value } };
    expect(() => compileHeaderRules(rule)).toThrow(new Error(sentence));
  });

  test.each([
    ['X-Site', ''],
    ['Host', 'internal.example:80'],
    ["!#$%&'*+-.^_`|~", 'a\tb \xe9'],
  ])('%j: %j is fine', (name, value) => {
    expect(headerFault(name, value)).toBeUndefined();
  });
});
