import fc from 'fast-check';
import { expect, test } from 'vitest';
import { identifier } from '../../src/layer4/names.ts';

const anything = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.stringMatching(/^[A-Za-z0-9_./ é-]{0,12}$/),
);

test('a name is what nft takes for one, and says itself where it can', () => {
  expect(identifier('hl7-in_2.b')).toBe('hl7-in_2.b');
  expect(identifier('a b/c')).toBe('a/20/b/2f/c');
  fc.assert(
    fc.property(anything, (name) => {
      expect(identifier(name)).toMatch(/^[A-Za-z0-9_./-]{0,100}$/);
    }),
  );
});

test('no two names become one', () => {
  fc.assert(
    fc.property(anything, anything, (one, other) => {
      expect(identifier(one) === identifier(other)).toBe(one === other);
    }),
  );
  const long = 'x'.repeat(200);
  expect(identifier(`${long}1`)).not.toBe(identifier(`${long}2`));
});
