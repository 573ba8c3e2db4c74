import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  normalisePath,
  parseTarget,
  queryValues,
  removeDotSegments,
} from '../../../protocols/http/target.ts';

describe('a target', () => {
  test.each([
    ['/x/y?a=1&b', { path: '/x/y', query: 'a=1&b', authority: 'portal.example' }],
    ['/', { path: '/', query: undefined, authority: 'portal.example' }],
    ['/x?', { path: '/x', query: '', authority: 'portal.example' }],
    ['/x?y?z', { path: '/x', query: 'y?z', authority: 'portal.example' }],
    ['//x//y/', { path: '//x//y/', query: undefined, authority: 'portal.example' }],
    [
      '/http://other.example/',
      { path: '/http://other.example/', query: undefined, authority: 'portal.example' },
    ],
    ['*', { path: '*', query: undefined, authority: 'portal.example' }],
    ['http://Portal.example:80/x?y', { path: '/x', query: 'y', authority: 'Portal.example:80' }],
    ['HTTPS://portal.example', { path: '/', query: undefined, authority: 'portal.example' }],
    ['http://portal.example?x=/y', { path: '/', query: 'x=/y', authority: 'portal.example' }],
  ])('%s', (target, parts) => {
    expect(parseTarget(target, 'portal.example')).toMatchObject(parts);
  });

  test('without Host has none', () => {
    expect(parseTarget('/x', undefined).authority).toBeUndefined();
  });
});

describe('a normalised path', () => {
  test.each([
    ['/x/y', '/x/y'],
    ['/%7Euser/%41%2d%5F%2E', '/~user/A-_.'],
    ['/a%2fb%c3%bc', '/a%2Fb%C3%BC'],
    ['/x/./y/../z', '/x/z'],
    ['/x/%2e%2E/y/%2e', '/y/'],
    ['/../../x', '/x'],
    ['/x/..', '/'],
    ['/x/y/..', '/x/'],
    ['//x//y', '//x//y'],
    ['//x/..//y', '///y'],
    ['/...//..x/x../.x', '/...//..x/x../.x'],
    ['/%2541', '/%2541'],
    ['/\xe9', '/%E9'],
    ['*', '*'],
  ])('of %s is %s', (path, normalised) => {
    expect(normalisePath(path)).toBe(normalised);
    expect(parseTarget(`${path}?%7e/../`, undefined).normalisedPath).toBe(normalised);
  });
});

const piece = fc.constantFrom(
  'a',
  'B',
  '/',
  '/',
  '.',
  '..',
  '%2e',
  '%2E',
  '%7e',
  '%41',
  '%2f',
  '%C3%bc',
  ';',
  '-',
  '_',
);
const path = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`);

test('property: dot segments go as WHATWG URLs have it, and nothing else changes', () => {
  fc.assert(
    fc.property(path, (raw) => {
      expect(removeDotSegments(raw)).toBe(new URL(`http://portal.example${raw}`).pathname);
    }),
  );
});

test('property: normalising again changes nothing, and what a path means stays', () => {
  fc.assert(
    fc.property(path, (raw) => {
      const normalised = normalisePath(raw);
      expect(normalisePath(normalised)).toBe(normalised);
      expect(normalised).not.toMatch(/\/\.\.?(\/|$)|%[0-9a-f]?[a-f]/);
      const meaning = (text: string) => text.split('/').map(decodeURIComponent);
      expect(meaning(normalised)).toEqual(meaning(removeDotSegments(raw)));
    }),
  );
});

test('property: however its letters are encoded, a path has one normalised form', () => {
  const letters = fc.array(fc.tuple(fc.constantFrom(...'abXY09-_~/.'.split('')), fc.nat(2)), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(letters, (pairs) => {
      const plain = `/${pairs.map(([letter]) => letter).join('')}`;
      const hex = (letter: string) => letter.charCodeAt(0).toString(16);
      const spelled = pairs.map(([letter, how]) => {
        if (how === 0 || letter === '/') return letter;
        return how === 1 ? `%${hex(letter)}` : `%${hex(letter).toUpperCase()}`;
      });
      expect(normalisePath(`/${spelled.join('')}`)).toBe(normalisePath(plain));
    }),
  );
});

describe('values of a query', () => {
  test.each([
    ['a=1&b=2&a=3', 'a', ['1', '3']],
    ['a', 'a', ['']],
    ['a=&=x&&b', 'a', ['']],
    ['a=1=2', 'a', ['1=2']],
    ['aa=1&ba=2', 'a', []],
    ['a+b=c+d%20e', 'a b', ['c d e']],
    ['n%61me=%C3%BC', 'name', ['\xfc']],
    ['a=100%&b=%ff', 'a', ['100%']],
    ['a=100%&b=%ff', 'b', ['%ff']],
    ['A=1', 'a', []],
    [undefined, 'a', []],
    ['', 'a', []],
  ])('%j: %s', (query, name, values) => {
    expect(queryValues(query, name)).toEqual(values);
  });
});

test('property: a query has the values that URLSearchParams has', () => {
  const key = fc.constantFrom('a', 'b', 'a b', '\xfc', 'a&b=c');
  const pairs = fc.array(fc.tuple(key, fc.string({ unit: 'grapheme', maxLength: 6 })));
  fc.assert(
    fc.property(pairs, key, (parameters, name) => {
      const query = new URLSearchParams(parameters).toString();
      expect(queryValues(query, name)).toEqual(new URLSearchParams(query).getAll(name));
    }),
  );
});
