/**
 * quality.md, "bulk relay" inside an association, and "a 2 GiB instance": one endless C-STORE through the whole balancer,
 * through HAProxy, and direct; in PDUs of 16 KiB, which most toolkits send, and of 128 KiB.
 */
import { startGantry } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, measure, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const PDU_KIBIBYTES = [16, 128];
const SOURCE = new URL('generators/p-data-source.ts', import.meta.url);
const SINK = new URL('generators/p-data-sink.ts', import.meta.url);

async function store(
  port: number,
  seconds: number,
  kibibytes: number,
  relay: Running | undefined,
): Promise<Sample> {
  const cpu = relay ? cpuSeconds(relay.pid) : 0;
  const memory = relay ? residentBytes(relay.pid).now : 0;
  const { bytes, seconds: took } = await measure<{ bytes: number; seconds: number }>(SOURCE, [
    port,
    seconds,
    kibibytes * 1024,
  ]);
  const gigabytes = bytes / 1e9;
  return {
    throughput: gigabytes / took,
    cpu: relay ? (cpuSeconds(relay.pid) - cpu) / gigabytes : 0,
    growth: relay ? (residentBytes(relay.pid).now - memory) / 2 ** 20 : 0,
    gibibytes: bytes / 2 ** 30,
  };
}

export const bench: Bench = {
  title: 'One instance without end on one association',
  async run({ rounds, seconds, wants }) {
    const sink = await freePort();
    const processes: Running[] = [startOurs(SINK, [sink])];
    await untilListening(sink);

    const subjects: Subject[] = [];
    const add = (name: string, port: number, relay: Running | undefined) => {
      for (const size of PDU_KIBIBYTES) {
        const full = `${name}, PDUs of ${size} KiB`;
        if (wants(full)) subjects.push({ name: full, run: () => store(port, seconds, size, relay) });
      }
    };
    const gantryPort = await freePort();
    const gantry = await startGantry(
      `pools: { P: { servers: ["127.0.0.1:${sink}"], health: { check: none } } }
vips: { V: { protocol: dicom, listen: ["127.0.0.1:${gantryPort}"], pool: P } }\n`,
      gantryPort,
    );
    processes.push(gantry);
    add('gantry', gantryPort, gantry);
    const haproxyPort = await freePort();
    const haproxy = await startHaproxy({ listen: haproxyPort, server: sink });
    processes.push(haproxy);
    add('haproxy', haproxyPort, haproxy);
    add('direct', sink, undefined);

    const results = await interleave(subjects, rounds);
    for (const process of processes.reverse()) await process.stop();
    await publish({
      name: 'association',
      title: bench.title,
      results,
      columns: [
        { figure: 'throughput', title: 'GB/s', decimals: 2 },
        { figure: 'cpu', title: 'CPU s/GB', decimals: 3 },
        { figure: 'growth', title: 'RSS growth MiB', decimals: 1 },
        { figure: 'gibibytes', title: 'GiB', decimals: 1 },
      ],
      goals: PDU_KIBIBYTES.flatMap((size) => {
        const subject = `gantry, PDUs of ${size} KiB`;
        const rival = `haproxy, PDUs of ${size} KiB`;
        return [
          { subject, rival, figure: 'throughput', atLeast: 1.4 },
          { subject, rival, figure: 'cpu', atMost: 0.7 },
        ];
      }).filter(({ subject, rival }) => results.has(subject) && results.has(rival)),
    });
  },
};
