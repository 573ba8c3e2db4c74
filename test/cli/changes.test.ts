/** The commands that change a running balancer, as operators type them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accepting, type Scp, startScp } from '../peers/dicom-scp.ts';
import { echoOnce } from '../peers/dicom-scu.ts';
import { freePort } from '../peers/processes.ts';
import { type RunningCli, runHere, startCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-changes-'));
const file = join(folder, 'gantry.yaml');
let scp: Scp;
let running: RunningCli;
let admin: string[];
let dicom: { host: string; port: number };

const configuration = (more = ''): string => `
admin: { listen: 127.0.0.1:${new URL(admin[1]!).port} }
pools: { archive: { servers: [{ name: a, address: "${scp.endpoint}" }], health: { check: none } } }
vips: { ARCHIVE: { protocol: dicom, listen: "127.0.0.1:${dicom.port}", pool: archive, persistence: calling } }
${more}`;

beforeAll(async () => {
  scp = await startScp(accepting());
  admin = ['--admin', `http://127.0.0.1:${await freePort()}`];
  dicom = { host: '127.0.0.1', port: await freePort() };
  writeFileSync(file, configuration());
  running = startCli(['run', '-c', file]);
  await running.line((line) => line.includes('"msg":"ready"'));
});
afterAll(async () => {
  running.process.kill('SIGKILL');
  await scp.stop();
  rmSync(folder, { recursive: true });
});

const gantry = (...words: string[]) => runHere([...words, ...admin]);

describe('drain, halt, online, weight', () => {
  it.each([
    [
      ['drain', 'archive/a'],
      'archive/a: drained, weight 1, 0 active (drained by an operator; nothing was left)\n',
    ],
    [
      ['online', 'archive/a'],
      'archive/a: up, weight 1, 0 active (put online by an operator; its health is not checked)\n',
    ],
    [
      ['drain', '--strict', 'archive/a'],
      'archive/a: drained, weight 1, 0 active (drained by an operator; nothing was left)\n',
    ],
    [['halt', 'archive/a'], 'archive/a: halted, weight 1, 0 active (halted by an operator)\n'],
    [
      ['online', 'archive/a'],
      'archive/a: up, weight 1, 0 active (put online by an operator; its health is not checked)\n',
    ],
    [
      ['weight', 'archive/a', '3'],
      'archive/a: up, weight 3, 0 active (put online by an operator; its health is not checked)\n',
    ],
  ])('%j', async (words, stdout) => {
    expect(await gantry(...words)).toEqual({ code: 0, stdout, stderr: '' });
  });

  it('work stops coming to a halted server, and comes again', async () => {
    expect(await echoOnce(dicom)).toBe('0000');
    await gantry('halt', 'archive/a');
    expect(await echoOnce(dicom)).toBe('rejected 2/3/1');
    await gantry('online', 'archive/a');
    expect(await echoOnce(dicom)).toBe('0000');
  });

  it.each([
    [['drain', 'archive'], 2, 'gantry: "archive" is not POOL/SERVER, such as archive/pacs-a\n'],
    [['weight', 'archive/a', 'heavy'], 2, 'gantry: "heavy" is not a weight: 0 to 1000 would be right\n'],
    [['halt', 'archive/b'], 1, /answers 404: There is no such server in such a pool\.\n$/],
  ])('%j: a sentence', async (words, code, sentence) => {
    const result = await gantry(...words);
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout: '' });
    expect(result.stderr).toMatch(sentence);
  });
});

describe('persistence', () => {
  it('shows entries and clears them', async () => {
    await echoOnce(dicom, { calling: 'CT1' });
    const { stdout } = await gantry('persistence');
    expect(stdout).toMatch(/^TABLE +POOL +BY +KEY +SERVER +LIVES\n/);
    expect(stdout).toMatch(/vip ARCHIVE +archive +calling +CT1 +a +(?:29m 5\ds|30m 0s)\n/);
    expect(await gantry('persistence', '--clear', 'CT1')).toMatchObject({ code: 0, stdout: '1 cleared\n' });
    expect(JSON.parse((await gantry('persistence', '--key', 'CT1', '--json')).stdout)).toEqual([]);
  });
});

describe('reload', () => {
  it('prints what is different; nothing; every fault', async () => {
    expect(await gantry('reload')).toEqual({ code: 0, stdout: 'nothing is different\n', stderr: '' });
    writeFileSync(file, configuration('timeouts: { drain: 5s }\nlog: { hashUids: true }\n'));
    expect(await gantry('reload')).toEqual({
      code: 0,
      stdout: 'pool archive changed\ntimeouts changed\nlog changed, from the next start on\n',
      stderr: '',
    });
    writeFileSync(file, configuration('timeouts: { drain: soon }\nnonsense: true\n'));
    const faulty = await gantry('reload');
    expect({ code: faulty.code, stdout: faulty.stdout }).toEqual({ code: 2, stdout: '' });
    expect(faulty.stderr.split('\n')).toEqual([
      expect.stringMatching(/gantry\.yaml:5:20: timeouts\.drain: "soon" is not a duration/),
      expect.stringMatching(/gantry\.yaml:6:1: nonsense: is not a key here/),
      '',
    ]);
    expect(await echoOnce(dicom)).toBe('0000');
  });
});
