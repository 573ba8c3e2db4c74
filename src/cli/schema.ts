/** `gantry schema`: the JSON Schema of the configuration. */
import type { Command } from 'commander';

export function addSchema(program: Command): void {
  program
    .command('schema')
    .description('print the JSON Schema of the configuration')
    .addHelpText(
      'after',
      `
Example, for an editor that knows YAML:
  gantry schema > gantry.schema.json
  and as the first line of the configuration:
  # yaml-language-server: $schema=gantry.schema.json`,
    )
    .action(async () => {
      const { configurationJsonSchema } = await import('../config/json-schema.ts');
      process.stdout.write(`${JSON.stringify(configurationJsonSchema(), null, 2)}\n`);
    });
}
