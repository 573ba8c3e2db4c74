/** Commands that the manual names and that are not built yet: they say so. */
import type { Command } from 'commander';
import { usageFailure } from './failure.ts';

const COMMANDS: Readonly<Record<string, string>> = {
  init: 'write a configuration for a vendor system',
  profiles: 'list the vendor systems that init knows',
};

export function addNotBuilt(program: Command): void {
  for (const [name, description] of Object.entries(COMMANDS)) {
    program
      .command(name, { hidden: true })
      .description(`${description} (not built yet)`)
      .allowUnknownOption()
      .argument('[words...]')
      .action(() => {
        throw usageFailure(`the command "${name}" is not built yet`);
      });
  }
}
