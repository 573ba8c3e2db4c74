/** DCMTK's programs as peers: an implementation that nobody of this project wrote. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  freePort,
  type PeerProcess,
  type RunResult,
  runProgram,
  startProgram,
  waitForPort,
} from './processes.ts';
import type { Address } from './test-connection.ts';

export interface DcmtkServer {
  readonly address: Address;
  /** `host:port`, as configurations want it. */
  readonly endpoint: string;
  /** Where it stores. */
  readonly folder: string;
  readonly process: PeerProcess;
  /** Names of the files it stored so far. */
  files(): string[];
  /** Kills it (-9). */
  stop(): Promise<void>;
  /** Starts it again, on the same port. */
  restart(): Promise<void>;
}

export interface StorescpOptions {
  readonly ae?: string;
  /** More options, such as `--refuse`. */
  readonly args?: readonly string[];
  /** One process for all associations, one after another: what storescp does without `--fork`. */
  readonly single?: boolean;
  /** Instead of one of the system's choosing. */
  readonly port?: number;
}

/** storescp on a port of the system's choosing; files are written bit for bit as received. */
export async function startStorescp(folder: string, options: StorescpOptions = {}): Promise<DcmtkServer> {
  mkdirSync(folder, { recursive: true });
  const port = options.port ?? (await freePort());
  const args = ['-q', '+B', '-od', folder, '-aet', options.ae ?? 'STORESCP'];
  if (!options.single) args.push('--fork');
  return startServer('storescp', [...args, ...(options.args ?? []), String(port)], port, folder);
}

export interface DcmqrscpOptions {
  /** AE titles it serves, each with a folder of its own below `folder`. */
  readonly aes?: readonly string[];
  /** Move destinations. */
  readonly destinations?: Readonly<Record<string, Address>>;
  readonly maxAssociations?: number;
}

/** dcmqrscp: stores, finds, moves and gets. */
export async function startDcmqrscp(folder: string, options: DcmqrscpOptions = {}): Promise<DcmtkServer> {
  const port = await freePort();
  const { aes = ['ARCHIVE'], destinations = {}, maxAssociations = 16 } = options;
  const hosts = Object.entries(destinations).map(
    ([ae, { host, port: to }]) => `${ae.toLowerCase()} = (${ae}, ${host}, ${to})`,
  );
  const storage = aes.map((ae) => {
    mkdirSync(join(folder, ae), { recursive: true });
    return `${ae} ${join(folder, ae)} RW (200, 1024mb) ANY`;
  });
  const configuration = join(folder, 'dcmqrscp.cfg');
  writeFileSync(
    configuration,
    [
      `NetworkTCPPort = ${port}`,
      'MaxPDUSize = 16384',
      `MaxAssociations = ${maxAssociations}`,
      'HostTable BEGIN',
      ...hosts,
      'HostTable END',
      'VendorTable BEGIN',
      'VendorTable END',
      'AETable BEGIN',
      ...storage,
      'AETable END',
      '',
    ].join('\n'),
  );
  return startServer('dcmqrscp', ['-q', '-c', configuration], port, join(folder, aes[0]!));
}

async function startServer(
  name: string,
  args: readonly string[],
  port: number,
  folder: string,
): Promise<DcmtkServer> {
  let process = startProgram(name, args);
  await waitForPort(port, process);
  return {
    address: { host: '127.0.0.1', port },
    endpoint: `127.0.0.1:${port}`,
    folder,
    get process() {
      return process;
    },
    files: () => readdirSync(folder).filter((file) => file !== 'index.dat'),
    stop: () => process.stop(),
    async restart() {
      process = startProgram(name, args);
      await waitForPort(port, process);
    },
  };
}

export interface ClientOptions {
  readonly called?: string;
  readonly calling?: string;
  /** More options, before the address. */
  readonly args?: readonly string[];
}

/** What the tools are run with. */
function wordsOf(to: Address, options: ClientOptions, rest: readonly string[]): string[] {
  const { called = 'ANY-SCP', calling = 'TESTSCU', args = [] } = options;
  return ['-aec', called, '-aet', calling, ...args, to.host, String(to.port), ...rest];
}

function client(
  name: string,
  to: Address,
  options: ClientOptions,
  rest: readonly string[],
): Promise<RunResult> {
  return runProgram(name, wordsOf(to, options, rest));
}

export function echoscu(to: Address, options: ClientOptions = {}): Promise<RunResult> {
  return client('echoscu', to, options, []);
}

/** `-R` (only the SOP classes of the files are proposed) unless `args` says otherwise. */
export function storescu(
  to: Address,
  files: readonly string[],
  options: ClientOptions = {},
): Promise<RunResult> {
  return client('storescu', to, { args: ['-R'], ...options }, files);
}

/** The same, and does not wait for its end: for what happens in the middle of it. */
export function startStorescu(
  to: Address,
  files: readonly string[],
  options: ClientOptions = {},
): PeerProcess {
  return startProgram('storescu', wordsOf(to, { args: ['-R'], ...options }, files));
}

/** Does `work` while the process stands still: whatever it does, it is in the middle of it all that time. */
export async function whileStopped<T>({ pid }: PeerProcess, work: () => Promise<T>): Promise<T> {
  process.kill(-pid, 'SIGSTOP');
  try {
    return await work();
  } finally {
    process.kill(-pid, 'SIGCONT');
  }
}

export function dcmsend(
  to: Address,
  files: readonly string[],
  options: ClientOptions = {},
): Promise<RunResult> {
  return client('dcmsend', to, options, files);
}

/** `keys`: `StudyInstanceUID=1.2.3`; an answer a data set in `output` with `args: ['-v']`. */
export function findscu(
  to: Address,
  keys: readonly string[],
  options: ClientOptions = {},
): Promise<RunResult> {
  return client('findscu', to, { ...options, args: ['-S', ...keysOf(keys), ...(options.args ?? [])] }, []);
}

/** C-MOVE of studies to the AE `destination`. */
export function movescu(
  to: Address,
  destination: string,
  keys: readonly string[],
  options: ClientOptions = {},
): Promise<RunResult> {
  const args = ['-S', '-aem', destination, ...keysOf(keys), ...(options.args ?? [])];
  return client('movescu', to, { ...options, args }, []);
}

/** C-GET of studies into `folder`. */
export function getscu(
  to: Address,
  folder: string,
  keys: readonly string[],
  options: ClientOptions = {},
): Promise<RunResult> {
  mkdirSync(folder, { recursive: true });
  const args = ['-S', '+B', '-od', folder, ...keysOf(keys), ...(options.args ?? [])];
  return client('getscu', to, { ...options, args }, []);
}

/** A file as text, for comparisons that a person can read. */
export async function dcmdump(file: string): Promise<string> {
  return (await runProgram('dcmdump', ['-q', file])).output;
}

function keysOf(keys: readonly string[]): string[] {
  return ['QueryRetrieveLevel=STUDY', ...keys].flatMap((key) => ['-k', key]);
}
