/** HAProxy as the rival: one thread, everything else as shipped unless a bench says otherwise. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output, type Running, start, untilListening } from './processes.ts';

export interface HaproxyOptions {
  readonly listen: number;
  readonly server: number;
  /** Default: tcp. In http, it tells the server who the client is. */
  readonly mode?: 'tcp' | 'http';
  /** Connections at once. */
  readonly most?: number;
  /** Lines for the `global` section. */
  readonly global?: readonly string[];
}

export async function startHaproxy({ listen, server, ...options }: HaproxyOptions): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'gantry-bench-'));
  const file = join(directory, 'haproxy.cfg');
  await writeFile(file, haproxyConfiguration([[`127.0.0.1:${listen}`, `127.0.0.1:${server}`]], options));
  const process = start('haproxy', ['-db', '-f', file]);
  await untilListening(listen);
  return {
    pid: process.pid,
    async stop() {
      await process.stop();
      await rm(directory, { recursive: true });
    },
  };
}

/** Each pair: where it listens, and the one server behind. */
export function haproxyConfiguration(
  pairs: readonly (readonly [listen: string, server: string])[],
  { mode = 'tcp', most = 4000, global = [] }: Omit<HaproxyOptions, 'listen' | 'server'> = {},
): string {
  const lines = [
    'global',
    '  nbthread 1',
    `  maxconn ${most}`,
    ...global.map((line) => `  ${line}`),
    'defaults',
    `  mode ${mode}`,
    ...(mode === 'http' ? ['  option forwardfor'] : []),
    '  timeout connect 5s',
    '  timeout client 10m',
    '  timeout server 10m',
    ...pairs.flatMap(([listen, server], index) => [
      `frontend in${index}`,
      `  bind ${listen}`,
      `  default_backend out${index}`,
      `backend out${index}`,
      `  server one ${server}`,
    ]),
    '',
  ];
  return lines.join('\n');
}

/** `2.6.12`, or undefined where it is not installed. */
export async function haproxyVersion(): Promise<string | undefined> {
  try {
    return /version (\d+(?:\.\d+)+)/.exec(await output('haproxy', ['-v']))?.[1];
  } catch {
    return undefined;
  }
}
