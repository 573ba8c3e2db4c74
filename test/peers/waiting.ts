/** Waiting for things to happen, with a sentence for the day they do not. Nothing here sleeps. */

/** How long a test waits for an event before it says what it waited for. */
const PATIENCE_MS = 30_000;

/** `promise`, or after 30 s (or `ms`) an error that names `what` was waited for. `Infinity` waits for ever. */
export async function within<T>(promise: Promise<T>, what: string, ms = PATIENCE_MS): Promise<T> {
  if (ms === Number.POSITIVE_INFINITY) return promise;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`waited ${ms / 1000} s for ${what}`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves when `isSo`; looked at in every turn of the event loop. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  let isGivenUp = false;
  const look = async () => {
    while (!isSo() && !isGivenUp) await new Promise(setImmediate);
  };
  try {
    await within(look(), what);
  } finally {
    isGivenUp = true;
  }
}

/** A list that grows while a test watches: what a peer received, what the balancer published. */
export class Journal<T> {
  readonly items: T[] = [];
  readonly #name: string;
  readonly #watchers = new Set<() => void>();

  /** `name`: what the entries are, for the sentence when one stays away. */
  constructor(name: string) {
    this.#name = name;
  }

  get length(): number {
    return this.items.length;
  }

  add(item: T): void {
    this.items.push(item);
    this.changed();
  }

  /** An entry changed in place: whoever waits looks again. */
  changed(): void {
    for (const look of this.#watchers) look();
  }

  /** Forgets the entries; who waits for one waits on. */
  clear(): void {
    this.items.length = 0;
  }

  /** The first entry that `wanted` accepts, now or later. */
  find(wanted: (item: T) => boolean, ms?: number): Promise<T> {
    return this.#until(() => this.items.find(wanted), `a fitting entry among the ${this.#name}`, ms);
  }

  /** All entries, once there are `count` of them (that `wanted` accepts). */
  count(count: number, wanted: (item: T) => boolean = () => true, ms?: number): Promise<readonly T[]> {
    const enough = () => {
      const fitting = this.items.filter(wanted);
      return fitting.length >= count ? fitting : undefined;
    };
    return this.#until(enough, `${count} ${this.#name}`, ms);
  }

  async #until<R>(look: () => R | undefined, what: string, ms?: number): Promise<R> {
    const already = look();
    if (already !== undefined) return already;
    const { promise, resolve } = Promise.withResolvers<R>();
    const watcher = () => {
      const found = look();
      if (found !== undefined) resolve(found);
    };
    this.#watchers.add(watcher);
    try {
      return await within(promise, `${what} (there are ${this.items.length})`, ms);
    } finally {
      this.#watchers.delete(watcher);
    }
  }
}

/** A door that a test opens: scripts wait before it. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function createGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}
