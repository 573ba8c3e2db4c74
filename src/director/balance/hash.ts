/**
 * hash: weighted rendezvous. Each server draws a lot from the key and its own name, and the best lot wins: the same on
 * every machine and after every restart, and when a server leaves only its keys move. Configured weights count, live
 * load does not, or keys would wander.
 *
 * Lots: -weight / ln(u), u between 0 and 1 from a hash of key and name; a server of twice the weight wins twice as often.
 */
import type { Balance } from './balance.ts';

export function createHash(): Balance {
  return {
    why: 'by hash',
    pick: (servers, { key }) => {
      const hashOfKey = hashOf(key);
      let picked = servers[0]!;
      let best = -Infinity;
      for (const server of servers) {
        const lot = lotOf(hashOfKey, server.name, server.weight);
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

function lotOf(hashOfKey: number, name: string, weight: number): number {
  const hash = mix(hashOfKey ^ hashOf(name));
  return -weight / Math.log((hash + 0.5) / 2 ** 32);
}

/** 32 bits of any text: FNV-1a over its UTF-16 code units, well mixed. Never change this: keys would move. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mix(hash);
}

/** The finalizer of MurmurHash3: each bit of the input turns half the bits of the output. */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
