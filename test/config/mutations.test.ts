import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { assemble } from '../../src/assemble.ts';
import { readConfiguration } from '../../src/config/load.ts';

const FIXTURES = ['hospital', 'web', 'study', 'layer4'].map((name) =>
  readFileSync(new URL(`../../fixtures/config/valid/${name}.yaml`, import.meta.url), 'utf8'),
);
const environment = { GANTRY_TEST_TOKEN: 'not-a-real-token' };

/** Faults with a place inside the text, or a configuration that everything can be built from. */
function judge(text: string): 'faults' | 'configuration' {
  const { configuration, faults } = readConfiguration(text, { file: 'f.yaml', environment });
  if (configuration) {
    assemble(configuration, { now: () => 0, random: () => 0 });
    return 'configuration';
  }
  expect(faults.length).toBeGreaterThan(0);
  const lines = text.split('\n');
  for (const { line, column, path, message } of faults) {
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
    expect(path).not.toBe('');
    expect(message).not.toMatch(/undefined|\[object|Invalid input/);
  }
  return 'faults';
}

it('the files themselves are good', () => {
  for (const text of FIXTURES) expect(judge(text)).toBe('configuration');
});

it('a file with anything cut out, put in or replaced: faults or a configuration, never a crash', () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 4 }),
    fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\n',
      '  ',
      '*a',
      '&a ',
      '<<: ',
      '!',
      '#',
      '|',
      '/(/',
      '0',
      '-1',
      'null',
    ),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...FIXTURES),
      fc.nat(3500),
      fc.nat(30),
      piece,
      (text, at, length, inserted) => {
        judge(text.slice(0, at) + inserted + text.slice(at + length));
      },
    ),
    { numRuns: 400 },
  );
});

it('a file with its lines in another order, doubled or left out: faults or a configuration, never a crash', () => {
  for (const text of FIXTURES) {
    const lines = text.split('\n');
    fc.assert(
      fc.property(fc.array(fc.nat(lines.length - 1), { maxLength: lines.length }), (order) => {
        judge(order.map((index) => lines[index]).join('\n'));
      }),
      { numRuns: 100 },
    );
  }
});

it('any value at any key: faults or a configuration, never a crash', () => {
  const key = fc.constantFrom(
    'version',
    'admin',
    'log',
    'table',
    'timeouts',
    'pools',
    'vips',
    'servers',
    'health',
    'persistence',
    'hl7',
    'dicom',
    'routes',
    'when',
    'any',
    'not',
    'listen',
    'pool',
    'protocol',
    'by',
    'clients',
    'storage',
    'egress',
    'destinations',
    'urgent',
    'fromOrders',
    'route',
    'senderTimeout',
    'check',
    'all',
    'track',
    'tls',
    'cert',
    'headers',
    'set',
    'redirect',
    'respond',
    'rewrite',
    'path',
    'limits',
    'mode',
    'interface',
    'source',
    'a',
    'PID-3',
  );
  const leaf = fc.constantFrom(
    '',
    'a',
    '0',
    '5s',
    '10.0.0.1:104',
    'dicom',
    'hl7',
    'http',
    'tcp',
    'cookie',
    'single-active',
    'dr',
    'snat',
    'client',
    '10.0.0.6:*',
    '[fd00::6]:104',
    '/$1',
    'none',
    'calling',
    'study',
    'separate',
    null,
    true,
    1.5,
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'medium', maxDepth: 6 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      tie('record'),
    ),
    record: fc.dictionary(key, tie('value'), { maxKeys: 8 }),
  })).record;
  fc.assert(
    fc.property(tree, (value) => {
      judge(JSON.stringify(value));
    }),
    { numRuns: 500 },
  );
});
