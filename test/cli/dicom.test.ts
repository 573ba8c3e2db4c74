import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { isPart10, readPart10 } from '../../src/cli/part10.ts';
import { createSample, SAMPLE_SOP_CLASSES } from '../../src/demo/sample-files.ts';
import { aborting, accepting, rejecting, type Scp, type ScpScript, startScp } from '../peers/dicom-scp.ts';
import { refusingAddress } from '../peers/test-connection.ts';
import { runCli, runHere } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-dicom-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
const samples = (['CT', 'MR'] as const).map((modality) =>
  createSample({ modality, study: 'cli', number: 1 }),
);
const files = samples.map(({ modality, file }) => {
  const path = join(folder, `${modality}.dcm`);
  writeFileSync(path, file);
  return path;
});

let scp: Scp | undefined;
afterEach(() => scp?.stop());
async function start(script: ScpScript): Promise<string> {
  scp = await startScp(script);
  return scp.endpoint;
}

describe('gantry echo', () => {
  it('a server that answers: exit 0, with the AE titles as given', async () => {
    const endpoint = await start(accepting());
    const { code, stdout, stderr } = await runHere([
      'echo',
      endpoint,
      '--called',
      'ARCHIVE',
      '--calling',
      'ME',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^127\.0\.0\.1:\d+ answers a C-ECHO \(\d+ ms\)\n$/);
    expect(scp!.associations.items[0]!.parsed).toMatchObject({ called: 'ARCHIVE', calling: 'ME' });
  });

  it.each([
    ['rejects', rejecting(1, 1, 7), '1/1/7'],
    ['aborts', aborting(2, 0), 'aborts'],
    ['answers with a failure', accepting({ status: () => 0x0122 }), '0122'],
  ])('a server that %s: exit 1', async (_name, script, part) => {
    const { code, stdout, stderr } = await runHere(['echo', await start(script)]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(part);
  });

  it('nobody listens: exit 1', async () => {
    const { host, port } = await refusingAddress();
    const { code, stderr } = await runHere(['echo', `${host}:${port}`]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: `gantry: ${host}:${port} refuses connections\n` });
  });
});

describe('gantry dicom send', () => {
  it('stores every file and prints its status', async () => {
    const endpoint = await start(accepting());
    const { code, stdout, stderr } = await runCli([
      'dicom',
      'send',
      endpoint,
      ...files,
      '--called',
      'ARCHIVE',
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toBe(files.map((file) => `${file}: stored (0000)\n`).join(''));
    expect(scp!.associations.items[0]!.parsed).toMatchObject({ called: 'ARCHIVE', calling: 'GANTRY' });
  });

  it('a file that is refused: exit 1', async () => {
    const endpoint = await start(accepting({ status: () => 0xa700 }));
    const { code, stdout, stderr } = await runCli(['dicom', 'send', endpoint, files[0]!]);
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: `${files[0]}: not stored (A700)\n`,
      stderr: 'gantry: 1 of 1 files were not stored\n',
    });
  });

  it('an association that is rejected: exit 1, with its triple', async () => {
    const endpoint = await start(rejecting(1, 1, 3));
    const { code, stderr } = await runCli(['dicom', 'send', endpoint, files[0]!]);
    expect(code).toBe(1);
    expect(stderr).toBe(`gantry: ${endpoint}: rejects the association (result 1, source 1, reason 3)\n`);
  });

  it('a file that is none: exit 2', async () => {
    const { code, stderr } = await runCli(['dicom', 'send', '127.0.0.1:1', join(folder, 'none.dcm')]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^gantry: .*none\.dcm cannot be read as a DICOM file: there is no such file\n$/);
  });
});

describe('the SOP class of a file', () => {
  it('is its Media Storage SOP Class UID', () => {
    expect(samples.map(({ file }) => readPart10(file).sopClass)).toEqual([
      SAMPLE_SOP_CLASSES.CT,
      SAMPLE_SOP_CLASSES.MR,
    ]);
  });

  it('of every prefix of a file: the same, or none', () => {
    const { file } = samples[0]!;
    for (let length = 0; length < 400; length++) {
      const prefix = file.subarray(0, length);
      if (isPart10(prefix)) expect([undefined, SAMPLE_SOP_CLASSES.CT]).toContain(readPart10(prefix).sopClass);
      else expect(length).toBeLessThan(133);
    }
  });
});
