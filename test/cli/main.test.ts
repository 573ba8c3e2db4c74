import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FIXTURES, runCli, runHere } from './run-cli.ts';

const ENVIRONMENT = { GANTRY_TEST_TOKEN: 'not-a-real-token' };

describe('gantry check: file:line:col each, exit 2', () => {
  it.each(['unknown-key', 'wrong-type', 'missing-pool', 'duplicate-listener', 'bad-duration'])(
    '%s',
    async (name) => {
      const path = join(FIXTURES, 'invalid', `${name}.yaml`);
      const { code, stdout, stderr } = await runCli(['check', '-c', path]);
      const faults = readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('# fault '))
        .map((line) => `${path}:${line.slice('# fault '.length)}\n`);
      expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: faults.join(''), stderr: '' });
    },
  );

  it('unreadable file', async () => {
    expect(await runCli(['check', '-c', 'no-such-file.yaml'])).toEqual({
      code: 2,
      stdout: 'no-such-file.yaml:1:1: configuration: cannot be read: there is no such file\n',
      stderr: '',
    });
  });
});

describe('gantry check: a good file', () => {
  it('prints nothing and exits 0', async () => {
    const result = await runCli(['check', '-c', join(FIXTURES, 'valid', 'smallest.yaml')]);
    expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('what this machine lacks is a warning on standard error', async () => {
    const path = join(FIXTURES, 'valid', 'hospital.yaml');
    const { code, stdout, stderr } = await runCli(['check', '-c', path], ENVIRONMENT);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain(`warning: ${path}: vips.ARCHIVE.listen: this machine has no address 10.0.0.4\n`);
  });
});

describe('gantry: a wrong command line is one sentence and exit code 2', () => {
  it.each([
    ['an unknown command', ['chekc'], "unknown command 'chekc' (Did you mean check?)"],
    ['an unknown option', ['check', '-c', 'x', '--jso'], "unknown option '--jso'"],
    ['a missing option', ['check'], "required option '-c, --config <file>' not specified"],
    ['a missing value', ['check', '-c'], "option '-c, --config <file>' argument missing"],
    [
      'too many words',
      ['schema', 'x'],
      "too many arguments for 'schema'. Expected 0 arguments but got 1: x.",
    ],
    [
      'not HOST:PORT',
      ['echo', '127.0.0.1'],
      '"127.0.0.1" is not HOST:PORT, such as 127.0.0.1:11112 or [::1]:11112',
    ],
    [
      'a bad AE title',
      ['echo', '127.0.0.1:1', '--called', 'MORE-THAN-16-LETTERS'],
      '--called "MORE-THAN-16-LETTERS" is not an AE title: 1 to 16 characters of ASCII without "\\"',
    ],
    [
      'a missing file',
      ['hl7', 'send', '127.0.0.1:1', 'none.hl7'],
      'none.hl7 cannot be read: there is no such file',
    ],
    ['a port', ['demo', '--dicom-port', 'x'], '--dicom-port "x" is not a port: 0 to 65535 would be right'],
  ])('%s', async (_name, words, sentence) => {
    expect(await runHere(words)).toEqual({ code: 2, stdout: '', stderr: `gantry: ${sentence}\n` });
  });

  it('no words at all: the help, on standard error', async () => {
    const { code, stdout, stderr } = await runHere([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: gantry');
  });
});

it('gantry: a wrong command line, in a process of its own', async () => {
  const stderr = "gantry: unknown command 'chekc' (Did you mean check?)\n";
  expect(await runCli(['chekc'])).toEqual({ code: 2, stdout: '', stderr });
});

describe('gantry: help and version', () => {
  it.each([
    [['--help'], 'Usage: gantry'],
    [['help', 'check'], 'Usage: gantry check'],
    [['explain', '--help'], 'gantry explain -c gantry.yaml --vip ARCHIVE'],
    [['hl7', 'send', '--help'], 'gantry hl7 send 127.0.0.1:2310'],
  ])('%j', async (words, part) => {
    const { code, stdout, stderr } = await runHere(words);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(part);
  });

  it('the version is the package’s', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await runHere(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('gantry schema is a JSON Schema', async () => {
    const { code, stdout } = await runHere(['schema']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', required: ['pools', 'vips'] });
  });
});
