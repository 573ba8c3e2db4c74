/** quality.md, "2 000 idle associations": what they cost in memory, and in CPU while nothing happens. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { startGantry } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const OURS = 'gantry';
const HAPROXY = 'haproxy';
const LIMIT = 'the figures to reach';
const COUNT = 2000;
const MIB = 2 ** 20;

const HOLDER = new URL('generators/association-holder.ts', import.meta.url).pathname;

async function hold(port: number, relay: Running, seconds: number): Promise<Sample> {
  const holder = spawn(process.execPath, [HOLDER, String(port), String(COUNT)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  const cpu = cpuSeconds(relay.pid);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const sample = {
    memory: residentBytes(relay.pid).now / MIB,
    cpu: ((cpuSeconds(relay.pid) - cpu) / seconds) * 100,
  };
  holder.stdin.end();
  await once(holder, 'exit');
  return sample;
}

export const bench: Bench = {
  title: `${COUNT} idle associations`,
  async run({ rounds, seconds, wants }) {
    const acceptor = await freePort();
    const server = startOurs(new URL('generators/association-acceptor.ts', import.meta.url), [acceptor]);
    await untilListening(acceptor);
    const subjects: Subject[] = [];
    /** A fresh process each round: what earlier associations left behind is another question. */
    const add = (name: string, begin: (port: number) => Promise<Running>) => {
      if (!wants(name)) return;
      const run = async () => {
        const port = await freePort();
        const relay = await begin(port);
        const sample = await hold(port, relay, seconds);
        await relay.stop();
        return sample;
      };
      subjects.push({ name, run });
    };
    add(OURS, (port) => {
      const yaml = `pools: { P: { servers: ["127.0.0.1:${acceptor}"], health: { check: none } } }
vips: { V: { protocol: dicom, listen: ["127.0.0.1:${port}"], pool: P } }\n`;
      return startGantry(yaml, port);
    });
    add(HAPROXY, (port) => startHaproxy({ listen: port, server: acceptor }));
    // Idle associations cost no CPU: all of them together what the clock of a process can show at all.
    subjects.push({ name: LIMIT, run: async () => ({ memory: 300, cpu: 0.5 }) });

    const results = await interleave(subjects, rounds);
    await server.stop();
    await publish({
      name: 'idle',
      title: bench.title,
      results,
      columns: [
        { figure: 'memory', title: 'RSS MiB', decimals: 0 },
        { figure: 'cpu', title: 'CPU % of a core', decimals: 2 },
      ],
      goals: [
        { subject: OURS, rival: LIMIT, figure: 'memory', atMost: 1 },
        { subject: OURS, rival: LIMIT, figure: 'cpu', atMost: 1 },
      ].filter(({ subject }) => results.has(subject)),
    });
  },
};
