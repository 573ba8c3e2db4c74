/** `npm run build`: dist/, for a package that runs where the sources are not. */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
rmSync(join(root, 'dist'), { recursive: true, force: true });
const compiler = join(root, 'node_modules', '.bin', 'tsc');
const { status } = spawnSync(compiler, ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (status === 0) {
  // What the sources read beside themselves.
  for (const file of globSync('src/**/*.{html,css,js,yaml}', { cwd: root })) {
    cpSync(join(root, file), join(root, 'dist', file));
  }
}
process.exitCode = status ?? 1;
