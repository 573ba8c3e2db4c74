/**
 * least-busy: by live load. Scores within 25 % of the best tie and take turns by weight, so that small differences do
 * not pile everything on one server; servers that have nothing to do tie whatever their weights.
 */
import type { Server } from '../../pools/server.ts';
import type { Balance } from './balance.ts';
import { Turns } from './turns.ts';

const TIE = 1.25;

export interface LeastBusyOptions {
  /** Only equal scores tie: for urgent work. */
  readonly strict?: boolean;
}

/** Work in hand once this work is there too, slowed by slow answers, per weight. */
export function scoreOf(server: Server, now: number): number {
  return ((server.load.inHand + 1) * server.load.slowness(now)) / server.effectiveWeight(now);
}

export function createLeastBusy({ strict = false }: LeastBusyOptions = {}, turns = new Turns()): Balance {
  return {
    why: strict ? 'urgent, the least busy' : 'least busy',
    pick: (servers, { now, prefer }) => {
      if (servers.length === 1) return servers[0]!;
      const scores = servers.map((server) => scoreOf(server, now));
      const best = Math.min(...scores);
      const isIdle = servers[scores.indexOf(best)]!.load.inHand === 0;
      const limit = strict ? best : best * TIE;
      const tied = servers.filter(
        (server, index) => scores[index]! <= limit || (!strict && isIdle && server.load.inHand === 0),
      );
      return turns.pick(tied, (server) => server.effectiveWeight(now) / server.load.slowness(now), prefer);
    },
    fork: () => createLeastBusy({ strict }, turns.fork()),
  };
}
