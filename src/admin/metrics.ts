/**
 * `GET /metrics`: what the API says in numbers, in Prometheus' text format, version 0.0.4.
 *
 *     # HELP gantry_queue_held Messages in quarantine.
 *     # TYPE gantry_queue_held gauge
 *     gantry_queue_held{vip="ORDERS"} 3
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ - all lines of a metric are one group. Labels are names of
 * the configuration, never anything of the traffic.
 */
import type { FastifyInstance } from 'fastify';
import type {
  ForwardedStatus,
  PoolStatus,
  QueueDocument,
  StatusDocument,
  Totals,
  VipStatus,
} from './documents.ts';

export interface MetricsSource {
  status(): StatusDocument | Promise<StatusDocument>;
  queues(): Promise<readonly QueueDocument[]>;
}

type Labels = Readonly<Record<string, string>>;

const STATES = ['starting', 'up', 'down', 'draining', 'drained', 'halted'] as const;

export function addMetrics(server: FastifyInstance, source: MetricsSource): void {
  server.get('/metrics', async (_, reply) => {
    const [status, queues] = await Promise.all([source.status(), source.queues()]);
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(metricsText(status, queues));
  });
}

export function metricsText(status: StatusDocument, queues: readonly QueueDocument[]): string {
  const metrics = new Metrics();
  const { user, system } = process.cpuUsage();
  metrics.gauge('gantry_info', 'What runs here; always 1.', { version: status.version }, 1);
  metrics.gauge('gantry_uptime_seconds', 'Seconds since the start.', {}, status.uptime);
  metrics.counter('process_cpu_seconds', 'Processor time of this process.', {}, (user + system) / 1e6);
  const memory = process.memoryUsage.rss();
  metrics.gauge('process_resident_memory_bytes', 'Memory of this process.', {}, memory);
  for (const vip of status.vips) {
    addVip(metrics, vip);
    for (const server of vip.servers ?? []) addForwarded(metrics, vip.name, server);
  }
  for (const pool of status.pools) addPool(metrics, pool);
  for (const queue of queues) addQueue(metrics, queue);
  return metrics.text();
}

function addVip(metrics: Metrics, { name, protocol, mode, connections, totals }: VipStatus): void {
  const labels = { vip: name, protocol: protocol ?? mode };
  metrics.gauge('gantry_vip_open_connections', 'Open client connections.', labels, connections);
  addTotals(metrics, 'gantry_vip', totals, labels);
}

/** `vip`: of layer 4. */
function addForwarded(metrics: Metrics, vip: string, { flows, ...forwarded }: ForwardedStatus): void {
  const { pool, server, connections, packets, bytes } = forwarded;
  const labels = { vip, pool, server };
  const count = (name: string, help: string, value: number) =>
    metrics.counter(`gantry_layer4_${name}`, help, labels, value);
  count('connections', 'New connections that the kernel gave to the server.', connections);
  count('packets', 'Packets of clients that the kernel forwarded to the server.', packets);
  count('bytes', 'Bytes of those packets, IP headers included.', bytes);
  if (flows !== null)
    metrics.gauge(
      'gantry_layer4_flows',
      'Open connections of the server, as of the last count.',
      labels,
      flows,
    );
}

function addPool(metrics: Metrics, { name, servers }: PoolStatus): void {
  for (const { name: server, state, weight, active, totals } of servers) {
    const labels = { pool: name, server };
    for (const one of STATES) {
      const isIt = Number(one === state);
      metrics.gauge('gantry_server_state', '1: it is in this state.', { ...labels, state: one }, isIt);
    }
    metrics.gauge('gantry_server_weight', 'Its part of the work.', labels, weight);
    metrics.gauge('gantry_server_active', 'Associations or connections it has.', labels, active);
    addTotals(metrics, 'gantry_server', totals, labels);
  }
}

function addTotals(metrics: Metrics, prefix: string, totals: Totals, labels: Labels): void {
  for (const [what, count] of Object.entries(totals)) {
    const name = what
      .replace(/[^a-zA-Z0-9]+/g, '_')
      .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    metrics.counter(`${prefix}_${name}`, `Since the start: ${what}.`, labels, count);
  }
}

function addQueue(metrics: Metrics, queue: QueueDocument): void {
  const { vip, isReadable, messages, bytes, taken, held, age, fileBytes, stored, delivered } = queue;
  const gauge = (name: string, help: string, value: number | null) => {
    if (value !== null) metrics.gauge(`gantry_queue_${name}`, help, { vip }, value);
  };
  gauge('readable', '0: the file of the durable queue cannot be read.', Number(isReadable));
  gauge('messages', 'Messages in the durable queue, those in quarantine included.', messages);
  gauge('bytes', 'Bytes of the messages in the durable queue.', bytes);
  gauge('taken', 'Messages of the durable queue on their way to servers.', taken);
  gauge('held', 'Messages in quarantine.', held);
  // With nobody waiting, nobody waits long: a series that comes and goes would end its alerts late.
  const oldest = isReadable ? (age ?? 0) : null;
  gauge('oldest_age_seconds', 'How long the oldest message that is not in quarantine has waited.', oldest);
  gauge('file_bytes', 'Bytes of the file and its log.', fileBytes);
  metrics.counter('gantry_queue_stored', 'Messages that came into the queue.', { vip }, stored);
  metrics.counter(
    'gantry_queue_delivered',
    'Messages that a server took from the queue.',
    { vip },
    delivered,
  );
}

/** Samples, gathered by metric. */
class Metrics {
  readonly #lines = new Map<string, string[]>();

  gauge(name: string, help: string, labels: Labels, value: number): void {
    this.#add(name, 'gauge', help, labels, value);
  }

  /** `name` without `_total`. */
  counter(name: string, help: string, labels: Labels, value: number): void {
    this.#add(`${name}_total`, 'counter', help, labels, value);
  }

  text(): string {
    return [...this.#lines.values()].flat().join('');
  }

  #add(name: string, type: 'gauge' | 'counter', help: string, labels: Labels, value: number): void {
    let lines = this.#lines.get(name);
    if (!lines) {
      lines = [`# HELP ${name} ${help}\n`, `# TYPE ${name} ${type}\n`];
      this.#lines.set(name, lines);
    }
    lines.push(`${name}${labelText(labels)} ${value}\n`);
  }
}

/** `{name="value",…}`, or nothing. */
function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
