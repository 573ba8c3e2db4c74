/** Programs that are run to their end: no shell, a time limit, output that is capped. */
import { execFile } from 'node:child_process';

export interface Finished {
  /** Exit code; undefined: it could not be started (`error` says why) or was ended by a signal. */
  readonly code: number | undefined;
  readonly output: string;
  readonly error: string;
  /** `ENOENT`, `EACCES`, … when it could not be started; `ETIMEDOUT` when it took too long. */
  readonly reason: string | undefined;
}

/** Runs `program` with `input` on its standard input. Never rejects. */
export type RunProgram = (program: string, args: readonly string[], input?: string) => Promise<Finished>;

/** A dump of a full flow map is about 40 MB of JSON. */
const LARGEST_OUTPUT = 256 * 1024 * 1024;

export interface ProgramsOptions {
  /** Milliseconds until a program is ended. */
  readonly limit?: number;
  /** What stands before each program, as `ip netns exec NAME`. */
  readonly prefix?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs programs as children of this process. */
export function childPrograms({ limit = 30_000, prefix = [], env }: ProgramsOptions = {}): RunProgram {
  return (program, args, input) => {
    const [file, ...rest] = [...prefix, program, ...args];
    const options = { timeout: limit, maxBuffer: LARGEST_OUTPUT, killSignal: 'SIGKILL' as const, env };
    const { promise, resolve } = Promise.withResolvers<Finished>();
    const child = execFile(file!, rest, options, (failure, output, error) => {
      const code = failure ? failure.code : 0;
      const reason = failure?.killed ? 'ETIMEDOUT' : typeof code === 'string' ? code : undefined;
      resolve({ code: typeof code === 'number' ? code : undefined, output, error, reason });
    });
    // It may end before it has read everything.
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
    return promise;
  };
}
