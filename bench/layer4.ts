/**
 * Layer 4 beside its rivals: DR, NAT and SNAT in the kernel, the balancer's own proxy, HAProxy in TCP mode with one thread,
 * and nothing in between. What the kernel forwards is nobody's process: the cost is the whole machine's, and the
 * balancer's part of it what is beyond `direct` (`routed` for NAT, whose clients are on another network).
 *
 * `--only` also takes a series (`--only bulk`), or one and a way (`--only "bulk gantry DR"`). Needs root.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createSample } from '../src/demo/sample-files.ts';
import { machineCpuSeconds } from './harness/machine-cost.ts';
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
const NFTLB_DR = 'nftlb DR';
const NFTLB_NAT = 'nftlb NAT';

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
    { figure: 'own', title: 'its process', decimals },
  ];
}

const MEMORY: Column = { figure: 'memory', title: 'RSS MiB', decimals: 0 };

/** What the kernel does is to be less than a proxy has to do, and no more than nftlb, which knows no flows with DR, has it do. */
function goalsOf(rate: string): Goal[] {
  return [
    ...[DR, NAT, SNAT].flatMap((subject): Goal[] => [
      { subject, rival: HAPROXY, figure: rate, atLeast: 1 },
      { subject, rival: HAPROXY, figure: 'machine', atMost: 1 },
    ]),
    { subject: DR, rival: NFTLB_DR, figure: 'machine', atMost: 1.1 },
    { subject: NAT, rival: NFTLB_NAT, figure: 'machine', atMost: 1.1 },
  ];
}

function seriesOf(folder: string): Series[] {
  return [
    {
      name: 'bulk',
      title: 'One TCP stream to the server',
      ways: ['direct', 'routed', DR, NFTLB_DR, NAT, NFTLB_NAT, SNAT, PROXY, HAPROXY],
      columns: [{ figure: 'throughput', title: 'GB/s', decimals: 2 }, ...costs('CPU s/GB', 3), MEMORY],
      goals: goalsOf('throughput'),
      run: bulk,
    },
    {
      name: 'connections',
      title: 'Short connections, 32 at once',
      ways: ['direct', 'routed', DR, NFTLB_DR, NAT, NFTLB_NAT, SNAT, PROXY, HAPROXY],
      columns: [{ figure: 'rate', title: 'connections/s', decimals: 0 }, ...costs('CPU µs', 0), MEMORY],
      goals: goalsOf('rate'),
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
      title:
        'Packets of 1448 bytes in one stream, and short connections, with few flows known and with 100 000',
      ways: ['direct', DR, FULL],
      columns: [
        { figure: 'rate', title: '1000 packets/s', decimals: 0 },
        { figure: 'machine', title: 'machine, CPU µs', decimals: 2 },
        { figure: 'part', title: 'beyond direct', decimals: 2 },
        { figure: 'own', title: 'process and nft, % of a core', decimals: 1 },
        { figure: 'connection', title: 'machine, CPU µs/connection', decimals: 0 },
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

/** Of `--seconds`: there are many rounds. */
const SHARE_OF_SECONDS = 3 / 8;

export const bench: Bench = {
  title: 'Layer 4: DR, NAT and SNAT, beside a proxy, HAProxy, nftlb and nothing in between',
  async run({ rounds, seconds, wants }) {
    await warnOfOthers();
    const folder = writeSeries();
    try {
      const reports: Report[] = [];
      for (const series of seriesOf(folder)) {
        const ways = series.ways.filter((way) => wants(`${series.name} ${way}`));
        if (ways.length === 0) continue;
        process.stderr.write(`${series.name}: `);
        reports.push(await measure(series, ways, { rounds, seconds: seconds * SHARE_OF_SECONDS }));
      }
      await publishAll('layer4', bench.title, reports);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Of a core. */
const QUIET = 0.1;

/** What others do on this machine is in every figure of `machine`. */
async function warnOfOthers(): Promise<void> {
  const before = machineCpuSeconds();
  await pause(1000);
  const busy = machineCpuSeconds() - before;
  if (busy > QUIET) {
    console.error(
      `others use ${(busy * 100).toFixed(0)} % of a core: the CPU time of the machine is theirs, too`,
    );
  }
}

/** All ways begin anew for a series: none has the connections of the one before. */
async function measure(
  { name, title, columns, goals = [], run }: Series,
  wanted: readonly WayName[],
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<Report> {
  const ways = await Promise.all(wanted.map(startWay));
  try {
    const subjects = ways.map((way, index) => ({ name: wanted[index]!, run: () => run(way, seconds) }));
    const results = withParts(await interleave(subjects, rounds));
    const isMeasured = ({ figure }: Column) => [...results.values()].every(([one]) => figure in one!);
    const has = ({ subject, rival }: Goal) => results.has(subject) && results.has(rival);
    return { name, title, results, columns: columns.filter(isMeasured), goals: goals.filter(has) };
  } finally {
    for (const way of ways) await way.stop();
  }
}

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
  for (let number = 1; number <= INSTANCES; number += 1) {
    const { file } = createSample({ modality: 'CT', study: 'bench', number, size: SIZE });
    writeFileSync(join(folder, `${String(number).padStart(4, '0')}.dcm`), file);
  }
  return folder;
}
