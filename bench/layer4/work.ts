/** What is done by each way, a round at a time, and what it costs. */
import { iperf } from '../harness/iperf.ts';
import { machineCpuSeconds } from '../harness/machine-cost.ts';
import { cpuSecondsWithChildren, residentBytes } from '../harness/process-cost.ts';
import type { Sample } from '../harness/rounds.ts';
import { PORTS, type Way } from './ways.ts';

interface Cost {
  /** CPU seconds of the whole machine: clients, servers, the kernel and what is in between. */
  readonly machine: number;
  /** Those of the balancer's process and of the programs it ran; 0 when there is none. */
  readonly own: number;
  /** MiB that the balancer's process has resident afterwards. */
  readonly memory: number;
}

async function costOf<T>({ balancer }: Way, work: () => Promise<T>): Promise<{ result: T; cost: Cost }> {
  const own = () => (balancer === undefined ? 0 : cpuSecondsWithChildren(balancer));
  const before = { machine: machineCpuSeconds(), own: own() };
  const result = await work();
  const cost = {
    machine: machineCpuSeconds() - before.machine,
    own: own() - before.own,
    memory: balancer === undefined ? 0 : residentBytes(balancer).now / 2 ** 20,
  };
  return { result, cost };
}

/** iperf3 counts whole seconds, and 0 is for ever. */
function stream({ client, host }: Way, seconds: number): Promise<{ bytes: number; seconds: number }> {
  return iperf({ host, port: PORTS.stream, seconds: Math.max(1, Math.floor(seconds)) }, async (args) => {
    const { output } = await client.run('iperf3', args);
    return output;
  });
}

/** One stream to the server. */
export async function bulk(way: Way, seconds: number): Promise<Sample> {
  const { result, cost } = await costOf(way, () => stream(way, seconds));
  const gigabytes = result.bytes / 1e9;
  return {
    throughput: gigabytes / result.seconds,
    machine: cost.machine / gigabytes,
    own: cost.own / gigabytes,
    memory: cost.memory,
  };
}

/** Of a segment on Ethernet, with TCP's timestamps. */
const SEGMENT_BYTES = 1448;

const SHORT_CLIENT = new URL('../generators/short-client.ts', import.meta.url).pathname;

async function shortConnections({ client, host }: Way, seconds: number, parallel: number) {
  const args = [SHORT_CLIENT, PORTS.short, seconds, parallel, host];
  const printed = await client.must(process.execPath, args.map(String));
  return JSON.parse(printed) as { connections: number; seconds: number };
}

const PARALLEL = 32;

/** Opened, a kilobyte each way, released and closed. */
export async function connections(way: Way, seconds: number): Promise<Sample> {
  const { result, cost } = await costOf(way, () => shortConnections(way, seconds, PARALLEL));
  return {
    rate: result.connections / result.seconds,
    machine: (cost.machine / result.connections) * 1e6,
    own: (cost.own / result.connections) * 1e6,
    memory: cost.memory,
  };
}

/**
 * One stream to the server, in packets as they are on a wire (virtual cables carry 64 KiB in one, unless told otherwise),
 * then short connections.
 */
export async function packets(way: Way, seconds: number): Promise<Sample> {
  await way.client.ip('link set eth0 gso_max_segs 1');
  const { result, cost } = await costOf(way, () => stream(way, seconds));
  await way.client.ip('link set eth0 gso_max_segs 65535');
  const count = result.bytes / SEGMENT_BYTES;
  const short = await connections(way, seconds / 2);
  return {
    rate: count / result.seconds / 1000,
    machine: (cost.machine / count) * 1e6,
    own: (cost.own / result.seconds) * 100,
    connection: short.machine!,
  };
}

/** Many at once, then one after the other. */
export async function clientAddress(way: Way, seconds: number): Promise<Sample> {
  const { rate, machine, own } = await connections(way, seconds / 2);
  const { result } = await costOf(way, () => shortConnections(way, seconds / 2, 1));
  return { rate, ms: (result.seconds * 1000) / result.connections, machine, own };
}

/** A series of so many files in `folder` by storescu, so many times. */
export async function store(
  way: Way,
  { folder, files, times }: { readonly folder: string; readonly files: number; readonly times: number },
): Promise<Sample> {
  const began = performance.now();
  const { cost } = await costOf(way, async () => {
    for (let sent = 0; sent < times; sent += 1) {
      await way.client.must('storescu', ['-R', '+sd', way.host, String(PORTS.store), folder]);
    }
  });
  const images = files * times;
  return {
    rate: (images / (performance.now() - began)) * 1000,
    machine: (cost.machine / images) * 1000,
    own: (cost.own / images) * 1000,
    memory: cost.memory,
  };
}
