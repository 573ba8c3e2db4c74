/** Where persistence entries rest, in memory: the least recently used goes when there are too many. */
import { LRUCache } from 'lru-cache';

export interface StoreOptions {
  /** Milliseconds that an entry lives since its last use. */
  readonly ttl: number;
  /** Entries at most. */
  readonly size: number;
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
}

/** Key → the name of a server. An entry lives for `ttl` since it was put. */
export interface Store {
  readonly size: number;
  get(key: string): string | undefined;
  /** Writes or renews an entry. */
  put(key: string, server: string): void;
  delete(key: string): boolean;
  clear(): void;
  /** Key and server of every entry that lives, the last used first. */
  entries(): IterableIterator<[string, string]>;
}

export function createMemoryStore({ ttl, size, now }: StoreOptions): Store {
  // Counted by `maxSize`, not `max`: with `max` the arrays of the cache are as large as they may get from the start.
  const cache = new LRUCache<string, string>({ maxSize: size, ttl, ttlResolution: 0, perf: { now } });
  const one = { size: 1 };
  return {
    get size() {
      return cache.size;
    },
    // Looked at, not used: an entry is used when it is put again.
    get: (key) => cache.peek(key),
    put: (key, server) => {
      cache.set(key, server, one);
    },
    delete: (key) => cache.delete(key),
    clear: () => cache.clear(),
    entries: () => cache.entries(),
  };
}
