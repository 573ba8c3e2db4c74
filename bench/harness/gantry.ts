/** Gantry itself as a subject: the whole balancer by its own command line, its log written to a file. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Running, start, untilListening } from './processes.ts';

const PROGRAM = new URL('../../bin/gantry.js', import.meta.url).pathname;

/** Runs the configuration `yaml` (without `version` and `admin`); resolves when `port` listens. */
export async function startGantry(
  yaml: string,
  port: number,
  nodeOptions: readonly string[] = [],
): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
  const file = join(directory, 'gantry.yaml');
  writeFileSync(file, `version: 1\nadmin: off\n${yaml}`);
  const log = openSync(join(directory, 'log'), 'w');
  const args = [...nodeOptions, PROGRAM, 'run', '-c', file];
  const process_ = start(process.execPath, args, {}, log);
  closeSync(log);
  await untilListening(port);
  return {
    pid: process_.pid,
    async stop() {
      await process_.stop();
      rmSync(directory, { recursive: true });
    },
  };
}

/** A TCP VIP before one server, both on 127.0.0.1: clients come back by their address. */
export function startTcpVip(listen: number, server: number): Promise<Running> {
  const yaml = `pools: { P: { servers: ["127.0.0.1:${server}"], health: { check: none } } }
vips:
  V:
    protocol: tcp
    listen: ["127.0.0.1:${listen}"]
    pool: P
    persistence: { by: source-ip }
`;
  return startGantry(yaml, listen);
}
