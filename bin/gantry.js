#!/usr/bin/env node
// Starts Gantry's command line. Plain JavaScript that an old Node reads too, so that it can say what it needs.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 22 || (major === 22 && minor < 19)) {
  console.error(`Gantry needs Node 22.19 or newer; this is Node ${process.versions.node}.`);
  process.exitCode = 2;
} else {
  void import('../src/cli/main.ts')
    .catch((error) => {
      // A checkout runs its sources; an installed package has only what was built from them.
      const isInstalled = error.code === 'ERR_MODULE_NOT_FOUND' && /\/src\/cli\/main\.ts$/.test(error.url);
      if (!isInstalled) throw error;
      return import('../dist/src/cli/main.js');
    })
    .then((cli) => cli.main(process.argv.slice(2)));
}
