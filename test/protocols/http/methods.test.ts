import { expect, test } from 'vitest';
import { isIdempotent, isWithoutContent } from '../../../protocols/http/methods.ts';

test.each([
  // RFC 9110 9.2.2.
  ['GET', true],
  ['HEAD', true],
  ['OPTIONS', true],
  ['PUT', true],
  ['DELETE', true],
  ['PROPFIND', true],
  ['POST', false],
  ['PATCH', false],
  ['CONNECT', false],
  // Idempotent by IANA's registry, but the second time it fails.
  ['MOVE', false],
  ['get', false],
])('%s may be sent once more: %s', (method, isSo) => {
  expect(isIdempotent(method)).toBe(isSo);
});

test.each([
  // RFC 9110 9.3.
  ['GET', true],
  ['HEAD', true],
  ['DELETE', true],
  ['OPTIONS', true],
  ['POST', false],
  ['PUT', false],
  ['PATCH', false],
  ['PROPFIND', false],
])('content comes unexpected with %s: %s', (method, isSo) => {
  expect(isWithoutContent(method)).toBe(isSo);
});
