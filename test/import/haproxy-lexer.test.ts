import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readLines } from '../../src/import/haproxy-lexer.ts';
import { importText } from './accounting.ts';

const wordsOf = (text: string, environment = {}) =>
  readLines(text, environment).lines.map(({ words }) => words);

test.each<[string, string[]]>([
  ['  a b\tc  # d', ['a', 'b', 'c']],
  ['a\\ b \\# \\\\ \\" \\x41 \\t', ['a b', '#', '\\', '"', 'A', '\t']],
  ['"a b" \'c "d" \\\' e"f"\'g\'', ['a b', 'c "d" \\', 'efg']],
  [`"$A \${A} \${B-x y} \\$A $" $A \${A}`, ['1 1 x y $A $', '$A', `\${A}`]],
  [`"\${L[*]}" end`, ['1', '2', '3', 'end']],
  ['"" x', ['', 'x']],
  ['a#b', ['a']],
  ["'a#b'", ['a#b']],
  ['a\\', ['a\\']],
  ['\\q', ['\\q']],
])('%s', (text, words) => {
  expect(wordsOf(text, { A: '1', L: '1 2 3' })).toEqual([words]);
});

test('lines keep their numbers, and one with a quote that has no end is told of', () => {
  const { lines, faults } = readLines('a\n\n# b\r\n"c\nd', {});
  expect(lines.map(({ number }) => number)).toEqual([1, 5]);
  expect(faults).toMatchObject([{ line: { number: 4 } }]);
});

test('a variable that is not there is named', () => {
  expect(readLines('"$NOT-there"', {}).missing).toMatchObject([{ name: 'NOT' }]);
});

/** Words that configurations are made of, and what should never be there. */
const words = fc.constantFrom(
  'frontend',
  'backend',
  'listen',
  'defaults',
  'global',
  'from',
  'f',
  'b',
  'bind',
  '127.0.0.1:80',
  ':81-90',
  '*:0',
  'mode',
  'http',
  'tcp',
  'server',
  's',
  '10.0.0.1:80',
  '[::1]:81',
  'check',
  'ssl',
  'verify',
  'none',
  'inter',
  '5s',
  'acl',
  'path_beg',
  '/x',
  '-i',
  '-m',
  'reg',
  '(',
  'if',
  'unless',
  '!',
  '{',
  '}',
  'or',
  'use_backend',
  'default_backend',
  'http-request',
  'deny',
  'set-header',
  'redirect',
  'scheme',
  'https',
  'location',
  '%[path]',
  'replace-path',
  '^/(.*)',
  '/\\1',
  'return',
  'string',
  'cookie',
  'insert',
  'balance',
  'uri',
  'hash',
  'stick',
  'on',
  'src',
  'stick-table',
  'type',
  'ip',
  'size',
  '1k',
  'option',
  'httpchk',
  'http-check',
  'expect',
  'status',
  'timeout',
  'client',
  '0',
  'no',
  'source',
  'usesrc',
  'tcp-request',
  'content',
  'accept',
  'reject',
  '"',
  "'",
  '\\',
  '#',
  `\${X}`,
  '\u0000',
  '\u00fc',
  '\u001b[31m',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'weight',
  '-1',
  '99999999999',
);
const files = fc
  .array(
    fc.array(words, { maxLength: 9 }).map((line) => line.join(' ')),
    { maxLength: 25 },
  )
  .map((lines) => lines.join('\n'));

test('no configuration, however wrong, ends in anything but a draft that is accepted or a sentence', () => {
  fc.assert(
    fc.property(files, fc.boolean(), (text, protocolAware) => {
      importText(
        'haproxy',
        `frontend f\n mode http\n bind 10.0.0.4:8000\n default_backend b\nbackend b\n mode http\n server s 10.0.0.1:1\n${text}`,
        { protocolAware },
      );
      importText('haproxy', text, { protocolAware });
    }),
    { numRuns: 300 },
  );
});

test('nor do any bytes, files that are cut, or lines that are very long', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 500 }),
        fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes).toString('utf8')),
      ),
      (text) => {
        importText('haproxy', text);
        importText('ldirectord', text);
      },
    ),
  );
  const long = 'x'.repeat(1_000_000);
  importText(
    'haproxy',
    `frontend ${long}\nbind ${long}\nacl ${long} path ${long}\nbackend b\nserver ${long} 10.0.0.1:80 ${long}`,
  );
  importText('ldirectord', `virtual=${long}\n    real=${long}\n${long}`);
});

test('a file that is cut anywhere', () => {
  const whole =
    'defaults\n mode http\nfrontend f\n bind "10.0.0.4:80"\n acl a path_beg -i \'/x\'\n http-request deny if a !{ src 10.0.0.0/8 }\n use_backend b if { hdr(host) -m end .example } or a\nbackend b\n balance hdr(X-A)\n option httpchk GET /h\n http-check expect rstatus ^2\n server s 10.0.0.1:80 check ssl verify none sni str(a.example)\n';
  for (let end = 0; end <= whole.length; end++) importText('haproxy', whole.slice(0, end));
  const other =
    'checkinterval=5\nvirtual=10.0.0.6:80\n\treal=10.0.0.1->10.0.0.3:80 gate 2 "a", "b"\n\tpersistent=60\n\tnetmask=255.255.0.0\n\tfallback=10.0.0.9:80 gate\n\trequest="x#y"\n';
  for (let end = 0; end <= other.length; end++) importText('ldirectord', other.slice(0, end));
});
