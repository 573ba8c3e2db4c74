import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it, test } from 'vitest';
import { runCli, runHere } from './run-cli.ts';

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/import/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'gantry-import-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
const written = (name: string, content: string | Buffer) => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};

const SMALL = `listen web
  mode http
  bind 127.0.0.1:18080
  compression algo gzip
  option httplog
  server a 127.0.0.1:18081
`;

describe('gantry import', () => {
  it('writes a configuration that gantry check accepts, and tells what is missing in it', async () => {
    const file = written('small.cfg', SMALL);
    const { code, stdout, stderr } = await runCli(['import', 'haproxy', file]);
    expect(code).toBe(0);
    expect(stderr.split('\n')).toEqual([
      `${file}:4: lost: compression algo gzip: Gantry compresses nothing: let the web servers do so`,
      `${file}: lines lost in whole or in part: 1; changed: 0; without a meaning here: 1`,
      '',
    ]);
    const checked = await runCli(['check', '-c', written('small.yaml', stdout)]);
    expect(checked).toMatchObject({ code: 0, stdout: '' });
  });

  it('tells of lines without a meaning when asked', async () => {
    const file = written('small.cfg', SMALL);
    const { stderr } = await runHere(['import', 'haproxy', '--all', file]);
    expect(stderr).toContain(`${file}:5: idle: option httplog: `);
  });

  it.each(['losses.cfg'])('%s: what is left is accepted', async (name) => {
    const { code, stdout } = await runHere(['import', 'haproxy', fixture(name)]);
    expect(code).toBe(0);
    expect((await runHere(['check', '-c', written('left.yaml', stdout)])).code).toBe(0);
  });

  it('a frontend that goes with a backend that cannot be: it is said, and counted', async () => {
    const backend = (name: string, server: string) => `backend ${name}\n  mode http\n  server s ${server}\n`;
    const file = written(
      'circle.cfg',
      `frontend web
  mode http
  bind 10.0.0.1:80
  use_backend round if { path_beg /round }
  default_backend good
frontend other
  bind 10.0.0.1:81
  mode http
  default_backend good
${backend('round', '10.0.0.1:80')}${backend('good', '10.0.0.2:80')}`,
    );
    const { code, stdout, stderr } = await runHere(['import', 'haproxy', file]);
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/^ {2}(?:round|web):/m);
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toMatch(/:10: lost: pools\.round\..*; so pools\.round is left out as a whole$/);
    expect(lines[1]).toMatch(/:1: lost: vips\.web\..*; so vips\.web is left out as a whole$/);
    expect(lines[2]).toContain('lines lost in whole or in part: 2;');
  });

  it('a configuration of ldirectord', async () => {
    const { code, stdout } = await runHere(['import', 'ldirectord', fixture('hospital-ldirectord.cf')]);
    expect(code).toBe(0);
    expect((await runHere(['check', '-c', written('layer4.yaml', stdout)])).stdout).toBe('');
  });
});

describe('an import file with everything wrong: a sentence each, nothing half applied', () => {
  it.each([
    ['haproxy', 'everything-wrong.cfg', 13],
    ['ldirectord', 'everything-wrong.cf', 13],
  ])('%s', async (kind, name, least) => {
    const { code, stdout, stderr } = await runCli(['import', kind, fixture(name)]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(least);
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^\S+:\d+: lost: .+: .+/);
    expect(lines.at(-1)).toMatch(/^gantry: .* could be taken over: nothing was written$/);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it.each([
    ['a file that is not there', () => join(folder, 'nowhere.cfg'), 'there is no such file'],
    ['a folder', () => folder, 'it is a folder'],
    ['a program', () => written('binary', Buffer.of(0x7f, 0x45, 0, 0)), 'is not a text file'],
    ['another format', () => written('other', 'pools: {}\n'), 'is not a HAProxy configuration'],
    ['nothing', () => written('empty', ''), 'is not a HAProxy configuration'],
  ])('%s', async (_, file, sentence) => {
    const { code, stdout, stderr } = await runHere(['import', 'haproxy', file()]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trimEnd().split('\n').at(-1)).toContain(sentence);
  });
});

test.each([
  ['import', '--help'],
  ['import', 'haproxy', '--help'],
  ['import', 'ldirectord', '--help'],
])('%s %s %s', async (...words) => {
  const { code, stdout } = await runHere(words);
  expect(code).toBe(0);
  expect(stdout).toContain(words.length === 2 ? 'ldirectord' : '--protocol-aware');
});

test('a kind of configuration that is not known', async () => {
  expect(await runHere(['import', 'pound', 'x'])).toMatchObject({ code: 2, stdout: '' });
});
