import fc from 'fast-check';
import { expect, it } from 'vitest';
import { advice, suggestion } from '../../src/config/fault.ts';

it.each([
  ['maxConections', 'maxConnections'],
  ['Wait', 'wait'],
  ['intervall', 'interval'],
  ['tiem', undefined],
  ['time', undefined],
  ['clal', 'call'],
  ['a', undefined],
])('suggests for "%s": %s', (written, wanted) => {
  expect(suggestion(written, ['maxConnections', 'wait', 'interval', 'call'])).toBe(wanted);
});

it('says what there is when nothing is near', () => {
  expect(advice('colour', ['name', 'weight'])).toBe('there are name, weight');
  expect(advice('colour', [])).toBe('there are none');
});

it('one letter more, less or other is near, for every name', () => {
  const name = fc.stringMatching(/^[a-z]{4,20}$/);
  fc.assert(
    fc.property(name, fc.nat(), fc.constantFrom('', 'X'), fc.boolean(), (known, at, letter, keep) => {
      const place = at % known.length;
      const written = known.slice(0, place) + letter + known.slice(keep ? place : place + 1);
      return suggestion(written, [known]) === known;
    }),
  );
});
