/** Real programs as peers: started, waited for, ended by their own process id. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { connect, createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { beforeEach, describe } from 'vitest';
import { within } from './waiting.ts';

/** Debian package → a program of it. scripts/test.js installs these. */
const PEER_PACKAGES = {
  dcmtk: 'storescp',
  orthanc: 'Orthanc',
  haproxy: 'haproxy',
  'python3-hl7': 'mllp_send',
  iperf3: 'iperf3',
  tshark: 'tshark',
  'nginx-light': 'nginx',
  wrk: 'wrk',
  'nghttp2-client': 'h2load',
  slowhttptest: 'slowhttptest',
  'testssl.sh': 'testssl',
  chromium: 'chromium',
  'iputils-ping': 'ping',
  curl: 'curl',
  openssl: 'openssl',
  iproute2: 'ip',
  nftables: 'nft',
  conntrack: 'conntrack',
  nftlb: 'nftlb',
  procps: 'sysctl',
} as const;

export type PeerPackage = keyof typeof PEER_PACKAGES;

/** Skips every test of the file (or of the `describe` it is called in) when a package is missing, and names it. */
export function skipWithout(...packages: readonly PeerPackage[]): void {
  const missing = missingOf(packages);
  beforeEach((context) => context.skip(missing.length > 0, `needs the Debian package ${missing.join(', ')}`));
}

/** A `describe` that is skipped, its hooks too, when a package is missing; its name then says so. */
export function describeWith(packages: readonly PeerPackage[], name: string, body: () => void): void {
  const missing = missingOf(packages);
  if (missing.length === 0) describe(name, body);
  else describe.skip(`${name} (needs the Debian package ${missing.join(', ')})`, body);
}

/** Where a program is; undefined when it is not installed. Debian keeps some in /usr/sbin. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isProgram);
}

function missingOf(packages: readonly PeerPackage[]): PeerPackage[] {
  return packages.filter((one) => findProgram(PEER_PACKAGES[one]) === undefined);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RunResult {
  /** Exit code; undefined when a signal ended it. */
  readonly code: number | undefined;
  /** Standard output and standard error, as they came. */
  readonly output: string;
}

export interface PeerProcess {
  readonly pid: number;
  /** Standard output and standard error so far. */
  readonly output: string;
  readonly exited: Promise<RunResult>;
  /** Sends a signal (SIGKILL unless said) to the process and what it forked, and waits until it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  /** Milliseconds after which `runProgram` gives up; 55 s unless said, less than a test has. */
  readonly patience?: number;
}

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) signalAll(child, 'SIGKILL');
});

/** Starts a program. DCMTK's tools get TCP_NODELAY=1: without it each of their answers waits 40 ms. */
export function startProgram(
  name: string,
  args: readonly string[],
  options: ProgramOptions = {},
): PeerProcess {
  const child = spawn(findProgram(name) ?? name, args, {
    cwd: options.cwd,
    env: { ...process.env, TCP_NODELAY: '1', ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // A process group of its own, so that what it forked ends with it.
    detached: true,
  });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  }
  // One that ends before it has read everything says so by its exit.
  child.stdin?.on('error', () => {}).end(options.input);
  const { promise: exited, resolve } = Promise.withResolvers<RunResult>();
  child.on('error', (error) => resolve({ code: 127, output: `${output}${error.message}` }));
  child.on('close', (code) => {
    running.delete(child);
    resolve({ code: code ?? undefined, output });
  });
  return {
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    exited,
    async stop(signal = 'SIGKILL') {
      // Of one that is gone, with all it forked, the id may be another's by now.
      if (running.has(child)) signalAll(child, signal);
      await within(exited, `${name} to end`);
    },
  };
}

function signalAll({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // Gone already.
  }
}

/** Runs a program to its end. */
export async function runProgram(
  name: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<RunResult> {
  const process = startProgram(name, args, options);
  try {
    return await within(process.exited, `${name} to finish`, options.patience ?? 55_000);
  } finally {
    await process.stop();
  }
}

/** Below the ports that systems choose by themselves: nobody is given one of these between here and its use. */
const FIRST_PORT = 20_000;
const BLOCK = 200;
const BLOCKS = 50;
const ports = portsInTurn();

/**
 * A port that nothing uses, for programs that must be told one, and for servers that come back where they were: as long
 * as this process lives no other one that runs tests is given it.
 */
export async function freePort(): Promise<number> {
  return (await ports.next()).value;
}

async function* portsInTurn(): AsyncGenerator<number, never> {
  const blocks: number[] = [];
  for (;;) {
    // When all are taken, those of this process once more.
    const first = (await reserveBlock()) ?? blocks.shift();
    if (first === undefined) throw new Error('other processes have all ports that there are for tests');
    blocks.push(first);
    for (let port = first; port < first + BLOCK; port++) if (await canListen(port)) yield port;
  }
}

/** The first port of a block that no other process has; undefined when there is none left. */
async function reserveBlock(): Promise<number | undefined> {
  for (let tried = 0; tried < BLOCKS; tried++) {
    const first = FIRST_PORT + ((process.pid + tried) % BLOCKS) * BLOCK;
    // A name of Linux's own, without a file: it is free again when its process is gone, however it went.
    const name = `\0gantry-test-ports-${first}`;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const reservation = createServer().once('error', () => resolve(false));
    reservation.listen(name, () => resolve(true)).unref();
    if (await promise) return first;
  }
  return undefined;
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => resolve(true));
  const could = await promise;
  if (could) await new Promise((closed) => server.close(closed));
  return could;
}

/** Resolves when something takes connections on the port; throws with its output when `process` ends before. */
export async function waitForPort(port: number, process: PeerProcess): Promise<void> {
  let over: RunResult | undefined;
  void process.exited.then((result) => {
    over = result;
  });
  const deadline = performance.now() + 30_000;
  while (!(await takesConnections(port))) {
    if (over) throw new Error(`ended with ${over.code} instead of listening on ${port}:\n${over.output}`);
    if (performance.now() > deadline) throw new Error(`nothing listens on ${port}:\n${process.output}`);
    await pause(20);
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  const answer = await promise;
  socket.destroy();
  return answer;
}
