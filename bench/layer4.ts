/**
 * Layer 4 beside its rivals: DR, NAT and SNAT in the kernel, the balancer's own proxy, HAProxy in TCP mode with one thread,
 * and nothing in between. What the kernel forwards is nobody's process: the cost is the whole machine's, and the
 * balancer's part of it what is beyond `direct` (`routed` for NAT, whose clients are on another network).
 *
 * `--only` also takes a series (`--only bulk`), or one and a way (`--only "bulk gantry DR"`). Needs root.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSample } from '../src/demo/sample-files.ts';
import type { Bench } from './harness/options.ts';
import { type Column, type Goal, publishAll, type Report } from './harness/report.ts';
import { interleave, type Results, type Sample } from './harness/rounds.ts';
import { changes } from './layer4/changes.ts';
import { armsOf, startWay, type Way, type WayName } from './layer4/ways.ts';
import { bulk, clientAddress, connections, packets, store } from './layer4/work.ts';

const DR = 'gantry DR';
const FULL = 'gantry DR, full map';
const NAT = 'gantry NAT';
const SNAT = 'gantry SNAT';
const PROXY = 'gantry proxy';
const HAPROXY = 'haproxy';

const INSTANCES = 200;
/** A series alone takes less time than a clock tick counts. */
const TIMES = 3;
/** Pixels a side: 512 × 512 of two bytes are 512 KiB. */
const SIZE = 512;

interface Series {
  readonly name: string;
  readonly title: string;
  readonly ways: readonly WayName[];
  readonly columns: readonly Column[];
  readonly goals?: readonly Goal[];
  /** One round. */
  readonly run: (way: Way, seconds: number) => Promise<Sample>;
}

/** What `machine` and `own` are of, and the columns of what they cost. */
function costs(unit: string, decimals: number): Column[] {
  return [
    { figure: 'machine', title: `machine, ${unit}`, decimals },
    { figure: 'part', title: 'beyond direct', decimals },
    { figure: 'own', title: 'process', decimals },
  ];
}

const MEMORY: Column = { figure: 'memory', title: 'RSS MiB', decimals: 0 };

function seriesOf(folder: string): Series[] {
  return [
    {
      name: 'bulk',
      title: 'One TCP stream to the server',
      ways: ['direct', 'routed', DR, NAT, SNAT, PROXY, HAPROXY],
      columns: [{ figure: 'throughput', title: 'GB/s', decimals: 2 }, ...costs('CPU s/GB', 3), MEMORY],
      goals: [DR, NAT, SNAT].flatMap((subject) => [
        { subject, rival: HAPROXY, figure: 'throughput', atLeast: 1 },
        { subject, rival: HAPROXY, figure: 'machine', atMost: 1 },
      ]),
      run: bulk,
    },
    {
      name: 'connections',
      title: 'Short connections, 32 at once',
      ways: ['direct', 'routed', DR, FULL, NAT, SNAT, PROXY, HAPROXY],
      columns: [{ figure: 'rate', title: 'connections/s', decimals: 0 }, ...costs('CPU µs', 0), MEMORY],
      goals: [DR, NAT, SNAT].flatMap((subject) => [
        { subject, rival: HAPROXY, figure: 'rate', atLeast: 1 },
        { subject, rival: HAPROXY, figure: 'machine', atMost: 1 },
      ]),
      run: connections,
    },
    {
      name: 'store',
      title: `C-STORE of a CT series: ${INSTANCES} instances of 512 KiB, storescu to storescp`,
      ways: ['direct', DR, PROXY, HAPROXY],
      columns: [{ figure: 'rate', title: 'images/s', decimals: 0 }, ...costs('CPU ms', 2), MEMORY],
      goals: [{ subject: DR, rival: HAPROXY, figure: 'rate', atLeast: 1 }],
      run: (way) => store(way, { folder, files: INSTANCES, times: TIMES }),
    },
    {
      name: 'packets',
      title: 'Packets of 1448 bytes in one stream, with few flows known and with 100 000',
      ways: ['direct', DR, FULL],
      columns: [
        { figure: 'rate', title: '1000 packets/s', decimals: 0 },
        { figure: 'machine', title: 'machine, CPU µs', decimals: 2 },
        { figure: 'part', title: 'beyond direct', decimals: 2 },
      ],
      goals: [{ subject: FULL, rival: DR, figure: 'machine', atMost: 1.1 }],
      run: packets,
    },
    {
      name: 'changes',
      title: 'From the result of a health check to the schedule in the kernel',
      ways: [DR, FULL],
      columns: [
        { figure: 'ms', title: 'ms', decimals: 1 },
        { figure: 'most', title: 'the longest', decimals: 1 },
      ],
      run: changes,
    },
    {
      name: 'client address',
      title:
        'A TCP VIP without and with `source: client`: short connections, 32 at once and one after the other',
      ways: ['gantry proxy, two-arm', 'gantry proxy, source: client'],
      columns: [
        { figure: 'rate', title: 'connections/s', decimals: 0 },
        { figure: 'machine', title: 'machine, CPU µs', decimals: 0 },
        { figure: 'own', title: 'process and nft', decimals: 0 },
        { figure: 'ms', title: 'ms, one at a time', decimals: 2 },
      ],
      run: clientAddress,
    },
  ];
}

/** Figures of each series, less than it takes `--seconds` elsewhere: there are many. */
const SHARE_OF_SECONDS = 1 / 2;

export const bench: Bench = {
  title: 'Layer 4: DR, NAT and SNAT, beside a proxy, HAProxy and nothing in between',
  async run({ rounds, seconds, wants }) {
    const folder = writeSeries();
    const all = seriesOf(folder).map((series) => ({
      ...series,
      ways: series.ways.filter((way) => wants(`${series.name} ${way}`)),
    }));
    const ways = new Map<WayName, Way>();
    try {
      for (const name of new Set(all.flatMap(({ ways }) => ways))) ways.set(name, await startWay(name));
      const reports: Report[] = [];
      for (const { name, title, columns, goals = [], run, ...series } of all) {
        if (series.ways.length === 0) continue;
        const subjects = series.ways.map((way) => ({
          name: way,
          run: () => run(ways.get(way)!, seconds * SHARE_OF_SECONDS),
        }));
        process.stderr.write(`${name}: `);
        const results = withParts(await interleave(subjects, rounds));
        const shown = columns.filter(({ figure }) => [...results.values()].every(([one]) => figure in one!));
        const has = ({ subject, rival }: Goal) => results.has(subject) && results.has(rival);
        reports.push({ name, title, results, columns: shown, goals: goals.filter(has) });
      }
      await publishAll('layer4', bench.title, reports);
    } finally {
      for (const way of ways.values()) await way.stop();
      rmSync(folder, { recursive: true });
    }
  },
};

/** What the machine did beyond what it does with nothing in between, within each round; where that was measured. */
function withParts(results: Results): Results {
  const parts = [...results].map(([name, samples]): [string, readonly Sample[]] => {
    const without = results.get(armsOf(name as WayName) === 2 ? 'routed' : 'direct');
    if (!without) return [name, samples];
    return [
      name,
      samples.map((sample, round) => ({ ...sample, part: sample.machine! - without[round]!.machine! })),
    ];
  });
  return new Map(parts);
}

/** Files in a folder of their own; returns the folder. */
function writeSeries(): string {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
  mkdirSync(folder, { recursive: true });
  for (let number = 1; number <= INSTANCES; number += 1) {
    const { file } = createSample({ modality: 'CT', study: 'bench', number, size: SIZE });
    writeFileSync(join(folder, `${String(number).padStart(4, '0')}.dcm`), file);
  }
  return folder;
}
