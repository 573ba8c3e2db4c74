/**
 * Runs a program of this checkout on the pinned Node, with its packages installed.
 *
 *     node scripts/with-packages.js PROGRAM [ARGUMENT]…
 *
 * Plain JavaScript that any Node from 18 on runs, without packages: on a fresh machine nothing else is there yet.
 * Says nothing but one line while it installs, and that on standard error: standard output is the program's own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const packages = join(root, 'node_modules');
const pinnedNode = join(packages, '.bin', 'node');
/** Holds the hash of the package-lock.json that node_modules was made from. */
const stamp = join(packages, '.gantry-lock');

const [target, ...programArguments] = process.argv.slice(2);
if (target === undefined) fail('usage: node scripts/with-packages.js PROGRAM [ARGUMENT]…', 2);

installPackages();
const program = resolve(root, target);
if (newEnough(process.versions.node)) {
  // In this very process, so that signals reach the program itself.
  process.argv = [process.execPath, program, ...programArguments];
  await import(pathToFileURL(program).href);
} else {
  runOnPinnedNode(program);
}

function installPackages() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(pinnedNode) && existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('Installing packages…\n');
  // Not `npm ci`: it also wants the optional packages of every other platform to be there.
  const install = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', install, { cwd: root, stdio: ['ignore', 'ignore', 2] });
  if (error) fail(`npm cannot be run: ${error.message}`, 1);
  if (status !== 0) fail('npm could not install the packages: see above.', 1);
  writeFileSync(stamp, lock);
}

/** What package.json's `engines` asks for. */
function newEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 19);
}

function runOnPinnedNode(file) {
  const child = spawn(pinnedNode, [file, ...programArguments], { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
    process.on(signal, () => {
      // Ctrl-C on a terminal reaches the child by itself: a second one would mean "at once".
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`the pinned Node cannot be run: ${error.message}`, 1));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    // Ends as the program did: by the same signal.
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function fail(message, code) {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}
