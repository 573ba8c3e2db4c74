/**
 * quality.md, "bulk relay": one TCP stream by iperf3, through a TCP VIP of the whole balancer, through the bare relay,
 * through HAProxy, and direct.
 */
import { startTcpVip } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import { iperf } from './harness/iperf.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, output, type Running, start, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const OURS = 'gantry';
const BARE = 'gantry relay';
const COPYING = 'gantry relay, copying';
const SHIPPED = 'haproxy as shipped';
const LARGE = 'haproxy, 256 KiB buffers';
const DIRECT = 'direct';

/** One stream for so many seconds; the cost is the relay's own, undefined when there is none. */
async function stream(port: number, seconds: number, relay: Running | undefined): Promise<Sample> {
  const before = relay ? cpuSeconds(relay.pid) : 0;
  const { bytes, seconds: took } = await iperf({ host: '127.0.0.1', port, seconds }, (args) =>
    output('iperf3', args),
  );
  const gigabytes = bytes / 1e9;
  return {
    throughput: gigabytes / took,
    cpu: relay ? (cpuSeconds(relay.pid) - before) / gigabytes : 0,
    memory: relay ? residentBytes(relay.pid).now / 2 ** 20 : 0,
  };
}

export const bench: Bench = {
  title: 'Bulk relay: one TCP stream',
  async run({ rounds, seconds, wants }) {
    const sink = await freePort();
    const processes: Running[] = [start('iperf3', ['-s', '-p', String(sink)])];
    await untilListening(sink);

    const subjects: Subject[] = [];
    const through = async (name: string, begin: (listen: number) => Running | Promise<Running>) => {
      if (!wants(name)) return;
      const port = await freePort();
      const relay = await begin(port);
      await untilListening(port);
      processes.push(relay);
      subjects.push({ name, run: () => stream(port, seconds, relay) });
    };
    const program = new URL('subjects/bare-relay.ts', import.meta.url);
    await through(OURS, (listen) => startTcpVip(listen, sink));
    await through(BARE, (listen) => startOurs(program, [listen, sink]));
    await through(COPYING, (listen) => startOurs(program, [listen, sink, 'copying']));
    await through(SHIPPED, (listen) => startHaproxy({ listen, server: sink }));
    await through(LARGE, (listen) =>
      startHaproxy({ listen, server: sink, global: ['tune.bufsize 262144', 'tune.maxrewrite 1024'] }),
    );
    if (wants(DIRECT)) subjects.push({ name: DIRECT, run: () => stream(sink, seconds, undefined) });

    const results = await interleave(subjects, rounds);
    for (const process of processes) await process.stop();
    await publish({
      name: 'relay',
      title: bench.title,
      results,
      columns: [
        { figure: 'throughput', title: 'GB/s', decimals: 2 },
        { figure: 'cpu', title: 'CPU s/GB', decimals: 3 },
        { figure: 'memory', title: 'RSS MiB', decimals: 0 },
      ],
      goals: [
        { subject: OURS, rival: SHIPPED, figure: 'throughput', atLeast: 1.4 },
        { subject: OURS, rival: SHIPPED, figure: 'cpu', atMost: 0.7 },
        { subject: OURS, rival: LARGE, figure: 'throughput', atLeast: 1.0 },
        { subject: OURS, rival: LARGE, figure: 'cpu', atMost: 1.0 },
      ].filter(({ subject, rival }) => results.has(subject) && results.has(rival)),
    });
  },
};
