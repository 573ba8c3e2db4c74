/** `gantry run` and `reload` with `delivery: store`: a queue's file that cannot be had. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { FIXTURES, type RunningCli, runCli, runHere, startCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-run-queue-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'gantry.yaml');
writeFileSync(join(folder, 'letter'), 'Dear Sir or Madam');

let running: RunningCli | undefined;
afterEach(() => running?.process.kill('SIGKILL'));

const write = (queue: string) =>
  writeFileSync(
    file,
    `
admin: { listen: 127.0.0.1:0 }
pools: { ris: { servers: [127.0.0.1:9] } }
vips: { RIS: { protocol: hl7, listen: 127.0.0.1:0, pool: ris, hl7: { delivery: store, queue: ${queue} } } }
`,
  );

const IN_THE_WAY = `${join(folder, 'letter')} is no queue of Gantry: name another file, or move this one away`;

it('a file that is no queue: the start fails with one sentence that says what to do, exit 1', async () => {
  write('letter');
  const { code, stdout, stderr } = await runCli(['run', '-c', file]);
  expect({ code, stderr }).toEqual({ code: 1, stderr: `gantry: ${IN_THE_WAY} (GTY_QUEUE)\n` });
  expect(stdout).not.toContain('"msg":"ready"');
});

it('a reload that wants one is answered with 422, and nothing was changed', async () => {
  write('ris.queue');
  running = startCli(['run', '-c', file]);
  const { admin } = JSON.parse(await running.line((line) => line.includes('"msg":"ready"')));
  write('letter');
  const answer = await fetch(`http://${admin}/api/v1/reload`, { method: 'POST' });
  expect(answer.status).toBe(422);
  expect(await answer.json()).toMatchObject({ detail: `${IN_THE_WAY}; nothing was changed.`, faults: [] });
  const status = await fetch(`http://${admin}/api/v1/status`);
  expect(await status.json()).toMatchObject({
    vips: [{ name: 'RIS', queue: { file: join(folder, 'ris.queue'), messages: 0 } }],
  });
  const reload = await runHere(['reload', '--admin', `http://${admin}`]);
  expect(reload.stderr).toContain(IN_THE_WAY);
  running.process.kill('SIGTERM');
  expect((await running.ended).code).toBe(0);
});

it('check and vips take such a file', async () => {
  write('ris.queue');
  expect(await runHere(['check', '-c', file])).toEqual({ code: 0, stdout: '', stderr: '' });
  const { stdout } = await runHere(['vips', '-c', file, '--json']);
  expect(JSON.parse(stdout)).toEqual([
    { name: 'RIS', mode: 'proxy', protocol: 'hl7', ports: [0], persistence: 'none', health: 'connect' },
  ]);
  write('/nowhere/ris.queue');
  const { code, stderr } = await runHere(['check', '-c', file]);
  expect(code).toBe(0);
  expect(stderr).toBe(
    `warning: ${file}: vips.RIS.hl7.queue: this user cannot write in the folder /nowhere\n`,
  );
  const faulty = await runHere(['check', '-c', join(FIXTURES, 'invalid', 'hl7-store.yaml')]);
  expect(faulty.code).toBe(2);
});
