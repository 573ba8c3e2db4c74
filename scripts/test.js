/**
 * `npm test`: the peers that tests talk to, types, formatting and linting, then every test.
 *
 *     npm test                        everything
 *     npm test -- test/relay          the tests whose file name contains these words (more options go to vitest)
 *
 * Ends with the line `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPeers } from './peers.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const filters = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'gantry-npm-test-'));

try {
  installPeers();
  const failedChecks = filters.length === 0 ? await runChecks() : [];
  const counts = await runTests();
  for (const name of failedChecks) console.log(`failed: ${name}`);
  for (const [reason, count] of Object.entries(counts.reasons)) console.log(`${count} skipped: ${reason}`);
  const failed = counts.failed + failedChecks.length;
  process.exitCode = failed > 0 ? 1 : 0;
  console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`);
} finally {
  rmSync(scratch, { recursive: true });
}

/** The names of the checks that failed. */
async function runChecks() {
  const checks = [
    { name: 'types (tsc)', program: 'tsc', options: [] },
    {
      name: 'format and lint (biome)',
      program: 'biome',
      options: ['ci', '--colors=off', '--error-on-warnings'],
    },
    { name: 'promises (oxlint)', program: 'oxlint', options: ['--type-aware', '--deny-warnings'] },
  ];
  const failed = [];
  for (const { name, program, options } of checks) {
    const { code, output } = await run(program, options, 'pipe');
    console.log(`${code === 0 ? '✓' : '✗'} ${name}`);
    if (code === 0) continue;
    console.log(output);
    failed.push(name);
  }
  return failed;
}

/** Runs vitest, which shows its progress; the counts come through a file from test-reporter.ts. */
async function runTests() {
  const countsFile = join(scratch, 'counts.json');
  const { code } = await run('vitest', ['run', ...filters], 'inherit', { GANTRY_TEST_COUNTS: countsFile });
  let counts;
  try {
    counts = JSON.parse(readFileSync(countsFile, 'utf8'));
  } catch {
    console.log('vitest ended without counting its tests');
    return { passed: 0, failed: 1, skipped: 0, reasons: {} };
  }
  if (code !== 0 && counts.failed === 0) {
    console.log(`vitest ended with exit code ${code}, though no test failed`);
    counts.failed = 1;
  }
  return counts;
}

/** Runs a program of node_modules/.bin to its end. */
function run(program, options, stdio, environment = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, 'node_modules', '.bin', program), options, {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ['ignore', stdio, stdio],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk) => {
        output += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}
