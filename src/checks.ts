/** Which server is checked how: from the configuration to the health runner. */
import { type Assembly, poolsOf } from './assemble.ts';
import type { Configuration, HealthConfiguration } from './config/schema.ts';
import { createCheck } from './pools/health/check.ts';
import { HealthRunner } from './pools/health/runner.ts';
import type { Pool } from './pools/pool.ts';
import type { Server } from './pools/server.ts';
import type { Deadlines } from './relay/deadlines.ts';

/** Starts the checks of every pool; `close()` of the result stops them. */
export function startChecks(
  configuration: Configuration,
  assembly: Assembly,
  deadlines: Deadlines,
  { now, random }: { readonly now: () => number; readonly random: () => number },
): HealthRunner {
  const runner = new HealthRunner({ deadlines, random });
  for (const { name, health } of configuration.pools) {
    const pool = assembly.pools.get(name)!;
    for (const server of pool.servers) {
      const options = checkOf(health, server);
      const port = health.port ?? server.port ?? clientPort(pool, configuration, assembly);
      if (options === undefined || port === undefined) continue;
      const target = { host: health.address ?? server.host, port, timeout: health.timeout, deadlines, now };
      runner.watch(server, {
        check: createCheck(options, target),
        interval: health.interval,
        takesSlot: options.check === 'dicom-echo',
      });
    }
  }
  return runner;
}

function checkOf({ check, calling, called }: HealthConfiguration, { ae }: Server) {
  switch (check) {
    case 'none':
      return undefined;
    case 'connect':
      return { check } as const;
    case 'dicom-echo':
      return { check, calling, called: ae ?? called } as const;
  }
}

/** A server without a port of its own gets the port that clients come to: the first of the VIPs over its pool. */
function clientPort(pool: Pool, { vips }: Configuration, assembly: Assembly): number | undefined {
  const ports = vips
    .filter((vip) => poolsOf(vip, assembly).includes(pool))
    .flatMap(({ listen }) => listen.map(({ port }) => port));
  return ports.find((port) => port !== 0);
}
