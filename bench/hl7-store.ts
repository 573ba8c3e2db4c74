/**
 * quality.md, "HL7 store, fsync before CA, 64 senders, against our own relay". A round is over when everything that was
 * acknowledged has been delivered.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import type { Mode } from './generators/hl7-message.ts';
import { startGantry } from './harness/gantry.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, measure, type Running, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const STORE = 'gantry, store';
const RELAY = 'gantry, relay';

const SENDERS = 64;
const LENGTH = 1024;
/** Looks this often whether everything was delivered, in milliseconds. */
const LOOK_MS = 20;

const SENDER = new URL('generators/hl7-senders.ts', import.meta.url);
const RECEIVER = new URL('generators/hl7-receiver.ts', import.meta.url);

interface Measured {
  readonly messages: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly wrong: number;
}

interface Subjects {
  readonly port: number;
  readonly mode: Mode;
  readonly gantry: Running;
}

/** How many messages the receiver has, by its second port. */
async function received(count: number): Promise<number> {
  return Number(await text(connect(count, '127.0.0.1')));
}

async function round({ port, mode, gantry }: Subjects, count: number, seconds: number): Promise<Sample> {
  const cpu = cpuSeconds(gantry.pid);
  const before = await received(count);
  const { messages, perSecond, p50, p99, wrong } = await measure<Measured>(SENDER, [
    port,
    SENDERS,
    LENGTH,
    seconds,
    mode,
  ]);
  if (wrong > 0) throw new Error(`${wrong} answers came to the wrong message`);
  const acknowledged = performance.now();
  for (let there = await received(count); there < before + messages; there = await received(count)) {
    if (performance.now() - acknowledged > 60_000)
      throw new Error(`only ${there - before} of ${messages} came`);
    await setTimeout(LOOK_MS);
  }
  const drain = performance.now() - acknowledged;
  return {
    perSecond,
    delivered: messages / (messages / perSecond + drain / 1000),
    cpu: ((cpuSeconds(gantry.pid) - cpu) / messages) * 1e6,
    p50,
    p99,
    memory: residentBytes(gantry.pid).now / 2 ** 20,
  };
}

/** As the relay's own bench has it, with a connection for each sender. `hl7`: what it has besides. */
function configuration(listen: number, server: number, hl7: string): string {
  return `pools:
  P: { servers: ["127.0.0.1:${server}"], health: { check: none }, hl7: { connections: ${SENDERS} } }
vips:
  V: { protocol: hl7, listen: ["127.0.0.1:${listen}"], pool: P, hl7: { order: patient${hl7} } }
`;
}

export const bench: Bench = {
  title: `HL7 store: ${SENDERS} senders of 1 KB messages in enhanced mode, flushed to the disk before CA`,
  async run({ rounds, seconds, wants }) {
    const folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
    const [receiver, count] = [await freePort(), await freePort()];
    const processes: Running[] = [];
    const subjects: Subject[] = [];
    for (const [name, hl7, mode] of [
      [STORE, `, delivery: store, queue: ${join(folder, 'queue')}`, 'enhanced'],
      [RELAY, '', 'original'],
    ] as const) {
      if (!wants(name)) continue;
      const port = await freePort();
      const gantry = await startGantry(configuration(port, receiver, hl7), port);
      processes.push(gantry);
      subjects.push({ name, run: () => round({ port, mode, gantry }, count, seconds) });
    }
    processes.push(startOurs(RECEIVER, [receiver, LENGTH, count]));
    await untilListening(receiver);

    const results = await interleave(subjects, rounds);
    for (const process of processes.reverse()) await process.stop();
    rmSync(folder, { recursive: true });
    await publish({
      name: 'hl7-store',
      title: bench.title,
      results,
      columns: [
        { figure: 'perSecond', title: 'acknowledged/s', decimals: 0 },
        { figure: 'delivered', title: 'delivered/s', decimals: 0 },
        { figure: 'cpu', title: 'CPU µs', decimals: 1 },
        { figure: 'p50', title: 'p50 ms', decimals: 2 },
        { figure: 'p99', title: 'p99 ms', decimals: 2 },
        { figure: 'memory', title: 'RSS MiB', decimals: 0 },
      ],
      goals: [0.3, 0.6]
        .map((atLeast) => ({ subject: STORE, rival: RELAY, figure: 'perSecond', atLeast }))
        .filter(({ subject, rival }) => results.has(subject) && results.has(rival)),
    });
  },
};
