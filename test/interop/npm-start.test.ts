/** The first thing a newcomer does, from a clean clone and on the ports of the contract. */
import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import { createFolder } from '../peers/dicom-files.ts';
import { describeWith, runProgram, startProgram } from '../peers/processes.ts';

const ROOT = dirname(dirname(import.meta.dirname));
/** As a shell has it, without what npm and this checkout put in front. */
const PATH = (process.env.PATH ?? '')
  .split(':')
  .filter((folder) => !folder.includes('node_modules'))
  .join(':');

/** Runs one of the printed commands. */
async function tried(printed: string, program: string) {
  const line = printed.split('\n').find((one) => one.trimStart().startsWith(`${program} `));
  const [name, ...args] = line!.trim().split(/\s+/);
  return runProgram(name!, args);
}

describeWith(['dcmtk', 'python3-hl7'], 'from a clean clone', () => {
  test('npm start is ready; storescu -R -aec DEMO 127.0.0.1 11112 stores through it; mllp_send to 2310 gets its acknowledgement', {
    timeout: 180_000,
  }, async ({ skip }) => {
    using folder = createFolder();
    const clone = await runProgram('git', ['clone', '--quiet', ROOT, folder.path]);
    skip(clone.code !== 0, 'these sources are no git checkout');
    const surroundings = ['-i', `PATH=${PATH}`, `HOME=${process.env.HOME ?? folder.path}`];
    const demo = startProgram('env', [...surroundings, 'npm', 'start'], { cwd: folder.path });
    let isOver = false;
    void demo.exited.then(() => {
      isOver = true;
    });
    try {
      await expect
        .poll(() => isOver || demo.output.includes('Gantry is ready'), { timeout: 150_000, interval: 200 })
        .toBe(true);
      expect(isOver, demo.output).toBe(false);

      const stored = await tried(demo.output, 'storescu');
      expect(stored).toMatchObject({ code: 0 });
      await expect
        .poll(() => demo.output, { timeout: 20_000 })
        .toMatch(/STORESCU → DEMO .* C-STORE 3 × 0000 · release/);

      const sent = await tried(demo.output, 'mllp_send');
      expect(sent.code).toBe(0);
      expect(sent.output.match(/MSA\|AA\|/g)).toHaveLength(3);
      expect(demo.output).toContain('storescu -R -aec DEMO 127.0.0.1 11112 ');
      expect(demo.output).toContain('mllp_send --loose -p 2310 ');
    } finally {
      await demo.stop('SIGTERM');
    }
  });
});
