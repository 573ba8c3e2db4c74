/** What every bench can be told: `--rounds`, `--seconds`, `--only SUBJECT,…`. */
import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly rounds: number;
  /** How long one round of one subject lasts, where time is what is given. */
  readonly seconds: number;
  /** Does the bench want this subject? */
  readonly wants: (subject: string) => boolean;
}

export interface Bench {
  readonly title: string;
  readonly run: (options: BenchOptions) => Promise<void>;
}

export function readOptions(args: readonly string[]): { names: string[]; options: BenchOptions } {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '4' },
      only: { type: 'string' },
    },
  });
  const only = values.only?.split(',');
  return {
    names: positionals,
    options: {
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
      wants: (subject) => only?.some((name) => subject.includes(name)) ?? true,
    },
  };
}
