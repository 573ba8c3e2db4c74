/** Wires every room together: the only file that knows them all. */
import { fieldPath } from '../protocols/hl7/field-path.ts';
import { createAdmin } from './admin/admin.ts';
import { type Assembly, assemble, poolsOf } from './assemble.ts';
import { startChecks } from './checks.ts';
import type { Configuration, DicomVip, Hl7Vip, VipConfiguration } from './config/schema.ts';
import { createDicomFrontEnd } from './frontends/dicom/front-end.ts';
import type { FrontEnd } from './frontends/front-end.ts';
import { createHl7FrontEnd } from './frontends/hl7/front-end.ts';
import { notice } from './observe/events.ts';
import { createKeyedHash, type KeyedHash } from './observe/privacy.ts';
import type { Endpoint } from './relay/channel.ts';
import { createDeadlines, type Deadlines } from './relay/deadlines.ts';
import { resetDismissed } from './relay/dismiss.ts';
import { type Listener, listen } from './relay/listen.ts';
import { createReports } from './report.ts';

export interface Balancer {
  /** VIP → what it listens on; a port 0 of the configuration is the system's choice here. */
  readonly endpoints: Readonly<Record<string, readonly Endpoint[]>>;
  /** Where the admin API is, if there is one. */
  readonly admin: Endpoint | undefined;
  /** Stops: takes no more work, lets the work in hand finish (`drain`, as long as the configuration says), ends the rest. */
  stop(options?: { readonly drain?: boolean }): Promise<void>;
}

export interface BalancerOptions {
  /** Hides facts that are not to be seen; the log's, so that hashes of both compare. */
  readonly hash?: KeyedHash;
}

/** Starts everything that the configuration says; rejects with GTY_LISTEN when an address cannot be had. */
export async function startBalancer(
  configuration: Configuration,
  { hash = createKeyedHash() }: BalancerOptions = {},
): Promise<Balancer> {
  // Read once: the origin is a slow getter, and it does not move.
  const origin = performance.timeOrigin;
  const now = () => origin + performance.now();
  const deadlines = createDeadlines();
  const assembly = assemble(configuration, { now, random: Math.random });
  const frontEnds = new Map<string, FrontEnd>();
  const checks = startChecks(configuration, assembly, deadlines, { now, random: Math.random });
  let ready = false;
  const reports = createReports(configuration, assembly, frontEnds, now);
  const source = { ...reports, ready: () => ready };
  let admin: Awaited<ReturnType<typeof createAdmin>> | undefined;

  async function stop({ drain = false } = {}): Promise<void> {
    ready = false;
    const all = [...frontEnds.values()];
    if (drain)
      await within(
        configuration.drain,
        all.map((frontEnd) => frontEnd.drain()),
        deadlines,
      );
    await Promise.all(all.map((frontEnd) => frontEnd.close()));
    checks.close();
    await admin?.close();
    resetDismissed(deadlines);
    deadlines.close();
  }

  try {
    if (configuration.admin) {
      const { listen, token } = configuration.admin;
      admin = await createAdmin({ listen, token, hash, hashUids: configuration.log.hashUids, source });
    }
    for (const vip of configuration.vips) {
      frontEnds.set(vip.name, await createFrontEnd(vip, assembly, deadlines, now));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  ready = true;
  const endpoints = Object.fromEntries([...frontEnds].map(([name, { endpoints }]) => [name, endpoints]));
  notice('info', 'ready', {
    vips: Object.entries(endpoints)
      .map(([name, bound]) => `${name} ${bound.map(({ host, port }) => `${host}:${port}`).join(' ')}`)
      .join(', '),
    admin: admin ? `${admin.endpoint.host}:${admin.endpoint.port}` : 'off',
  });
  return { endpoints, admin: admin?.endpoint, stop };
}

async function createFrontEnd(
  vip: VipConfiguration,
  assembly: Assembly,
  deadlines: Deadlines,
  now: () => number,
): Promise<FrontEnd> {
  const listeners: Listener[] = [];
  for (const endpoint of vip.listen) listeners.push(await listen(endpoint));
  return vip.protocol === 'dicom'
    ? createDicomFrontEnd({ ...dicomOptions(vip, assembly, deadlines, now), listeners })
    : createHl7FrontEnd({ ...hl7Options(vip, assembly, deadlines, now), listeners });
}

function dicomOptions(vip: DicomVip, assembly: Assembly, deadlines: Deadlines, now: () => number) {
  const { wait, whenUnavailable, ignoreCase, timeouts } = vip.dicom;
  return {
    ...common(vip, assembly, deadlines),
    pool: assembly.pools.get(vip.pool ?? ''),
    limits: vip.limits,
    wait,
    whenUnavailable,
    ignoreCase,
    timeouts,
    deadlines,
    now,
  };
}

function hl7Options(vip: Hl7Vip, assembly: Assembly, deadlines: Deadlines, now: () => number) {
  const ofRules = vip.routes.flatMap(({ onAmbiguous }, index) =>
    onAmbiguous === undefined ? [] : [[`routes[${index + 1}]`, onAmbiguous] as const],
  );
  return {
    ...common(vip, assembly, deadlines),
    hl7: { ...vip.hl7, accession: vip.hl7.accession.map(fieldPath) },
    onAmbiguousByRule: Object.fromEntries(ofRules),
    connections: assembly.hl7Connections,
    deadlines,
    now,
  };
}

function common(vip: VipConfiguration, assembly: Assembly, deadlines: Deadlines) {
  return {
    vip: vip.name,
    links: new Map(),
    entrance: { handshakeTimeout: 10_000, deadlines, vip: vip.name },
    director: assembly.directors.get(vip.name)!,
    pools: poolsOf(vip, assembly),
  };
}

/** Resolves when all have, or after `ms` milliseconds. */
async function within(ms: number, all: readonly Promise<void>[], deadlines: Deadlines): Promise<void> {
  await new Promise<void>((resolve) => {
    const deadline = deadlines.after(ms, resolve);
    void Promise.all(all).then(() => {
      deadline.cancel();
      resolve();
    });
  });
}
