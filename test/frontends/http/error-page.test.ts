import { expect, test } from 'vitest';
import { errorPage, requestId } from '../../../src/frontends/http/error-page.ts';

test('a page says the status, one sentence and the id of the request', () => {
  const { fields, body } = errorPage(503, 'No server is available.', 'abc-1');
  expect(body).toBe('503 Service Unavailable\n\nNo server is available.\nRequest abc-1\n');
  const byName = Object.fromEntries(
    fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1]]] : [])),
  );
  expect(byName).toEqual({
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  });
});

test('a status without a phrase has a page too', () => {
  expect(errorPage(499, 'Gone.', 'a').body).toMatch(/^499 Error\n/);
});

test('ids are short, and no two are equal', () => {
  const ids = Array.from({ length: 10_000 }, requestId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{10}-[0-9a-z]{1,8}$/);
});
