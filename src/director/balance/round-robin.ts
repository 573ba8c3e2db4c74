/** round-robin: everybody in turn, by weight. */
import type { Balance } from './balance.ts';
import { Turns } from './turns.ts';

export function createRoundRobin(turns = new Turns()): Balance {
  return {
    why: 'its turn',
    pick: (servers, { now, prefer }) => turns.pick(servers, (server) => server.effectiveWeight(now), prefer),
    fork: () => createRoundRobin(turns.fork()),
  };
}
