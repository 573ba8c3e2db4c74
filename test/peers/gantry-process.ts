/** The balancer as its operators run it: `gantry run` on a file, in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Journal, within } from './waiting.ts';

export type LogLine = Readonly<Record<string, unknown>>;

export interface GantryProcess {
  readonly pid: number;
  /** Its log so far, without the lines of single requests and messages, of which there may be millions. */
  readonly log: Journal<LogLine>;
  /** Pending while it lives; then its exit code and what it said on standard error. */
  readonly ended: Promise<{ readonly code: number | null; readonly complaints: string }>;
  signal(signal: NodeJS.Signals): void;
  /** Sends SIGTERM; resolves with the exit code. */
  end(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Memory that it has resident, bytes. */
  memory(): number;
}

/** Milliseconds between two looks at the log. */
const LOOK_MS = 50;

const COUNTLESS = /"msg":"(?:request|message|connection)"/;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const gantry of running) gantry.kill('SIGKILL');
});

/**
 * `gantry run` on a file that is there already; resolves when it is ready. `everyLine` is told each line of the log, also
 * the countless ones. `launcher`: a command that runs the one that follows it, as `ip netns exec NAME` does.
 */
export async function startGantry(
  file: string,
  everyLine: (text: string) => void = () => {},
  launcher: readonly string[] = [],
): Promise<GantryProcess> {
  const program = fileURLToPath(new URL('../../bin/gantry.js', import.meta.url));
  // To a file: a reader that does not keep up would lose lines.
  const output = `${file}.${process.pid}.log`;
  const descriptor = openSync(output, 'a+');
  const [command, ...args] = [...launcher, process.execPath, program, 'run', '-c', file];
  const gantry = spawn(command!, args, {
    stdio: ['ignore', descriptor, 'pipe'],
  });
  running.add(gantry);
  const pid = gantry.pid!;
  const log = new Journal<LogLine>('lines of the log');
  let complaints = '';
  const look = follow(descriptor, (line) => {
    everyLine(line);
    if (!COUNTLESS.test(line)) log.add(JSON.parse(line) as LogLine);
  });
  const timer = setInterval(look, LOOK_MS);
  gantry.stderr!.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  const closed = new Promise<number | null>((resolve) => {
    gantry.on('close', (code) => {
      running.delete(gantry);
      clearInterval(timer);
      look();
      closeSync(descriptor);
      rmSync(output, { force: true });
      resolve(code);
    });
  });
  const kill = async () => {
    gantry.kill('SIGKILL');
    await closed;
  };
  const early = closed.then((code) => {
    throw new Error(`the balancer ended with ${code}:\n${complaints}`);
  });
  early.catch(() => {});
  await Promise.race([log.find(({ msg }) => msg === 'ready'), early]);
  return {
    pid,
    log,
    ended: closed.then((code) => ({ code, complaints })),
    signal: (signal) => void gantry.kill(signal),
    async end() {
      gantry.kill('SIGTERM');
      return within(closed, 'the balancer to end', 100_000);
    },
    kill,
    memory: () => residentMemory(pid),
  };
}

/** Returns what reads on from where the last reading ended, and hands over every whole line. */
function follow(descriptor: number, line: (text: string) => void): () => void {
  const chunk = Buffer.alloc(1024 * 1024);
  let position = 0;
  let rest = '';
  return () => {
    for (;;) {
      const count = readSync(descriptor, chunk, 0, chunk.length, position);
      if (count === 0) return;
      position += count;
      const lines = (rest + chunk.toString('latin1', 0, count)).split('\n');
      rest = lines.pop()!;
      for (const one of lines) line(one);
    }
  };
}

function residentMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
