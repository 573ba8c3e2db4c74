import { expect, test } from 'vitest';
import { isIdempotent, isSafe } from '../../../protocols/http/methods.ts';

test.each([
  // RFC 9110 9.2; the table of 16.1.1.
  ['GET', true, true],
  ['HEAD', true, true],
  ['OPTIONS', true, true],
  ['TRACE', true, true],
  ['PROPFIND', true, true],
  ['PUT', false, true],
  ['DELETE', false, true],
  ['POST', false, false],
  ['PATCH', false, false],
  ['CONNECT', false, false],
  ['MOVE', false, false],
  ['get', false, false],
])('%s: safe %s, idempotent %s', (method, safe, idempotent) => {
  expect(isSafe(method)).toBe(safe);
  expect(isIdempotent(method)).toBe(idempotent);
});
