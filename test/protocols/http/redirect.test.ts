import { expect, test } from 'vitest';
import { compileRedirect } from '../../../protocols/http/redirect.ts';
import { parseTarget, type Target } from '../../../protocols/http/target.ts';

const target = (path: string): Target => parseTarget(path, 'old.example') as Target;

test('as it is written, without the path and the query of the client', () => {
  expect(compileRedirect(['/old/*'], 'https://new.example/')).toBe('https://new.example/');
});

test.each([
  ['https://new.example/$1', '/old/a/b?c=d', 'https://new.example/a/b?c=d'],
  ['/new/$1', '/old/a', '/new/a'],
  ['https://new.example/x?from=$1', '/old/a?b', 'https://new.example/x?from=a&b'],
])('%s made of %s is %s', (to, asked, location) => {
  const redirect = compileRedirect(['/old/*'], to) as (target: Target) => string;
  expect(redirect(target(asked))).toBe(location);
});

test('a client cannot choose the host', () => {
  const redirect = compileRedirect(['/old/*'], '/$1') as (target: Target) => string;
  expect(redirect(target('/old//evil.example/a'))).toBe('/evil.example/a');
});

test('$ for something that the pattern does not have', () => {
  expect(() => compileRedirect(['/old/*'], 'https://new.example/$2')).toThrow('$2 stands for nothing');
});

test.each([
  ['/a/b?c=d', 'Portal.example:8080', 'https://portal.example/a/b?c=d'],
  ['/', 'portal.example', 'https://portal.example/'],
  ['//evil.example/a', 'portal.example', 'https://portal.example/evil.example/a'],
  ['/a', undefined, '/a'],
])('$host is the host that the client asked for: %s of %s', (asked, host, location) => {
  const redirect = compileRedirect(['/*'], 'https://$host/$1') as (target: Target) => string;
  expect(redirect(parseTarget(asked, host))).toBe(location);
});
