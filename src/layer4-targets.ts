/** What the kernel is told of the servers of a pool: the words of checks and operators as duties, weights as whole numbers. */
import type { Target } from './layer4/service.ts';
import type { Pool } from './pools/pool.ts';
import type { Server } from './pools/server.ts';

export interface TargetsOptions {
  /** Milliseconds of the clock. */
  readonly now: number;
  /** Has its open work had its time, after a halt or a failover? */
  readonly isCut: (server: Server) => boolean;
  /** What its weight is multiplied by; 1: it has as much to do as the others. */
  readonly share: (server: Server) => number;
}

/** Parts of a weight: slow starts and `least-busy` want less than a whole one. */
const FINENESS = 16;

/** In the order of the configuration. */
export function targetsOf(pool: Pool, { now, isCut, share }: TargetsOptions): Target[] {
  const chosen = new Set(chosenOf(pool));
  return pool.servers.map((server) => {
    const weight = chosen.has(server) ? server.effectiveWeight(now) * share(server) * FINENESS : 0;
    return {
      name: targetName(server),
      address: server.host,
      port: server.port,
      weight: weight > 0 ? Math.max(1, Math.round(weight)) : 0,
      duty: isCut(server) ? 'gone' : dutyOf(server, pool),
    };
  });
}

/** A server that the pool does not have yet. */
export function newTarget(pool: string, { name, host, port, weight }: NewServer): Target {
  return { name: targetName({ pool, name }), address: host, port, weight: weight * FINENESS, duty: 'open' };
}

interface NewServer {
  readonly name: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly weight: number;
}

export function targetName({ pool, name }: Pick<Server, 'pool' | 'name'>): string {
  return `${pool}/${name}`;
}

/** The pool and the server of a target's name. Names of pools have no slash. */
export function splitTarget(name: string): readonly [pool: string, server: string] {
  const slash = name.indexOf('/');
  return [name.slice(0, slash), name.slice(slash + 1)];
}

/** Who gets new work by balance: backups when nobody else may, one alone when the balance is `first`. */
function chosenOf({ takers, balance }: Pool): readonly Server[] {
  const withRoom = takers.filter(({ hasRoom }) => hasRoom);
  const proper = withRoom.filter(({ backup }) => !backup);
  const chosen = proper.length > 0 ? proper : withRoom;
  return balance === 'first' ? chosen.slice(0, 1) : chosen;
}

function dutyOf(server: Server, pool: Pool): Target['duty'] {
  // With health ignored (`panic`), one that is down takes work too.
  if (pool.takers.includes(server)) return 'open';
  if (server.isDown) return 'gone';
  if (!server.honoursPersistence || pool.mode === 'single-active') return 'flows';
  return server.isDraining ? 'sticky' : 'open';
}
