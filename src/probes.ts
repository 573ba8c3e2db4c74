/** Probes on a schedule: the log tells when servers of a pool begin to differ, and when they no longer do. */
import type { Assembly } from './assemble.ts';
import type { Configuration } from './config/schema.ts';
import { notice } from './observe/events.ts';
import type { Pool } from './pools/pool.ts';
import { findingsOf, isDifference, sentenceOf } from './probe/compare.ts';
import { type PoolReport, type PoolToProbe, probePool, type ServerReport } from './probe/prober.ts';
import { planProbe } from './probe-plan.ts';
import type { Deadline, Deadlines } from './relay/deadlines.ts';

/** Milliseconds that a server has for each answer. */
const TIMEOUT_MS = 5000;

export interface Probes {
  /** What is probed from now on, and how often. A probe that is under way goes on. */
  reconfigure(configuration: Configuration, assembly: Assembly): void;
  close(): void;
}

/** Probes every pool of DICOM VIPs, now and then: one pool after the other. What it finds counts against no server. */
export function startProbes(configuration: Configuration, assembly: Assembly, deadlines: Deadlines): Probes {
  return new ScheduledProbes(configuration, assembly, deadlines);
}

class ScheduledProbes implements Probes {
  readonly #deadlines: Deadlines;
  readonly #deadline: Deadline;
  readonly #stop = new AbortController();
  readonly #pools = new Map<string, ProbedPool>();
  #configuration: Configuration;
  #assembly: Assembly;
  #isRunning = false;

  constructor(configuration: Configuration, assembly: Assembly, deadlines: Deadlines) {
    this.#deadlines = deadlines;
    this.#configuration = configuration;
    this.#assembly = assembly;
    this.#deadline = deadlines.after(0, () => void this.#run());
    if (!configuration.probe) this.#deadline.cancel();
  }

  reconfigure(configuration: Configuration, assembly: Assembly): void {
    const before = this.#configuration.probe?.interval;
    this.#configuration = configuration;
    this.#assembly = assembly;
    const interval = configuration.probe?.interval;
    if (interval === before || this.#isRunning) return;
    if (interval === undefined) this.#deadline.cancel();
    else this.#deadline.restart(before === undefined ? 0 : interval);
  }

  close(): void {
    this.#stop.abort();
    this.#deadline.cancel();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    const pools = planProbe(this.#configuration);
    const wanted = new Set(pools.map(({ name }) => name));
    for (const name of this.#pools.keys()) if (!wanted.has(name)) this.#pools.delete(name);
    for (const pool of pools) await this.#probe(pool);
    this.#isRunning = false;
    const interval = this.#configuration.probe?.interval;
    if (interval !== undefined && !this.#stop.signal.aborted) this.#deadline.restart(interval);
  }

  async #probe(pool: PoolToProbe): Promise<void> {
    const report = await probePool(pool, {
      deadlines: this.#deadlines,
      timeout: TIMEOUT_MS,
      signal: this.#stop.signal,
      holdBack: (server) => whyNot(this.#assembly.pools.get(pool.name), server),
    });
    if (this.#stop.signal.aborted) return;
    const probed = this.#pools.get(pool.name) ?? new ProbedPool();
    this.#pools.set(pool.name, probed);
    probed.learn(report);
  }
}

/** Work goes before probes: the last connection that a server has to give is not for them. */
function whyNot(pool: Pool | undefined, name: string): string | undefined {
  const server = pool?.server(name);
  if (!server) return 'it is no longer in the configuration';
  if (server.isHalted) return 'an operator took it out';
  const { active, maxConnections = Infinity } = server;
  return active + 1 < maxConnections ? undefined : 'its last free connection is for work';
}

/** What is known of a pool's servers, and what of it has been told. */
class ProbedPool {
  readonly #servers = new Map<string, ServerReport>();
  /** By what was found → the sentence. */
  #told = new Map<string, string>();

  learn(report: PoolReport): void {
    const servers = report.servers.map((server) => this.#latest(server));
    const findings = findingsOf({ ...report, servers }).filter(isDifference);
    const now = new Map(findings.map((finding) => [JSON.stringify(finding), sentenceOf(finding)]));
    for (const [key, difference] of now) {
      if (!this.#told.has(key)) notice('warn', 'servers of a pool differ', { difference });
    }
    for (const [key, difference] of this.#told) {
      if (!now.has(key)) notice('info', 'servers of a pool no longer differ', { difference });
    }
    this.#told = now;
  }

  /** Who could not be asked this time is as before: away for a while is no change of mind. */
  #latest(report: ServerReport): ServerReport {
    const known = this.#servers.get(report.server);
    if (known?.address === report.address && !isWhole(report)) return known;
    this.#servers.set(report.server, report);
    return report;
  }
}

function isWhole({ problem, titles }: ServerReport): boolean {
  return (
    !problem &&
    titles.every(({ answer, reason }) => answer !== 'busy' && (answer !== 'accepted' || reason === undefined))
  );
}
