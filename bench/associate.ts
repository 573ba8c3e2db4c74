/**
 * quality.md, "associate + release with rules, persistence and log line" (32 at a time: CPU against HAProxy) and "added
 * latency request → accept against direct" (one at a time).
 */
import { startGantry } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, measure, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const OURS = 'gantry';
const HAPROXY = 'haproxy';
const DIRECT = 'direct';

const PARALLEL = 32;
const COUNT = 10_000;
const COUNT_ALONE = 2000;

const REQUESTOR = new URL('generators/association-requestor.ts', import.meta.url);

interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

async function round(port: number, relay: Running | undefined): Promise<Sample> {
  const cpu = relay ? cpuSeconds(relay.pid) : 0;
  const { perSecond } = await measure<Measured>(REQUESTOR, [port, PARALLEL, COUNT]);
  const spent = relay ? cpuSeconds(relay.pid) - cpu : 0;
  const alone = await measure<Measured>(REQUESTOR, [port, 1, COUNT_ALONE]);
  return {
    perSecond,
    cpu: (spent / COUNT) * 1e6,
    p50: alone.p50,
    p99: alone.p99,
    memory: relay ? residentBytes(relay.pid).now / 2 ** 20 : 0,
  };
}

function configuration(listen: number, server: number): string {
  return `pools: { P: { servers: ["127.0.0.1:${server}"], health: { check: none } } }
vips:
  V:
    protocol: dicom
    listen: ["127.0.0.1:${listen}"]
    routes:
      - { when: { called: "STAT*" }, pool: P, urgent: true }
      - { when: { modality: [US, XA] }, pool: P }
      - { when: { calling: "/^ER_/", client: 10.1.0.0/16 }, pool: P }
      - { when: { modality: [CT, MR] }, pool: P }
    persistence: { by: calling }
`;
}

export const bench: Bench = {
  title: `Associate and release: ${PARALLEL} at a time for rate and CPU, one at a time for latency`,
  async run({ rounds, wants }) {
    const acceptor = await freePort();
    const processes: Running[] = [
      startOurs(new URL('generators/association-acceptor.ts', import.meta.url), [acceptor]),
    ];
    await untilListening(acceptor);
    const subjects: Subject[] = [];
    if (wants(OURS)) {
      const port = await freePort();
      const gantry = await startGantry(configuration(port, acceptor), port);
      processes.push(gantry);
      subjects.push({ name: OURS, run: () => round(port, gantry) });
    }
    if (wants(HAPROXY)) {
      const port = await freePort();
      const haproxy = await startHaproxy({ listen: port, server: acceptor });
      processes.push(haproxy);
      subjects.push({ name: HAPROXY, run: () => round(port, haproxy) });
    }
    if (wants(DIRECT)) subjects.push({ name: DIRECT, run: () => round(acceptor, undefined) });

    const results = await interleave(subjects, rounds);
    for (const process of processes.reverse()) await process.stop();
    await publish({
      name: 'associate',
      title: bench.title,
      results,
      columns: [
        { figure: 'perSecond', title: 'associations/s', decimals: 0 },
        { figure: 'cpu', title: 'CPU µs', decimals: 0 },
        { figure: 'p50', title: 'RQ→AC p50 ms', decimals: 3 },
        { figure: 'p99', title: 'RQ→AC p99 ms', decimals: 3 },
        { figure: 'memory', title: 'RSS MiB', decimals: 0 },
      ],
      goals: [
        { subject: OURS, rival: HAPROXY, figure: 'cpu', atMost: 3 },
        { subject: OURS, rival: HAPROXY, figure: 'cpu', atMost: 2 },
        { subject: OURS, rival: DIRECT, figure: 'p50', addsAtMost: 0.5 },
        { subject: OURS, rival: DIRECT, figure: 'p99', addsAtMost: 5 },
      ].filter(({ subject, rival }) => results.has(subject) && results.has(rival)),
    });
  },
};
