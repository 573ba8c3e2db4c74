/** hash: weighted rendezvous. Configured weights count, live load does not, or keys would wander. */
import { hashOf, lotOf } from '../../rendezvous.ts';
import type { Balance } from './balance.ts';

export function createHash(): Balance {
  return {
    why: 'by hash',
    pick: (servers, { key }) => {
      const hashOfKey = hashOf(key);
      let picked = servers[0]!;
      let best = -Infinity;
      for (const server of servers) {
        const lot = lotOf(hashOf(server.name), hashOfKey, server.weight);
        if (lot > best) {
          best = lot;
          picked = server;
        }
      }
      return picked;
    },
    fork: createHash,
  };
}
