/** Where persistence entries rest, in memory: the least recently used goes when there are too many. */
import { LRUCache } from 'lru-cache';

export interface Limits {
  /** Milliseconds that an entry lives since its last use; Infinity: for ever. */
  readonly ttl: number;
  /** Entries at most. */
  readonly size: number;
}

export interface StoreOptions extends Limits {
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
  /** Called once, when the first entry goes that was to live for ever: there are too many. */
  readonly forgets?: (() => void) | undefined;
}

/** Key → the name of a server. An entry lives for `ttl` since it was put. */
export interface Store {
  readonly size: number;
  readonly ttl: number;
  get(key: string): string | undefined;
  /** Milliseconds that an entry lives on if it is not put again; 0: there is none; Infinity: it lives for ever. */
  remaining(key: string): number;
  /**
   * Writes or renews an entry. `remaining`: milliseconds that it lives, at most `ttl`; of no account where entries live
   * for ever.
   */
  put(key: string, server: string, remaining?: number): void;
  delete(key: string): boolean;
  clear(): void;
  /**
   * For what is put from now on; entries beyond the new size go by and by. From some time to for ever, or back, is for
   * every entry.
   */
  setLimits(limits: Limits): void;
  /** The keys of all entries that live, the last used first. To be read at once: what is put meanwhile ends it. */
  keys(): IterableIterator<string>;
  /**
   * The same, the last used at the end, and to be read over many turns of the event loop: entries may be put and
   * deleted meanwhile. What is put is passed at the end, perhaps for the second time; a key may be gone by then.
   */
  walk(): IterableIterator<string>;
}

export function createMemoryStore(options: StoreOptions): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  readonly #cache: LRUCache<string, string>;
  readonly #walks = new Set<Walk>();
  /** How an entry is put; the cache writes into it. */
  readonly #usual = { size: 1 };
  #size: number;
  #forgets: (() => void) | undefined;

  constructor({ ttl, size, now, forgets }: StoreOptions) {
    this.#size = size;
    this.#forgets = forgets;
    // The size may change, which that of the cache may not. With `max` its arrays were as large as they may get from
    // the start; with `maxSize` they grow.
    const maxSize = Number.MAX_SAFE_INTEGER;
    this.#cache = new LRUCache({ maxSize, ttl: written(ttl), ttlResolution: 0, perf: { now } });
  }

  get size(): number {
    return this.#cache.size;
  }

  get ttl(): number {
    return this.#cache.ttl || Infinity;
  }

  // Looked at, not used: an entry is used when it is put again.
  get(key: string): string | undefined {
    return this.#cache.peek(key);
  }

  remaining(key: string): number {
    return Math.max(this.#cache.getRemainingTTL(key), 0);
  }

  put(key: string, server: string, remaining?: number): void {
    this.#set(key, server, remaining);
    // Nothing goes while somebody walks; two at a time make up for it.
    for (let gone = 0; gone < 2 && this.#isOverfull; gone++) this.#pop();
  }

  delete(key: string): boolean {
    this.#leaves(key, false);
    return this.#cache.delete(key);
  }

  clear(): void {
    this.#cache.clear();
  }

  setLimits({ ttl, size }: Limits): void {
    const turns = (ttl === Infinity) !== (this.ttl === Infinity);
    this.#cache.ttl = written(ttl);
    this.#size = size;
    // What was to run out must not any more; what was to stay for ever would, as nobody may ever use it again.
    if (turns) for (const key of [...this.#cache.rkeys()]) this.#set(key, this.#cache.peek(key)!);
  }

  keys(): IterableIterator<string> {
    return this.#cache.keys();
  }

  *walk(): Generator<string> {
    const walk = new Walk(this.#cache.rkeys());
    this.#walks.add(walk);
    try {
      for (let key = walk.next(); key !== undefined; key = walk.next()) yield key;
    } finally {
      this.#walks.delete(walk);
    }
  }

  #set(key: string, server: string, remaining = Infinity): void {
    this.#leaves(key, true);
    const isUsual = remaining >= this.ttl || this.ttl === Infinity;
    this.#cache.set(key, server, isUsual ? this.#usual : { size: 1, ttl: remaining });
  }

  get #isOverfull(): boolean {
    return this.#cache.size > this.#size && this.#walks.size === 0;
  }

  #pop(): void {
    this.#cache.pop();
    if (this.ttl < Infinity) return;
    this.#forgets?.();
    this.#forgets = undefined;
  }

  #leaves(key: string, isPut: boolean): void {
    if (this.#walks.size > 0) for (const walk of this.#walks) walk.leaves(key, isPut);
  }
}

/** The cache's word for ever is 0. */
function written(ttl: number): number {
  return ttl === Infinity ? 0 : ttl;
}

/**
 * The cache's own iterator stands on an entry, and goes on from wherever that is by then: at the end, once it was put
 * again. So the iterator is sent ahead before the entry goes. What is put has moved to the end, and is not walked to
 * there, where it could always be put once more: the walk keeps in mind what that was, and ends with it.
 */
class Walk {
  readonly #keys: Iterator<string>;
  readonly #ahead: string[] = [];
  readonly #moved = new Set<string>();
  #atMoved: Iterator<string> | undefined;
  /** The key of the entry that the iterator stands on. */
  #place: string | undefined;

  constructor(keys: Iterator<string>) {
    this.#keys = keys;
  }

  next(): string | undefined {
    if (this.#atMoved) return this.#atMoved.next().value;
    for (let key = this.#ahead.shift(); key !== undefined; key = this.#ahead.shift()) {
      if (!this.#moved.has(key)) return key;
    }
    const key = this.#step();
    if (key !== undefined && !this.#moved.has(key)) return key;
    this.#atMoved = this.#moved.values();
    return this.#atMoved.next().value;
  }

  /** The entry is about to be put, or to go. */
  leaves(key: string, isPut: boolean): void {
    if (this.#atMoved) return;
    if (key === this.#place) {
      const next = this.#step();
      if (next !== undefined) this.#ahead.push(next);
    }
    if (isPut) this.#moved.add(key);
  }

  #step(): string | undefined {
    const { value, done } = this.#keys.next();
    this.#place = done ? undefined : value;
    return this.#place;
  }
}
