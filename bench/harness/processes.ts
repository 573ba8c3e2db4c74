/** Processes of a bench: started, waited for until they listen, ended by their id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

export interface Running {
  readonly pid: number;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program; its output is dropped, or goes to the open file `stdout`, and is shown when it fails. */
export function start(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
  stdout: number | 'ignore' = 'ignore',
): Running {
  const child = spawn(command, args, {
    stdio: ['ignore', stdout, 'pipe'],
    env: { ...process.env, ...env },
  });
  let complaint = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2000);
  });
  let wanted = true;
  running.add(child);
  const exited = once(child, 'exit').then(([code]) => {
    running.delete(child);
    if (wanted) throw new Error(`${command} ended (${code}): ${complaint}`);
  });
  exited.catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
  return {
    pid: child.pid!,
    async stop() {
      wanted = false;
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Starts one of our own programs (a .ts file of bench/) with this Node. */
export function startOurs(
  file: URL,
  args: readonly (string | number)[],
  env: Record<string, string> = {},
): Running {
  return start(process.execPath, [file.pathname, ...args.map(String)], env);
}

/** Runs a program to its end and returns what it printed. */
export async function output(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let printed = '';
  let complaint = '';
  child.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ended (${code}): ${complaint || printed}`);
  return printed;
}

/** A generator of ours, run to its end: the JSON object it prints. */
export async function measure<T>(file: URL, args: readonly (string | number)[]): Promise<T> {
  return JSON.parse(await output(process.execPath, [file.pathname, ...args.map(String)])) as T;
}

/** A port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when something listens on `port`. */
export async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const socket = connect(port, '127.0.0.1');
    const listening = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (listening) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on port ${port}`);
}
