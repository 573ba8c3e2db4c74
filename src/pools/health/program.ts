/**
 * Programs as checks: one is started in a process group of its own, and nothing of it outlives the check. What it
 * writes is capped, and read to be thrown away but for its last line.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Deadlines } from '../../relay/deadlines.ts';
import type { Cancel } from './check.ts';
import { shownText } from './shown-text.ts';

export interface ProgramOptions {
  /** A path, or a name that is looked for in the PATH of `env`. */
  readonly file: string;
  readonly args: readonly string[];
  /** All of its environment: nothing of ours, which may hold secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly timeout: number;
  readonly deadlines: Deadlines;
}

type Ending =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signalled'; readonly signal: string }
  | { readonly kind: 'timed-out' | 'flooded' }
  /** It could not be started. `code`: the system's. */
  | { readonly kind: 'not-started'; readonly code: string };

/** How it ended. `line`: the last line it wrote, short and fit to be shown; empty when there is none. */
export type ProgramEnd = Ending & { readonly line: string };

/** Bytes on both outputs together. */
export const LONGEST_OUTPUT = 65_536;
/** A program that left something behind with its outputs open is waited for this long, in milliseconds. */
const LINGER_MS = 250;

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** Calls `done` once, later. */
export function runProgram(options: ProgramOptions, done: (end: ProgramEnd) => void): Cancel {
  let output: Buffer[] = [];
  let length = 0;
  let ended: Ending | undefined;
  let isOver = false;

  const stop = () => {
    isOver = true;
    deadline.cancel();
    output = [];
    // Once it is reaped, its process id may be somebody else's.
    if (!ended) killGroup(child);
    // What still writes gets SIGPIPE.
    child?.stdout?.destroy();
    child?.stderr?.destroy();
  };
  const finish = (ending: Ending) => {
    if (isOver) return;
    const line = lastLine(Buffer.concat(output));
    stop();
    done({ ...ending, line });
  };
  const deadline = options.deadlines.after(options.timeout, () => finish(ended ?? { kind: 'timed-out' }));

  const child = start(options, (code) => finish({ kind: 'not-started', code }));
  for (const stream of [child?.stdout, child?.stderr]) {
    stream?.on('error', () => {});
    stream?.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > LONGEST_OUTPUT) finish({ kind: 'flooded' });
      else output.push(chunk);
    });
  }
  child?.on('exit', (code, signal) => {
    if (isOver) return;
    killGroup(child);
    ended = signal === null ? { kind: 'exited', code: code ?? 0 } : { kind: 'signalled', signal };
    deadline.restart(LINGER_MS);
  });
  // Both outputs have ended as well.
  child?.on('close', () => {
    if (ended) finish(ended);
  });
  return () => {
    if (!isOver) stop();
  };
}

/** `fail` is called later, with the system's code, when it cannot be started. */
function start({ file, args, env }: ProgramOptions, fail: (code: string) => void): Child | undefined {
  const failed = (error: unknown) => fail((error as NodeJS.ErrnoException).code ?? 'unknown error');
  try {
    const child = spawn(file, args, { env, detached: true, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] });
    child.on('error', failed);
    return child;
  } catch (error) {
    setImmediate(failed, error);
    return undefined;
  }
}

/** It leads a group and a session of its own, as it was started detached. */
function killGroup(child: Child | undefined): void {
  try {
    if (child?.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody is left.
  }
}

function lastLine(output: Buffer): string {
  const lines = output.toString('utf8').split(/[\r\n]+/);
  return shownText(lines.findLast((line) => line.trim() !== '')?.trim() ?? '');
}

export function isSuccess(end: ProgramEnd): boolean {
  return end.kind === 'exited' && end.code === 0;
}

/** How `what` ended, a sentence. */
export function describeEnd(what: string, end: ProgramEnd, timeout: number): string {
  const said = end.line === '' ? '' : `: ${end.line}`;
  switch (end.kind) {
    case 'exited':
      return `${what} exits with ${end.code}${said}`;
    case 'signalled':
      return `${what} was ended by ${end.signal}${said}`;
    case 'timed-out':
      return `${what} was killed after ${timeout} ms${said}`;
    case 'flooded':
      return `${what} was killed: it wrote more than ${LONGEST_OUTPUT / 1024} KiB`;
    case 'not-started':
      return `${what} cannot be run: ${explain(end.code)}`;
  }
}

function explain(code: string): string {
  switch (code) {
    case 'ENOENT':
      return 'it is missing, or the program that its first line names is';
    case 'EACCES':
      return 'it is not executable (chmod +x)';
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files; raise the limit (LimitNOFILE of the service, ulimit -n)';
    default:
      return code;
  }
}

/** Where programs look for programs. */
export function programPath(): string {
  return process.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
}
