/** Runs the command line: as its users do, in a process of its own, or, for many short ones, in the test's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { runCommand } from '../../src/cli/main.ts';

const PROGRAM = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));
export const FIXTURES = fileURLToPath(new URL('../../fixtures/config/', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly process: ChildProcess;
  /** Resolves when standard output has a line that `wanted` takes; rejects when the process ended before. */
  line(wanted: (line: string) => boolean): Promise<string>;
  readonly ended: Promise<CliResult>;
}

export function startCli(words: readonly string[], environment: Record<string, string> = {}): RunningCli {
  const child = spawn(process.execPath, [PROGRAM, ...words], {
    env: { ...process.env, NO_COLOR: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  let look = (): void => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<CliResult>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return {
    process: child,
    ended,
    line: (wanted) =>
      new Promise((resolve, reject) => {
        look = () => {
          const found = stdout.split('\n').slice(0, -1).find(wanted);
          if (found !== undefined) resolve(found);
        };
        look();
        void ended.then(() => reject(new Error(`ended before that line: ${stdout}${stderr}`)));
      }),
  };
}

/** In a process of its own. */
export function runCli(
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<CliResult> {
  return startCli(words, environment).ended;
}

/** In the test's own process: the same, sooner. For commands that end by themselves. */
export async function runHere(words: readonly string[]): Promise<CliResult> {
  let [stdout, stderr] = ['', ''];
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += String(text);
      return true;
    }),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += String(text);
      return true;
    }),
  ];
  try {
    const code = await runCommand(words);
    return { code, stdout, stderr };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}
