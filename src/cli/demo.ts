/** `gantry demo`: what `npm start` runs. */
import type { Command } from 'commander';

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('run a balancer in front of embedded servers, to try it out')
    .action(async () => {
      const { runDemo } = await import('../demo/demo.ts');
      await runDemo();
    });
}
