import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compilePattern } from '../../src/director/patterns.ts';

describe('patterns', () => {
  test.each([
    ['called', 'ARCHIVE', 'ARCHIVE', true],
    ['called', 'ARCHIVE', 'archive', false],
    ['called', 'ARCHIVE', 'ARCHIVE2', false],
    ['called', '0012', '0012', true],
    ['called', '0012', '12', false],
    ['called', 'STAT*', 'STAT', true],
    ['called', 'STAT*', 'STAT_1', true],
    ['called', 'STAT*', 'XSTAT', false],
    ['called', '*', 'anything', true],
    ['called', '*_ER', 'CT_ER', true],
    ['called', 'A*B', 'AB', true],
    ['called', 'A*A', 'A', false],
    ['called', 'A*X*B', 'A1X2B', true],
    ['called', 'A*X*B', 'AX', false],
    ['called', 'A*X*B', 'AB', false],
    ['called', 'A*BB*B', 'ABBB', true],
    ['called', 'A*BB*BB', 'ABBB', false],
    ['called', 'CT.1', 'CTx1', false],
    ['calling', '/^ER_/', 'ER_CT', true],
    ['calling', '/^ER_/', 'xER_CT', false],
    ['calling', '/R_C/', 'ER_CT', true],
    ['path', '/chat/*', '/chat/room', true],
    ['path', '/chat/', '/chat/', true],
    ['path', '/chat/', 'chat', false],
    ['path', '~^/v[12]/', '/v2/x', true],
    ['path', '~^/v[12]/', '/v3/x', false],
    ['client', '10.1.0.0/16', '10.1.2.3', true],
    ['client', '10.1.0.0/16', '::ffff:10.1.2.3', true],
    ['client', '10.1.*', '10.1.2.3', true],
    ['client', '/^10\\.1/', '10.1.2.3', true],
    ['tlsSubject', '/', '/', true],
    ['port', '104', '104', true],
  ])('%s: %s and %s: %s', (name, pattern, value, matches) => {
    expect(compilePattern(name, pattern)(value)).toBe(matches);
  });

  test('without regard to case', () => {
    for (const pattern of ['Archive', 'ARC*', '/^archive$/']) {
      expect(compilePattern('called', pattern, { ignoreCase: true })('aRCHIVE')).toBe(true);
    }
  });

  test('what cannot be compiled throws', () => {
    expect(() => compilePattern('called', '/(/')).toThrow();
    expect(() => compilePattern('client', 'pacs')).toThrow(/network/);
  });

  test('a glob matches as its regular expression would (property)', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 });
    const globs = fc.string({ unit: fc.constantFrom('a', 'b', '*', '*'), minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(globs, letters, (glob, value) => {
        const expected = new RegExp(`^${glob.replaceAll('*', '.*')}$`).test(value);
        expect(compilePattern('called', glob)(value)).toBe(expected);
      }),
    );
  });
});
