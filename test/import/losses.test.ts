/** What became of each line: nothing is lost in silence, and nothing secret is told. */
import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { importText, told } from './accounting.ts';
import { site } from './haproxy-site.ts';

const fixture = (name: string) =>
  readFileSync(new URL(`../../fixtures/import/${name}`, import.meta.url), 'utf8');

describe('no line is lost in silence', () => {
  it.each(['hospital-web.cfg', 'hospital-tcp.cfg', 'losses.cfg', 'everything-wrong.cfg'])('%s', (name) => {
    const ports = Object.fromEntries(
      [...fixture(name).matchAll(/\$\{(\w+)\}/g)].map(([, variable = ''], index) => [
        variable,
        String(20_000 + index),
      ]),
    );
    importText('haproxy', fixture(name), { environment: ports });
    importText('haproxy', fixture(name), { environment: ports, protocolAware: true });
    importText('haproxy', fixture(name));
  });
});

describe('a line that counts as taken over makes a difference, unless it says what is so anyway', () => {
  it.each([
    // Where HAProxy shows its own statistics, nothing is listened on here.
    ['haproxy', 'hospital-web.cfg', ['global', 'balance roundrobin', `bind "127.0.0.1:\${STATS}"`]],
    [
      'haproxy',
      'hospital-tcp.cfg',
      [
        'global',
        'mode tcp',
        // The longer of the two counts, and they are equal.
        'timeout client 2h',
        'timeout server 2h',
        'option tcp-check',
        'balance roundrobin',
      ],
    ],
    [
      'ldirectord',
      'hospital-ldirectord.cf',
      ['protocol=tcp', 'checktype=connect', 'service=http', 'checktype=negotiate', 'protocol=tcp'],
    ],
  ] as const)('%s: %s', (from, name, anyway) => {
    const lines = fixture(name).split('\n');
    const environment = Object.fromEntries(
      [...fixture(name).matchAll(/\$\{(\w+)\}/g)].map(([, variable = ''], index) => [
        variable,
        String(20_000 + index),
      ]),
    );
    const whole = importText(from, lines.join('\n'), { environment });
    expect(whole.removed).toEqual([]);
    const without = (line: number) => lines.with(line - 1, '').join('\n');
    const same = whole.lines.taken.filter(
      (line) => importText(from, without(line), { environment }).yaml === whole.yaml,
    );
    expect(same.map((line) => lines[line - 1]!.trim())).toEqual(anyway);
  });
});

test('an import file with everything wrong: a sentence for each line, and no configuration', () => {
  const imported = importText('haproxy', fixture('everything-wrong.cfg'));
  expect(imported.yaml).toBeUndefined();
  expect(imported.reason).toBe('has no frontend or listen that could be taken over');
  const lines = fixture('everything-wrong.cfg').split('\n').length - 1;
  // Lines 1 and 11 are the heads of sections of which every other line is told of.
  expect(imported.notes.filter(({ fate }) => fate === 'lost').map(({ line }) => line)).toEqual(
    Array.from({ length: lines }, (_, index) => index + 1).filter((line) => line !== 1 && line !== 11),
  );
});

test('what is no HAProxy configuration is told so', () => {
  for (const text of ['', '# nothing', 'version: 1\npools: {}\n', '<xml/>']) {
    expect(importText('haproxy', text).reason).toContain('is not a HAProxy configuration');
  }
});

test('secrets are in no sentence and in no comment', () => {
  const text = site(
    'stats auth watcher:hush-hush\nhttp-check send hdr Authorization "Basic hush-hush"',
    'option httpchk\nhttp-check send hdr Authorization "Basic hush-hush"',
    { before: 'userlist people\n  user watcher insecure-password hush-hush' },
  );
  const { yaml, notes } = importText('haproxy', text);
  expect(yaml).not.toContain('hush-hush');
  expect(JSON.stringify(notes)).not.toContain('hush-hush');
});

describe('what was kept out, and gets in now, is said in so many words', () => {
  it.each([
    'http-request deny if { sc_http_req_rate(0) gt 100 }',
    'http-request auth realm Inside if { path_beg /inside }',
    'tcp-request connection reject if { src_conn_rate gt 10 }',
    'http-request deny if nobody',
    'tcp-request content accept if { req.len gt 0 }\ntcp-request content reject',
  ])('%s', (line) => {
    const { notes } = importText('haproxy', site(line));
    expect(notes.find(({ fate }) => fate === 'lost')?.why).toContain('whoever it kept out gets in now');
  });
});

test.each(['^/[[:digit:]]+', '\\\\A/x', '(?>a)', '^/a++', '(', '\\\\Qa.b\\\\E'])(
  'an expression of another dialect is told of, not taken for something else: %s',
  (expression) => {
    const [sentence] = told(importText('haproxy', site(`http-request deny if { path_reg ${expression} }`)));
    expect(sentence).toMatch(/^lost 5: http-request deny/);
  },
);
