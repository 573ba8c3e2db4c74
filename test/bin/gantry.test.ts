import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));

/** Starts the program as a Node of this version would. */
function startAs(version: string) {
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
  const words = ['--import', `data:text/javascript,${encodeURIComponent(pretend)}`, PROGRAM, '--version'];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

it.each(['12.22.12', '20.20.2', '22.18.0'])('on Node %s: one clear sentence, exit 2', (version) => {
  const stderr = `Gantry needs Node 22.19 or newer; this is Node ${version}.\n`;
  expect(startAs(version)).toEqual({ status: 2, stdout: '', stderr });
});

it.each(['22.19.0', '24.0.0'])('on Node %s: starts', (version) => {
  expect(startAs(version)).toEqual({
    status: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    stderr: '',
  });
});
