/** 10 000 idle connections, TCP and WebSocket: what each costs in memory, and all of them in CPU while nothing happens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { startGantry } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const WANTED = 10_000;
/** Descriptors that a process has besides those of its connections, with some to spare. */
const OTHER_DESCRIPTORS = 200;
const KIB = 1024;

const ACCEPTOR = new URL('generators/connection-acceptor.ts', import.meta.url);
const HOLDER = new URL('generators/connection-holder.ts', import.meta.url).pathname;

/** A connection needs two descriptors in between, and systems may allow fewer than that. */
function possible(): number {
  const limit = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
  return Math.min(WANTED, Math.floor((Number(limit ?? Infinity) - OTHER_DESCRIPTORS) / 2));
}

async function hold(
  port: number,
  kind: string,
  count: number,
  relay: Running,
  seconds: number,
): Promise<Sample> {
  const before = residentBytes(relay.pid).now;
  const holder = spawn(process.execPath, [HOLDER, String(port), String(count), kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const cpu = cpuSeconds(relay.pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = residentBytes(relay.pid).now;
  const sample = {
    connections: count,
    memory: (after - before) / count / KIB,
    total: after / KIB / KIB,
    cpu: ((cpuSeconds(relay.pid) - cpu) / seconds) * 100,
  };
  holder.stdin.end();
  await once(holder, 'exit');
  return sample;
}

export const bench: Bench = {
  title: `${WANTED} idle connections`,
  async run({ rounds, seconds, wants }) {
    const count = possible();
    const subjects: Subject[] = [];
    /** Fresh processes each round: what earlier connections left behind is another question. */
    const add = (name: string, kind: string, begin: (port: number, server: number) => Promise<Running>) => {
      if (!wants(name)) return;
      const run = async () => {
        const acceptor = await freePort();
        const server = startOurs(ACCEPTOR, [acceptor]);
        await untilListening(acceptor);
        const port = await freePort();
        const relay = await begin(port, acceptor);
        const sample = await hold(port, kind, count, relay, seconds);
        await relay.stop();
        await server.stop();
        return sample;
      };
      subjects.push({ name, run });
    };
    const gantry = (protocol: string) => (port: number, server: number) =>
      startGantry(
        `pools: { P: { servers: ["127.0.0.1:${server}"], health: { check: none } } }
vips: { V: { protocol: ${protocol}, listen: ["127.0.0.1:${port}"], pool: P } }\n`,
        port,
      );
    add('gantry websocket', 'websocket', gantry('http'));
    add('gantry tcp', 'tcp', gantry('tcp'));
    add('haproxy tcp', 'tcp', (port, server) => startHaproxy({ listen: port, server, most: count + 50 }));

    const results = await interleave(subjects, rounds);
    await publish({
      name: 'idle-connections',
      title: bench.title,
      results,
      columns: [
        { figure: 'connections', title: 'connections', decimals: 0 },
        { figure: 'memory', title: 'KiB each', decimals: 1 },
        { figure: 'total', title: 'RSS MiB', decimals: 0 },
        { figure: 'cpu', title: 'CPU % of a core', decimals: 2 },
      ],
      goals: [],
    });
  },
};
