/**
 * Weighted rendezvous: each server draws a lot from a hash of the key and its own name, and the best lot wins: the same on
 * every machine and after every restart, and when a server leaves only its keys move. Never change this: keys would move.
 */

/** 32 bits of any text: FNV-1a over its UTF-16 code units, well mixed. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return mix(hash);
}

/** The lot of a server for a key, both as hashes: -weight / ln(u), so that one of twice the weight wins twice as often. */
export function lotOf(server: number, key: number, weight: number): number {
  return -weight / Math.log((mix(server ^ key) + 0.5) / 2 ** 32);
}

/** The finalizer of MurmurHash3: each bit of the input turns half the bits of the output. */
export function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
