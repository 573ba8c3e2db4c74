/** The configuration that a command was given with `-c FILE`. */
import { type Fault, formatFault } from '../config/fault.ts';
import type { Loaded } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { Failure } from './failure.ts';

/** Loads `file`; `warnings` of the file go to standard error. */
export async function loadFile(file: string): Promise<Loaded> {
  const { loadConfiguration } = await import('../config/load.ts');
  const loaded = loadConfiguration(file);
  for (const warning of loaded.warnings) process.stderr.write(`warning: ${formatFault(warning)}\n`);
  return loaded;
}

/** Loads `file`, or ends the command with every fault on standard error. */
export async function needConfiguration(file: string): Promise<Configuration> {
  const loaded = await loadFile(file);
  if (loaded.configuration) return loaded.configuration;
  process.stderr.write(faultLines(loaded.faults));
  throw new Failure('', 2);
}

export function faultLines(faults: readonly Fault[]): string {
  return faults.map((fault) => `${formatFault(fault)}\n`).join('');
}
