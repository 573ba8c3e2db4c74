/**
 * What a connection costs: opened, a kilobyte each way, released and closed; 32 at once (quality.md, "associate +
 * release"), through a TCP VIP of the whole balancer with persistence, through the bare relay, HAProxy, and direct.
 */
import { startTcpVip } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds } from './harness/process-cost.ts';
import { freePort, measure, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const OURS = 'gantry';
const BARE = 'gantry relay';
const HAPROXY = 'haproxy';
const DIRECT = 'direct';
const PARALLEL = 32;

const CLIENT = new URL('generators/short-client.ts', import.meta.url);
const SERVER = new URL('generators/short-server.ts', import.meta.url);

async function load(port: number, seconds: number, relay: Running | undefined): Promise<Sample> {
  const before = relay ? cpuSeconds(relay.pid) : 0;
  const { connections, seconds: took } = await measure<{ connections: number; seconds: number }>(CLIENT, [
    port,
    seconds,
    PARALLEL,
  ]);
  return {
    rate: connections / took,
    cpu: relay ? ((cpuSeconds(relay.pid) - before) / connections) * 1e6 : 0,
  };
}

export const bench: Bench = {
  title: 'Short connections, 32 at once',
  async run({ rounds, seconds, wants }) {
    const server = await freePort();
    const processes: Running[] = [startOurs(SERVER, [server])];
    await untilListening(server);

    const subjects: Subject[] = [];
    const through = async (name: string, begin: (listen: number) => Running | Promise<Running>) => {
      if (!wants(name)) return;
      const port = await freePort();
      const relay = await begin(port);
      await untilListening(port);
      processes.push(relay);
      subjects.push({ name, run: () => load(port, seconds, relay) });
    };
    const program = new URL('subjects/bare-relay.ts', import.meta.url);
    await through(OURS, (listen) => startTcpVip(listen, server));
    await through(BARE, (listen) => startOurs(program, [listen, server]));
    await through(HAPROXY, (listen) => startHaproxy({ listen, server }));
    if (wants(DIRECT)) subjects.push({ name: DIRECT, run: () => load(server, seconds, undefined) });

    const results = await interleave(subjects, rounds);
    for (const process of processes) await process.stop();
    await publish({
      name: 'connections',
      title: bench.title,
      results,
      columns: [
        { figure: 'rate', title: 'connections/s', decimals: 0 },
        { figure: 'cpu', title: 'CPU µs each', decimals: 0 },
      ],
      goals: [{ subject: OURS, rival: HAPROXY, figure: 'cpu', atMost: 2 }].filter(
        ({ subject, rival }) => results.has(subject) && results.has(rival),
      ),
    });
  },
};
