/** Programs that are run to their end: no shell, a time limit, output that is capped. */
import { spawn } from 'node:child_process';

export interface Finished {
  /** Exit code; undefined: it could not be started or was ended (`reason` says why). */
  readonly code: number | undefined;
  /** Standard output; empty when it was handed on piece by piece. */
  readonly output: string;
  readonly error: string;
  /** `ENOENT`, `EACCES`, … when it could not be started; `ETIMEDOUT` when it took too long. */
  readonly reason: string | undefined;
}

/**
 * Runs `program` with `input` on its standard input. Never rejects. With `onOutput`, what it prints is handed on as it
 * comes and not kept.
 */
export type RunProgram = (
  program: string,
  args: readonly string[],
  input?: string,
  onOutput?: (text: string) => void,
) => Promise<Finished>;

export interface ProgramsOptions {
  /** Milliseconds until a program is ended; one whose output is handed on has twenty times as many. */
  readonly limit?: number;
  /** What stands before each program, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** More than this is cut off. */
const LARGEST_OUTPUT = 64 * 1024 * 1024;

/** Runs programs as children of this process. */
export function childPrograms({ limit = 30_000, prefix = [], env }: ProgramsOptions = {}): RunProgram {
  return (program, args, input = '', onOutput) => {
    const [file, ...rest] = [...prefix, program, ...args];
    const { promise, resolve } = Promise.withResolvers<Finished>();
    const child = spawn(file!, rest, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    let output = '';
    let error = '';
    let reason: string | undefined;
    const timer = setTimeout(
      () => {
        reason = 'ETIMEDOUT';
        child.kill('SIGKILL');
      },
      onOutput ? 20 * limit : limit,
    );
    const keep = (text: string) => {
      if (output.length < LARGEST_OUTPUT) output += text;
    };
    child.stdout.setEncoding('utf8').on('data', onOutput ?? keep);
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (error.length < LARGEST_OUTPUT) error += text;
    });
    child.on('error', (failure: NodeJS.ErrnoException) => {
      reason ??= failure.code;
      clearTimeout(timer);
      resolve({ code: undefined, output, error: failure.message, reason });
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? undefined, output, error, reason });
    });
    // It may end before it has read everything.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    return promise;
  };
}
