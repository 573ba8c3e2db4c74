import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { comment, quoted, record, scalar, spaced, Written, wrap } from '../../src/profiles/layout.ts';

describe('scalar', () => {
  it('is plain where YAML allows it', () => {
    expect([scalar('eth0'), scalar('/etc/gantry/checks/R2I'), scalar('10.0.0.11:443')]).toEqual([
      'eth0',
      '/etc/gantry/checks/R2I',
      '10.0.0.11:443',
    ]);
    expect([scalar('fd00::11'), scalar('[fd00::11]:443'), scalar('a b'), scalar('')]).toEqual([
      'fd00::11',
      '"[fd00::11]:443"',
      '"a b"',
      '""',
    ]);
  });

  it('property: any text comes back, also inside braces', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.ipV6()), (text) => {
        fc.pre(!text.includes('${'));
        const written = `{ first: ${scalar(text)}, second: ${quoted(text)} }`;
        expect(parse(written, { schema: 'failsafe' })).toEqual({ first: text, second: text });
      }),
    );
  });

  it('what looks like a name of the environment is none', () => {
    expect(scalar('/etc/\x24{HOME}')).toBe('"/etc/$\x24{HOME}"');
  });
});

it('wrap: no line is longer than it may be, and what is in quotes or braces stays together', () => {
  expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
  expect(wrap('say { by: source-ip, ttl: 8h }, or "a b c".', 12)).toEqual([
    'say',
    '{ by: source-ip, ttl: 8h },',
    'or "a b c".',
  ]);
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1 }),
      fc.integer({ min: 9, max: 40 }),
      (words, width) => {
        const lines = wrap(words.join(' '), width);
        expect(lines.join(' ')).toBe(words.join(' '));
        expect(lines.every((line) => line.length <= width)).toBe(true);
      },
    ),
  );
});

it('comment: every line is one', () => {
  const lines = comment('word '.repeat(60).trim(), '  ');
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.every((line) => /^ {2}# word/.test(line) && line.length <= 112)).toBe(true);
  expect(comment(undefined)).toEqual([]);
});

describe('record', () => {
  it('is one line where it fits', () => {
    expect(
      record(
        'A',
        [
          { key: 'pool', value: 'B' },
          { key: 'listen', value: '["x"]' },
        ],
        'VIP 1',
      ),
    ).toEqual(['  A: { pool: B, listen: ["x"] }   # VIP 1']);
  });

  it('is a block where something is said, listed or left out', () => {
    const lines = record(
      'A',
      [
        { key: 'servers', value: '&s', lines: ['- x', '- y'], note: 'Two.' },
        { key: 'interface', value: 'eth0', isOff: true },
      ],
      'VIP 1',
    );
    expect(lines).toEqual([
      '  A:   # VIP 1',
      '    # Two.',
      '    servers: &s',
      '      - x',
      '      - y',
      '    # interface: eth0',
    ]);
    expect(parse(lines.join('\n'))).toEqual({ A: { servers: ['x', 'y'] } });
  });
});

it('spaced: an empty line beside blocks, none between lines', () => {
  expect(spaced([['a'], ['b'], ['c', 'd'], ['e']])).toEqual(['a', 'b', '', 'c', 'd', '', 'e']);
  expect(spaced([['a', 'b']])).toEqual(['a', 'b']);
});

it('what is shared is written once, what is said is said once', () => {
  const written = new Written();
  const entry = { key: 'tls', value: '{ verify: false }', note: 'Why.' };
  expect(written.shared('tls', entry)).toEqual({ ...entry, value: '&tls { verify: false }' });
  expect(written.shared('tls', entry)).toEqual({ key: 'tls', value: '*tls' });
  expect([written.once('Why.'), written.once('Why.'), written.once('How.')]).toEqual([
    'Why.',
    undefined,
    'How.',
  ]);
});
