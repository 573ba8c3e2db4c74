import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { subjectPattern } from '../../../protocols/tls/subject-pattern.ts';

function fits(subject: string, written: string): boolean {
  return new RegExp(subjectPattern(written)!).test(subject);
}

const CT1 = 'CN=ct1,OU=CT,O=Hospital';

describe('a subject fits', () => {
  it.each([
    ['one of its names', 'CN=ct1'],
    ['the last of them', 'O=Hospital'],
    ['several', 'CN=ct1,O=Hospital'],
    ['in another order, as openssl prints it', 'O = Hospital, CN = ct1'],
    ['all', CT1],
    ['types in small letters', 'cn=ct1,o=Hospital'],
    ['a part of a value', 'CN=ct*'],
    ['any value', 'CN=*,O=Hosp*al'],
  ])('%s: %s', (_, written) => {
    expect(fits(CT1, written)).toBe(true);
  });

  it.each([
    ['with what a value is escaped for', 'CN=A\\, B\\+C,O=D', 'CN=A\\, B\\+C'],
    ['with quotes, which need not be escaped in the pattern', 'CN=\\"A\\" \\<B\\>', 'CN="A" <B>'],
    ['with what is escaped at the beginning only', 'CN=\\#7,O=a=b', 'CN=#7,O=a=b'],
    ['with escaped digits', 'CN=a\\0Db', 'CN=a\\0db'],
    ['with letters beyond ASCII', 'CN=Köln 🏥,O=X', 'CN=Köln 🏥'],
    ['of several parts', 'CN=ct1+UID=7,O=X', 'CN=ct1 + UID=7'],
    ['with a type that is a number', '1.2.840.7=x,CN=y', '1.2.840.7=x'],
    ['with the characters of regular expressions', 'CN=a.b(c)[d]{e}^$|?/', 'CN=a.b(c)[d]{e}^$|?/'],
    ['with a star over what is escaped', 'CN=a\\,b,O=X', 'CN=a*b'],
  ])('%s', (_, subject, written) => {
    expect(fits(subject, written)).toBe(true);
  });
});

describe('a subject does not fit', () => {
  it.each([
    ['whose name only begins so', 'CN=ct12', 'CN=ct1'],
    ['whose name only ends so', 'CN=xct1', 'CN=ct1'],
    ['of another case', 'CN=CT1', 'CN=ct1'],
    ['that lacks one of the names', 'CN=ct1,O=Clinic', 'CN=ct1,O=Hospital'],
    ['that has the value under another type', 'OU=ct1', 'CN=ct1'],
    ['whose type only ends so', 'XCN=ct1', 'CN=ct1'],
    ['with more parts in the name', 'CN=ct1+UID=7', 'CN=ct1'],
    ['whose value pretends to be a name', 'CN=evil\\,CN=ct1', 'CN=ct1'],
    ['whose value pretends to go on', 'CN=ct1\\,x', 'CN=ct1'],
    ['whose value pretends to end', 'O=evil\\\\\\,CN=ct1', 'CN=ct1'],
    ['with a dot where there is another letter', 'CN=axb', 'CN=a.b'],
    ['with a star that would go over a comma', 'CN=a,O=b', 'CN=a*b'],
    ['without any names', '', 'CN=ct1'],
  ])('%s', (_, subject, written) => {
    expect(fits(subject, written)).toBe(false);
  });
});

it.each([
  '',
  ' ',
  'ct1',
  'CN',
  'CN=',
  '=ct1',
  'CN=ct1,',
  ',CN=ct1',
  'CN=ct1,Hospital',
  'O="Hospital, Inc"',
  'C N=x',
  '7=x',
])('%j is no pattern', (written) => {
  expect(subjectPattern(written)).toBeUndefined();
});

describe('any subject', () => {
  const value = fc
    .string({ unit: fc.constantFrom(...Array.from('ab12 ,+"\\<>;=#.*/[(é')), minLength: 1, maxLength: 8 })
    .filter((text) => text.trim() === text && !text.endsWith('\\'));
  const name = fc.tuple(fc.constantFrom('CN', 'OU', 'O', 'emailAddress'), value);
  const names = fc.array(name, { minLength: 1, maxLength: 4 });

  /** RFC 4514 2.4, as OpenSSL does it. */
  const escaped = (text: string) => text.replaceAll(/[,+"\\<>;]|^#/g, '\\$&');
  const subjectOf = (all: readonly (readonly [string, string])[]) =>
    all.map(([type, text]) => `${type}=${escaped(text)}`).join(',');

  it('fits each choice of its names, and none that it does not have', () => {
    fc.assert(
      fc.property(names, fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), name, (all, picks, other) => {
        const subject = subjectOf(all);
        expect(fits(subject, subjectOf(picks.map((pick) => all[pick % all.length]!)))).toBe(true);
        const has = all.some(([type, text]) => type === other[0] && text === other[1]);
        // A star of the value's own stands for anything in a pattern.
        if (!other[1].includes('*')) expect(fits(subject, subjectOf([other]))).toBe(has);
      }),
      { numRuns: 1000 },
    );
  });
});
