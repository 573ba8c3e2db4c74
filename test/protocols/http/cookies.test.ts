import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cookieValues,
  removeCookie,
  withCookiePath,
  withoutCookie,
} from '../../../protocols/http/cookies.ts';

describe('values of a cookie', () => {
  test.each([
    ['SRV=a', ['a']],
    ['x=1; SRV=a; SRV=b', ['a', 'b']],
    ['x=1;SRV=a;y=2', ['a']],
    ['x=1 ;\tSRV = a ; y=2', ['a']],
    ['XSRV=a; SRVX=b; srv=c; x=SRV=d', []],
    ['SRV', []],
    ['SRV=', ['']],
    ['SRV="a b"', ['"a b"']],
    ['SRV=a=b', ['a=b']],
    ['SRVSRV=a; SRV=b', ['b']],
    ['', []],
  ])('%j', (field, values) => {
    expect(cookieValues([field], 'SRV')).toEqual(values);
  });

  test('of several fields are all of them, and those of no name are none', () => {
    expect(cookieValues(['SRV=a', 'x=1', 'SRV=b'], 'SRV')).toEqual(['a', 'b']);
    expect(cookieValues(['=a; b=c'], '')).toEqual([]);
  });
});

describe('our own cookie is not forwarded', () => {
  test.each([
    ['SRV=a', undefined],
    ['SRV=a; x=1', 'x=1'],
    ['x=1; SRV=a', 'x=1'],
    ['x=1; SRV=a; y="2"; SRV=b', 'x=1; y="2"'],
    ['x=SRV; SRVX=1', 'x=SRV; SRVX=1'],
    [' SRV = a ;', undefined],
    ['x; SRV=a', 'x'],
  ])('%j', (field, left) => {
    expect(withoutCookie(field, 'SRV')).toBe(left);
  });

  test('a field that has no other goes', () => {
    const fields = ['Host', 'a', 'Cookie', 'SRV=a', 'cookie', 'SRV=b; x=1', 'X-Note', 'SRV=c'];
    removeCookie(fields, 'SRV');
    expect(fields).toEqual(['Host', 'a', 'cookie', 'x=1', 'X-Note', 'SRV=c']);
  });
});

const letter = fc.constantFrom('S', 'R', 'V', 'x', '=', ' ', '"', '\t');
const pair = fc.string({ unit: letter, maxLength: 8 });

function othersIn(field: string, name: string): string[] {
  const pairs = field.split(';').map((text) => text.trim());
  return pairs.filter((text) => text !== '' && text.slice(0, Math.max(0, text.indexOf('='))).trim() !== name);
}

test('property: cookies are those of a reader that takes the field apart at each semicolon', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 6 }), fc.constantFrom('SRV', 'S', 'xS'), (pairs, name) => {
      const field = pairs.join(';');
      const read = pairs.flatMap((text) => {
        const equals = text.indexOf('=');
        const isWanted = equals !== -1 && text.slice(0, equals).trim() === name;
        return isWanted ? [text.slice(equals + 1).trim()] : [];
      });
      expect(cookieValues([field], name)).toEqual(read);
      const left = withoutCookie(field, name);
      expect(left === undefined ? [] : cookieValues([left], name)).toEqual([]);
      expect(othersIn(left ?? '', name)).toEqual(othersIn(field, name));
    }),
  );
});

describe('the path of a cookie', () => {
  const map = (path: string) => (path.startsWith('/app') ? `/chat${path.slice(4)}` : undefined);
  test.each([
    ['a=b; Path=/app/x; Secure', 'a=b; Path=/chat/x; Secure'],
    ['a=b;path=/app', 'a=b;path=/chat'],
    ['a=b; PATH = /app ; HttpOnly', 'a=b; PATH = /chat; HttpOnly'],
    ['a=b; Path=/other', 'a=b; Path=/other'],
    ['a=Path=/app; Domain=x', 'a=Path=/app; Domain=x'],
    ['a=b; XPath=/app; Path', 'a=b; XPath=/app; Path'],
    ['a=b', 'a=b'],
  ])('%j', (setCookie, mapped) => {
    expect(withCookiePath(setCookie, map)).toBe(mapped);
  });
});
