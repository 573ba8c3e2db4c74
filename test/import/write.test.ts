import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readSource } from '../../src/config/source.ts';
import { durationText, Names, Remarked } from '../../src/import/draft.ts';
import { writeDraft } from '../../src/import/write.ts';

const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({ maxLength: 20 }),
  fc.constantFrom(
    `\${HOME}`,
    `$\${HOME}`,
    'a: b',
    '# x',
    '- x',
    '~',
    '*a',
    '&a',
    '"',
    "'",
    '{',
    'yes',
    '0012',
    '',
    '\ud800',
    '\u2028',
  ),
);

test('whatever text stands in a draft, the file says the same', () => {
  fc.assert(
    fc.property(
      fc.array(texts, { maxLength: 5 }),
      fc.dictionary(texts, texts, { maxKeys: 5 }),
      (list, record) => {
        const keys = Object.fromEntries(
          Object.entries(record).filter(([key]) => key !== '__proto__' && key !== '<<'),
        );
        const body = { list, keys, routes: [new Remarked({ keys, list }, `a remark ${list[0] ?? ''}`)] };
        const yaml = writeDraft({
          comments: [list[0] ?? ''],
          top: {},
          pools: [{ name: 'p', comments: list, body }],
          vips: [],
        });
        const { source, faults } = readSource(yaml, 'gantry.yaml', { HOME: 'wrong' });
        expect(faults, yaml).toEqual([]);
        const { pools } = source!.value as unknown as { pools: { p: typeof body } };
        expect(JSON.parse(JSON.stringify(pools.p))).toEqual({ list, keys, routes: [{ keys, list }] });
      },
    ),
  );
});

test('names are words, and each is there once', () => {
  const names = new Names();
  expect(['web', 'web', 'a:b', '--x', '', 'ü'].map((name) => names.take(name))).toEqual([
    'web',
    'web-2',
    'a-b',
    'x',
    'unnamed',
    'unnamed-2',
  ]);
});

test.each([
  [0.4, '1ms'],
  [500, '500ms'],
  [5000, '5s'],
  [90_000, '90s'],
  [1_800_000, '30m'],
  [259_200_000, '72h'],
  [1e15, '87600h'],
])('%d ms are %s', (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
