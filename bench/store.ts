/**
 * quality.md, "C-STORE of a CT series": storescu → storescp, 512 KiB an instance, on one association; direct, through
 * HAProxy, through Gantry with both routings, through Orthanc as a router, and to a dcmjs-dimse SCP as the receiver.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSample } from '../src/demo/sample-files.ts';
import { startGantry } from './harness/gantry.ts';
import { startHaproxy } from './harness/haproxy.ts';
import type { Bench } from './harness/options.ts';
import { cpuSeconds, residentBytes } from './harness/process-cost.ts';
import { freePort, output, type Running, start, startOurs, untilListening } from './harness/processes.ts';
import { publish } from './harness/report.ts';
import { interleave, type Sample, type Subject } from './harness/rounds.ts';

const OURS = 'gantry, association routing';
const STUDY = 'gantry, study routing';
const HAPROXY = 'haproxy';
const DIRECT = 'direct';
const ORTHANC = 'orthanc as a router';
/** Orthanc's own answers wait 40 ms for delayed acknowledgements, as it comes; with this they do not. */
const ORTHANC_NO_DELAY = 'orthanc, TCP_NODELAY';
const DCMJS = 'dcmjs-dimse as the receiver';

/** Instances on one association, and associations a round: a series alone takes less time than a clock tick counts. */
const INSTANCES = 200;
const SERIES = 4;
/** Orthanc gets fewer, for it is that much slower. */
const INSTANCES_FOR_ORTHANC = 20;
/** Pixels a side: 512 × 512 of two bytes are 512 KiB. */
const SIZE = 512;

/** Without it every response waits 40 ms for a delayed acknowledgement, whatever is in between. */
const NO_DELAY = { TCP_NODELAY: '1' };

export const bench: Bench = {
  title: `C-STORE of a CT series: ${INSTANCES} instances of 512 KiB, storescu to storescp`,
  async run({ rounds, wants }) {
    const folder = mkdtempSync(join(tmpdir(), 'gantry-bench-'));
    const series = writeSeries(join(folder, 'series'), INSTANCES);
    const short = writeSeries(join(folder, 'short'), INSTANCES_FOR_ORTHANC);
    const processes: Running[] = [];
    const keep = <T extends Running>(process: T): T => {
      processes.push(process);
      return process;
    };
    const sink = await freePort();
    keep(start('storescp', ['--ignore', String(sink)], NO_DELAY));
    await untilListening(sink);

    const subjects: Subject[] = [];
    const add = (name: string, port: number, relay: Running | undefined) =>
      subjects.push({ name, run: () => send(series, port, relay) });

    for (const [name, dicom] of [
      [OURS, '{ route: association }'],
      [STUDY, '{ route: study, storage: shared }'],
    ] as const) {
      if (!wants(name)) continue;
      const port = await freePort();
      const yaml = `pools: { P: { servers: ["127.0.0.1:${sink}"], health: { check: none } } }
vips: { V: { protocol: dicom, listen: ["127.0.0.1:${port}"], pool: P, dicom: ${dicom} } }\n`;
      add(name, port, keep(await startGantry(yaml, port)));
    }
    if (wants(HAPROXY)) {
      const port = await freePort();
      add(HAPROXY, port, keep(await startHaproxy({ listen: port, server: sink })));
    }
    if (wants(DIRECT)) add(DIRECT, sink, undefined);
    if (wants(DCMJS)) {
      const port = await freePort();
      const receiver = keep(startOurs(new URL('subjects/dcmjs-receiver.ts', import.meta.url), [port]));
      await untilListening(port);
      add(DCMJS, port, receiver);
    }
    for (const [name, environment] of [
      [ORTHANC, {}],
      [ORTHANC_NO_DELAY, NO_DELAY],
    ] as const) {
      if (!wants(name)) continue;
      const router = await startOrthancRouter(join(folder, name), environment, keep);
      subjects.push({ name, run: () => router.send(short) });
    }

    const results = await interleave(subjects, rounds);
    for (const process of processes.reverse()) await process.stop();
    rmSync(folder, { recursive: true });
    await publish({
      name: 'store',
      title: bench.title,
      results,
      columns: [
        { figure: 'images', title: 'images/s', decimals: 0 },
        { figure: 'cpu', title: 'CPU ms/image', decimals: 2 },
        { figure: 'memory', title: 'RSS MiB', decimals: 0 },
      ],
      goals: [
        { subject: OURS, rival: HAPROXY, figure: 'images', atLeast: 0.85 },
        { subject: OURS, rival: HAPROXY, figure: 'images', atLeast: 1.0 },
        { subject: STUDY, rival: OURS, figure: 'images', atLeast: 0.7 },
        { subject: STUDY, rival: OURS, figure: 'images', atLeast: 0.9 },
        { subject: STUDY, rival: ORTHANC, figure: 'images', atLeast: 20 },
        { subject: STUDY, rival: DCMJS, figure: 'images', atLeast: 2.5 },
      ].filter(({ subject, rival }) => results.has(subject) && results.has(rival)),
    });
  },
};

/** Files in a folder of their own; returns the folder. */
function writeSeries(folder: string, count: number): string {
  mkdirSync(folder);
  for (let number = 1; number <= count; number += 1) {
    const { file } = createSample({ modality: 'CT', study: 'bench', number, size: SIZE });
    writeFileSync(join(folder, `${String(number).padStart(4, '0')}.dcm`), file);
  }
  return folder;
}

async function storescu(folder: string, port: number): Promise<void> {
  await output('storescu', ['-R', '+sd', '-aec', 'BENCH', '127.0.0.1', String(port), folder], NO_DELAY);
}

async function send(folder: string, port: number, relay: Running | undefined): Promise<Sample> {
  const cpu = relay ? cpuSeconds(relay.pid) : 0;
  const began = performance.now();
  for (let sent = 0; sent < SERIES; sent += 1) await storescu(folder, port);
  return sample(SERIES * INSTANCES, performance.now() - began, relay, cpu);
}

function sample(count: number, ms: number, relay: Running | undefined, cpuBefore: number): Sample {
  return {
    images: (count / ms) * 1000,
    cpu: relay ? ((cpuSeconds(relay.pid) - cpuBefore) / count) * 1000 : 0,
    memory: relay ? residentBytes(relay.pid).now / 2 ** 20 : 0,
  };
}

/** Orthanc that forwards each instance as it comes, by Lua; a round is over when the last one arrived behind it. */
async function startOrthancRouter(
  folder: string,
  environment: Readonly<Record<string, string>>,
  keep: <T extends Running>(process: T) => T,
) {
  const [dicom, sink] = [await freePort(), await freePort()];
  const arrived = join(folder, 'arrived');
  mkdirSync(arrived, { recursive: true });
  keep(start('storescp', ['-od', arrived, '--unique-filenames', String(sink)], NO_DELAY));
  await untilListening(sink);
  const script = join(folder, 'forward.lua');
  writeFileSync(script, "function OnStoredInstance(id) Delete(SendToModality(id, 'SINK')) end\n");
  const configuration = join(folder, 'orthanc.json');
  writeFileSync(
    configuration,
    JSON.stringify({
      StorageDirectory: join(folder, 'orthanc'),
      IndexDirectory: join(folder, 'orthanc'),
      DicomAet: 'ORTHANC',
      DicomPort: dicom,
      HttpServerEnabled: false,
      DicomAlwaysAllowStore: true,
      LuaScripts: [script],
      DicomModalities: { SINK: ['SINK', '127.0.0.1', sink] },
      OverwriteInstances: true,
      Plugins: [],
    }),
  );
  const orthanc = keep(start('Orthanc', [configuration], environment));
  await untilListening(dicom);
  return {
    async send(series: string): Promise<Sample> {
      const before = readdirSync(arrived).length;
      const cpu = cpuSeconds(orthanc.pid);
      const began = performance.now();
      await storescu(series, dicom);
      while (readdirSync(arrived).length < before + INSTANCES_FOR_ORTHANC) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return sample(INSTANCES_FOR_ORTHANC, performance.now() - began, orthanc, cpu);
    },
  };
}
