/** random-two: of two servers drawn by weight, the less busy one. */
import type { Server } from '../../pools/server.ts';
import type { Balance, Circumstances } from './balance.ts';
import { scoreOf } from './least-busy.ts';

export function createRandomTwo(): Balance {
  return {
    why: 'the less busy of two drawn',
    pick: (servers, circumstances) => {
      if (servers.length === 1) return servers[0]!;
      const one = draw(servers, circumstances);
      const other = draw(
        servers.filter((server) => server !== one),
        circumstances,
      );
      return scoreOf(other, circumstances.now) < scoreOf(one, circumstances.now) ? other : one;
    },
    fork: createRandomTwo,
  };
}

function draw(servers: readonly Server[], { now, random }: Circumstances): Server {
  let left = random() * servers.reduce((sum, server) => sum + server.effectiveWeight(now), 0);
  for (const server of servers) {
    left -= server.effectiveWeight(now);
    if (left < 0) return server;
  }
  return servers.at(-1)!;
}
