/** `npm run -s gantry --` and its like: what reaches the program, and what comes back. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFolder, type TestFolder } from '../peers/dicom-files.ts';
import { runProgram, startProgram } from '../peers/processes.ts';
import { within } from '../peers/waiting.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const npm = (...args: readonly string[]) => ['run', '-s', 'gantry', '--', ...args];

const CONFIGURATION = `version: 1
admin: off
pools: { p: { servers: [127.0.0.1:9], health: { check: none } } }
vips: { V: { protocol: dicom, listen: "127.0.0.1:0", pool: p } }
`;

let folder: TestFolder;
beforeEach(() => {
  folder = createFolder();
});
afterEach(() => folder.remove());

function write(name: string, content: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, content);
  return path;
}

test('the program runs on the pinned Node with its own arguments, and its exit code is the exit code', async () => {
  const program = write('p.mjs', 'console.log(process.version, ...process.argv.slice(2)); process.exit(7);');
  const { code, output } = await runProgram(
    process.execPath,
    ['scripts/with-packages.js', program, 'a', '-b'],
    {
      cwd: root,
    },
  );
  expect({ code, output }).toEqual({ code: 7, output: `${process.version} a -b\n` });
});

test('check prints nothing for a good file, and each fault of a bad one, through npm', async () => {
  const good = write('good.yaml', CONFIGURATION);
  const bad = write('bad.yaml', 'version: 1\npool: 1\npools: {}\nvips: {}\n');
  // Without a configuration of the machine's own, about which npm might have something to say.
  const options = { cwd: root, env: { NPM_CONFIG_USERCONFIG: '/dev/null', NPM_CONFIG_LOGLEVEL: 'silent' } };
  expect(await runProgram('npm', npm('check', '-c', good), options)).toEqual({ code: 0, output: '' });
  const judged = await runProgram('npm', npm('check', '-c', bad), options);
  expect(judged.code).toBe(2);
  expect(judged.output).toMatch(new RegExp(`^${bad}:2:1: `));
});

test('a signal to npm reaches the program', async () => {
  const file = write('run.yaml', CONFIGURATION);
  const run = startProgram('npm', npm('run', '-c', file), { cwd: root });
  try {
    await waitForOutput(run, '"msg":"ready"');
    process.kill(run.pid, 'SIGTERM');
    expect((await within(run.exited, 'its end')).code).toBe(0);
    expect(run.output).toContain('"msg":"stopped"');
  } finally {
    await run.stop();
  }
});

async function waitForOutput(run: ReturnType<typeof startProgram>, text: string): Promise<void> {
  let over = false;
  void run.exited.then(() => {
    over = true;
  });
  while (!run.output.includes(text)) {
    if (over) throw new Error(run.output);
    await new Promise((next) => setTimeout(next, 20));
  }
}
