/** Pools: checks with all that they need, and how connections to the servers are made. */
import { resolve } from 'node:path';
import type { FilePool } from './findings.ts';
import type { CheckConfiguration, HealthConfiguration } from './health-configuration.ts';
import type { CheckPart } from './health-schema.ts';
import { type FilePersistence, limitsOf } from './persistence-schema.ts';
import type { PersistenceConfiguration, PoolConfiguration, TlsClientConfiguration } from './schema.ts';
import { findTracked } from './tracking.ts';

/** Milliseconds. */
const CHECK_TIMEOUT = 3000;

/** `drain`: of the top, in milliseconds. `folder`: what paths are relative to. */
interface Surroundings {
  readonly drain: number;
  readonly folder: string;
}

export function normalisePool(
  pool: FilePool,
  pools: readonly FilePool[],
  surroundings: Surroundings,
): PoolConfiguration {
  const { name, servers, balance, mode, failBack, slowStart, panic, hl7, timeouts } = pool;
  return {
    name,
    servers,
    balance,
    mode,
    failBack,
    health: healthOf(pool, pools, surroundings.folder),
    slowStart,
    panic,
    persistence: pool.persistence && persistenceOf(pool.persistence),
    hl7,
    drain: timeouts.drain ?? surroundings.drain,
    link: {
      tls: pool.tls && tlsOf(pool.tls),
      proxyProtocol: pool.proxyProtocol,
      connectTimeout: timeouts.connect,
      responseTimeout: timeouts.response,
    },
  };
}

/** `isFixed`: of studies in independent archives. */
export function persistenceOf(persistence: FilePersistence, isFixed = false): PersistenceConfiguration {
  const { by, netmask, share, name, key } = persistence;
  return {
    by: by.filter((fact) => fact !== 'none'),
    ...limitsOf(persistence, isFixed),
    netmask,
    share,
    cookie: by.includes('cookie') ? { name, key } : undefined,
  };
}

function tlsOf(tls: NonNullable<FilePool['tls']>): TlsClientConfiguration {
  const { verify, ca, servername, cert, key, minVersion, profile } = tls;
  return { verify, ca, servername, cert, key, minVersion, profile };
}

function healthOf(pool: FilePool, pools: readonly FilePool[], folder: string): HealthConfiguration {
  const { health } = pool;
  const { interval, agent } = health;
  const common = { agent: agent && { port: agent.port, interval: agent.interval ?? interval } };
  if (health.track === undefined) {
    const { rise, fall, startDown } = health;
    return { ...checkOf(health, {}, pool, folder), interval, rise, fall, startDown, ...common };
  }
  const tracked = findTracked(pool, pools);
  if (tracked.fault !== undefined) throw new Error(tracked.fault);
  const { timeout, rise, fall, startDown, ...of } = healthOf(tracked.pool, pools, folder);
  return {
    check: 'track',
    pool: tracked.pool.name,
    servers: tracked.servers,
    timeout,
    port: undefined,
    address: undefined,
    interval: of.interval,
    rise,
    fall,
    startDown,
    ...common,
  };
}

/** `whole`: the check that this one is a part of; what it says of the address and the time holds for its parts too. */
function checkOf(
  part: CheckPart,
  whole: { timeout?: number | undefined; port?: number | undefined; address?: string | undefined },
  pool: FilePool,
  folder: string,
): CheckConfiguration {
  const target = {
    timeout: part.timeout ?? whole.timeout ?? CHECK_TIMEOUT,
    port: part.port ?? whole.port,
    address: part.address ?? whole.address,
  };
  const parts = part.all ?? part.any;
  if (parts) {
    return {
      check: part.all ? 'all' : 'any',
      ...target,
      parts: parts.map((inner) => checkOf(inner, target, pool, folder)),
    };
  }
  const { check } = part;
  switch (check) {
    case 'none':
    case 'connect':
    case 'ping':
      return { check, ...target };
    case 'tls':
      return { check, ...target, tls: checkTls(part, pool) };
    case 'http':
      return { check, ...target, ...request(part) };
    case 'https':
      return { check, ...target, ...request(part), tls: checkTls(part, pool) };
    case 'script':
      return { check, ...target, script: resolve(folder, part.script ?? '') };
    case 'dicom-echo':
      return { check, ...target, calling: part.calling, called: part.called };
    case 'hl7':
      return { check, ...target, message: part.message?.replaceAll(/\r?\n/g, '\r') };
  }
}

function request({ method, path, host, status, body, json }: CheckPart) {
  return {
    method,
    path,
    host,
    status,
    body,
    json: json.map(({ path: keys, patterns }) => ({ path: keys, patterns })),
  };
}

/** As the servers are spoken to, where the check does not say otherwise. */
function checkTls({ verify, ca, servername }: CheckPart, { tls }: FilePool): TlsClientConfiguration {
  return {
    verify: verify ?? tls?.verify ?? true,
    ca: ca ?? tls?.ca,
    servername: servername ?? tls?.servername,
    cert: tls?.cert,
    key: tls?.key,
    minVersion: tls?.minVersion ?? 'TLSv1.2',
    profile: tls?.profile,
  };
}
