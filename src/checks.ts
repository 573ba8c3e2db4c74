/** Which server is checked how: from the configuration to the health runner, at the start and after each reload. */
import { type Assembly, poolsOf } from './assemble.ts';
import type { CheckConfiguration, HttpCheckConfiguration } from './config/health-configuration.ts';
import type {
  Configuration,
  Hl7Vip,
  ListenAddress,
  PoolConfiguration,
  VipConfiguration,
} from './config/schema.ts';
import { createAgentCheck } from './pools/health/agent.ts';
import { type CheckOptions, createCheck } from './pools/health/check.ts';
import { HealthRunner, keyOf, type WatchOptions } from './pools/health/runner.ts';
import type { Pool } from './pools/pool.ts';
import type { Server } from './pools/server.ts';
import type { Deadlines } from './relay/deadlines.ts';
import { preambleOf } from './relay/dial.ts';

export interface Checks {
  /** Checks that stay as they are, of servers that stay, go on undisturbed; others end, new ones begin. */
  reconfigure(configuration: Configuration, assembly: Assembly): void;
  close(): void;
}

interface Clock {
  readonly deadlines: Deadlines;
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
}

/** Something that goes on for a server until it is stopped; equal keys are the same. */
interface Wanted {
  readonly server: Server;
  readonly key: string;
  readonly start: () => () => void;
}

/** Starts the checks of every pool. */
export function startChecks(
  configuration: Configuration,
  assembly: Assembly,
  deadlines: Deadlines,
  { now, random }: { readonly now: () => number; readonly random: () => number },
): Checks {
  const runner = new HealthRunner({ deadlines, random });
  let running = new Map<Server, Map<string, () => void>>();

  function reconfigure(next: Configuration, parts: Assembly): void {
    const before = running;
    running = new Map();
    for (const { server, key, start } of wantedOf(new Plan(next, parts, { deadlines, now }), runner)) {
      const stops = running.get(server) ?? new Map<string, () => void>();
      running.set(server, stops.set(key, before.get(server)?.get(key) ?? start()));
      before.get(server)?.delete(key);
    }
    // At the end: who asks for the same as one that leaves finds it still going.
    for (const stops of before.values()) for (const stop of stops.values()) stop();
  }

  reconfigure(configuration, assembly);
  return { reconfigure, close: () => runner.close() };
}

function* wantedOf(plan: Plan, runner: HealthRunner): Generator<Wanted> {
  for (const pool of plan.configuration.pools) {
    for (const server of plan.poolOf(pool).servers) {
      const watched = plan.watchOf(pool, server);
      if (watched) yield { server, key: keyOf(watched), start: () => runner.watch(server, watched) };
      const agent = plan.agentOf(pool, server);
      if (agent) yield { server, key: keyOf(agent), start: () => runner.listen(server, agent) };
    }
  }
}

/** What a configuration wants to be checked. */
class Plan {
  readonly configuration: Configuration;
  readonly #assembly: Assembly;
  readonly #clock: Clock;

  constructor(configuration: Configuration, assembly: Assembly, clock: Clock) {
    this.configuration = configuration;
    this.#assembly = assembly;
    this.#clock = clock;
  }

  poolOf({ name }: PoolConfiguration): Pool {
    return this.#assembly.pools.get(name)!;
  }

  /** undefined: its health is not checked. */
  watchOf(pool: PoolConfiguration, server: Server): WatchOptions | undefined {
    return this.#watch(pool.health, pool, server);
  }

  agentOf({ health }: PoolConfiguration, { host }: Server) {
    if (!health.agent) return undefined;
    const { port, interval } = health.agent;
    return { check: createAgentCheck({ host, port, timeout: health.timeout, ...this.#clock }), interval };
  }

  #watch(part: CheckConfiguration, pool: PoolConfiguration, server: Server): WatchOptions | undefined {
    switch (part.check) {
      case 'none':
        return undefined;
      case 'all':
      case 'any': {
        const parts = part.parts.flatMap((each) => this.#watch(each, pool, server) ?? []);
        return parts.length === 0 ? undefined : { mode: part.check, parts };
      }
      case 'track': {
        // The same check as that pool's, so that it runs once and both have each result.
        const tracked = this.configuration.pools.find(({ name }) => name === part.pool);
        const other = tracked && this.poolOf(tracked).server(part.servers[server.name] ?? '');
        return other && this.watchOf(tracked, other);
      }
      default:
        return this.#single(part, pool, server);
    }
  }

  #single(part: SingleCheck, pool: PoolConfiguration, server: Server): WatchOptions | undefined {
    const isOfWork = isWhereWorkGoes(part, server);
    const port = part.port ?? server.port ?? this.#clientPort(pool) ?? portless(part);
    if (port === undefined) return undefined;
    const check = createCheck(this.#optionsOf(part, pool, server), {
      host: part.address ?? server.host,
      port,
      timeout: part.timeout,
      link: isOfWork ? preambleOf(pool.link) : undefined,
      ...this.#clock,
    });
    return { check, interval: pool.health.interval, takesSlot: isOfWork && TAKES_SLOT.has(part.check) };
  }

  /** Only what the check itself needs: what is equal is shared. */
  #optionsOf(part: SingleCheck, pool: PoolConfiguration, server: Server): CheckOptions {
    const { check } = part;
    switch (check) {
      case 'tls':
        return { check, tls: part.tls };
      case 'http':
        return { check, ...requestOf(part) };
      case 'https':
        return { check, tls: part.tls, ...requestOf(part) };
      case 'script':
        return { check, script: part.script, ...this.#scriptFacts(pool, server) };
      case 'dicom-echo':
        return { check, calling: part.calling, called: server.ae ?? part.called };
      case 'hl7':
        return { check, message: part.message, blocks: this.#blocks(pool) };
      default:
        return { check };
    }
  }

  #scriptFacts(pool: PoolConfiguration, { name }: Server) {
    const servers = this.poolOf(pool);
    return {
      vip: addressOf(this.#vips(pool)[0]),
      pool: { name: pool.name, id: this.configuration.pools.indexOf(pool) + 1 },
      server: {
        name,
        id: servers.servers.findIndex((server) => server.name === name) + 1,
        // Asked for by name: a reload may have put another server in its place.
        load: () => servers.server(name) ?? { active: 0, maxConnections: undefined },
      },
    };
  }

  #blocks(pool: PoolConfiguration) {
    const vip = this.#vips(pool).find((one): one is Hl7Vip => one.protocol === 'hl7');
    return vip ? { startBlock: vip.hl7.startBlock, endBlock: vip.hl7.endBlock } : {};
  }

  /** A server without a port of its own gets the port that clients come to: the first of the VIPs over its pool. */
  #clientPort(pool: PoolConfiguration): number | undefined {
    const ports = this.#vips(pool).flatMap(({ listen }) => listen.map(({ port }) => port));
    return ports.find((port): port is number => port !== 0 && port !== '*');
  }

  #vips(pool: PoolConfiguration): readonly VipConfiguration[] {
    const wanted = this.poolOf(pool);
    return this.configuration.vips.filter((vip) => poolsOf(vip, this.#assembly).includes(wanted));
  }
}

/** For scripts: all ports are port 0. */
function addressOf(vip: VipConfiguration | undefined): ListenAddress | undefined {
  const first = vip?.listen[0];
  return first && { host: first.host, port: first.port === '*' ? 0 : first.port };
}

type SingleCheck = Exclude<CheckConfiguration, { readonly check: 'none' | 'all' | 'any' | 'track' }>;

/** They use a connection as work does, and for as long. */
const TAKES_SLOT: ReadonlySet<string> = new Set(['dicom-echo', 'hl7', 'http', 'https']);

function requestOf({ method, path, host, status, body, json }: HttpCheckConfiguration) {
  return { method, path, host, status, body, json };
}

/** Elsewhere nothing is known of how connections begin, nor of how many there may be. */
function isWhereWorkGoes({ address, port }: SingleCheck, server: Server): boolean {
  return address === undefined && (port === undefined || port === server.port);
}

function portless({ check }: SingleCheck): number | undefined {
  return check === 'ping' || check === 'script' ? 0 : undefined;
}
