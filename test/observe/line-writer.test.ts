import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const scriptOf = (program: string) => `import { createLineWriter } from './src/observe/line-writer.ts';
  const writer = createLineWriter(1);
  process.on('exit', () => writer.flushSync(true));
  ${program}`;

/** A program that logs, in a shell line that decides who reads it. */
async function run(program: string, readBy = ''): Promise<{ stdout: string; stderr: string }> {
  const line = `"$NODE" --input-type=module-typescript -e "$SCRIPT" ${readBy}`;
  return promisify(execFile)('bash', ['-o', 'pipefail', '-c', line], {
    env: { ...process.env, NODE: process.execPath, SCRIPT: scriptOf(program) },
    timeout: 30_000,
  });
}

test('what was written right before the exit is there', async () => {
  const { stdout } = await run("writer.write('one\\n'); writer.write('two\\n'); process.exit(0);");
  expect(stdout).toBe('one\ntwo\n');
});

test('a reader that is gone neither ends the process nor keeps it from ending', async () => {
  const { stderr } = await run(
    `for (let n = 0; n < 50; n++) { writer.write('x'.repeat(5000) + '\\n'); await writer.flush(); }
     writer.write('last\\n');
     console.error('still here');
     process.exit(0);`,
    '| head -c 10 >/dev/null',
  );
  expect(stderr).toBe('still here\n');
});

test('lines that are written at once never cut those in two that are under way', async () => {
  const { stdout } = await run(
    `for (let n = 0; n < 400; n++) {
       writer.write(n + 'x'.repeat(2000) + '\\n');
       // The first 256 KiB are more than a pipe holds: they are under way from here on.
       if (n < 200) continue;
       if (n === 200) await new Promise((turn) => setImmediate(turn));
       writer.flushSync();
     }
     await writer.flush();`,
    '| (sleep 0.3; cat)',
  );
  const lines = stdout.split('\n').slice(0, -1);
  expect(lines.map((line) => Number(/^(\d+)x{2000}$/.exec(line)?.[1]))).toEqual(
    Array.from({ length: 400 }, (_, n) => n),
  );
});

test('a reader that is slow gets everything', async () => {
  const { stdout } = await run(
    "for (let n = 0; n < 5000; n++) writer.write(String(n).padStart(99, '.') + '\\n'); await writer.flush();",
    '| (sleep 0.5; wc -l)',
  );
  expect(Number(stdout)).toBe(5000);
});

test('a line that is due while a slow reader holds up the one before comes as soon as it reads', async () => {
  // The first 256 KiB are more than a pipe holds: they are under way until somebody reads. The rest is due after 100 ms.
  const program = scriptOf(`for (let n = 0; n < 300; n++) writer.write('x'.repeat(1000) + '\\n');
    writer.write('late\\n');
    setTimeout(() => console.error('due'), 300);
    setInterval(() => {}, 10_000);`);
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program]);
  try {
    await once(child.stderr, 'data');
    for await (const chunk of child.stdout) if (String(chunk).endsWith('late\n')) return;
    expect.unreachable('it ended');
  } finally {
    child.kill('SIGKILL');
  }
});
