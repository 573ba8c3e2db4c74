/** quality.md, "HL7 relay, per message, ordered by patient, 1 KB, 32 senders, against HAProxy's blind pipe". */
import { startGantry } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, measure, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const OURS = 'gantry';
const AS_SHIPPED = 'gantry, 8 connections';
const HAPROXY = 'haproxy';
const DIRECT = 'direct';

const SENDERS = 32;
const LENGTH = 1024;

const SENDER = new URL('generators/hl7-senders.ts', import.meta.url);

interface Measured {
  readonly messages: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly wrong: number;
}

async function round(port: number, relay: Running | undefined, seconds: number): Promise<Sample> {
  const cpu = relay ? cpuSeconds(relay.pid) : 0;
  const { messages, perSecond, p50, p99, wrong } = await measure<Measured>(SENDER, [
    port,
    SENDERS,
    LENGTH,
    seconds,
    'original',
  ]);
  if (wrong > 0) throw new Error(`${wrong} answers came to the wrong message`);
  const spent = relay ? cpuSeconds(relay.pid) - cpu : 0;
  return {
    perSecond,
    cpu: (spent / messages) * 1e6,
    p50,
    p99,
    memory: relay ? residentBytes(relay.pid).now / 2 ** 20 : 0,
  };
}

/** `connections`: kept to the server; HAProxy has one for each sender. */
function configuration(listen: number, server: number, connections: number): string {
  return `pools:
  P: { servers: ["127.0.0.1:${server}"], health: { check: none }, hl7: { connections: ${connections} } }
vips:
  V:
    protocol: hl7
    listen: ["127.0.0.1:${listen}"]
    routes:
      - { when: { type: ORM }, pool: P }
      - { when: { type: ADT, event: [A01, A04, A08] }, pool: P }
    pool: P
    hl7: { order: patient }
`;
}

export const bench: Bench = {
  title: `HL7 relay: ${SENDERS} senders of 1 KB messages, one outstanding each, ordered by patient`,
  async run({ rounds, seconds, wants }) {
    const receiver = await freePort();
    const processes: Running[] = [
      startOurs(new URL('generators/hl7-receiver.ts', import.meta.url), [receiver, LENGTH, await freePort()]),
    ];
    await untilListening(receiver);
    const subjects: Subject[] = [];
    for (const [name, connections] of [
      [OURS, SENDERS],
      [AS_SHIPPED, 8],
    ] as const) {
      if (!wants(name)) continue;
      const port = await freePort();
      const gantry = await startGantry(configuration(port, receiver, connections), port);
      processes.push(gantry);
      subjects.push({ name, run: () => round(port, gantry, seconds) });
    }
    if (wants(HAPROXY)) {
      const port = await freePort();
      const haproxy = await startHaproxy({ listen: port, server: receiver });
      processes.push(haproxy);
      subjects.push({ name: HAPROXY, run: () => round(port, haproxy, seconds) });
    }
    if (wants(DIRECT)) subjects.push({ name: DIRECT, run: () => round(receiver, undefined, seconds) });

    const results = await interleave(subjects, rounds);
    for (const process of processes.reverse()) await process.stop();
    await publish({
      name: 'hl7-relay',
      title: bench.title,
      results,
      columns: [
        { figure: 'perSecond', title: 'messages/s', decimals: 0 },
        { figure: 'cpu', title: 'CPU µs', decimals: 1 },
        { figure: 'p50', title: 'p50 ms', decimals: 2 },
        { figure: 'p99', title: 'p99 ms', decimals: 2 },
        { figure: 'memory', title: 'RSS MiB', decimals: 0 },
      ],
      goals: [
        { subject: OURS, rival: HAPROXY, figure: 'perSecond', atLeast: 0.8 },
        { subject: OURS, rival: HAPROXY, figure: 'perSecond', atLeast: 1 },
        { subject: AS_SHIPPED, rival: HAPROXY, figure: 'perSecond', atLeast: 0.8 },
      ].filter(({ subject, rival }) => results.has(subject) && results.has(rival)),
    });
  },
};
