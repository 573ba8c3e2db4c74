/**
 * A persistence table: which server a key belongs to. Entries rest in a store; while work is being placed, or is held,
 * its key lives here as well, so that whoever comes at the same time is sent to the same server, and the entry can
 * neither expire nor be evicted.
 *
 *     choose ──► claim(S1) ──► confirm    the entry rests in the store, renewed
 *                   │    └───► drop       the last claim gone: as if nothing had been, S0 if that was there before
 *                   └─ S1 cannot be had ─► claim(S2): others that could not have S1 either find S2 here
 *
 * Who confirms first wins: a server that took the work is a better place than one that is still being dialled.
 */
import type { Limits, Store } from './memory.ts';

export interface Entry {
  readonly key: string;
  /** The name of the server. */
  readonly server: string;
  /**
   * Milliseconds that it lives on if it is not used; while work is held there, as long as after its end. Infinity: it
   * lives for ever.
   */
  readonly remaining: number;
}

/** Hears what becomes of the entries, at once; not that one was used again where it is. */
export interface Listener {
  /** It is new, or has moved to another server. */
  placed(entry: Entry): void;
  forgotten(key: string): void;
  cleared(): void;
}

/** A server as the place of a key, for as long as somebody places or holds work there. */
class Place {
  readonly server: string;
  /** What to fall back to while nobody has confirmed this one. */
  before: Place | undefined;
  claims = 0;
  /** How often work was confirmed here. */
  confirmed = 0;

  constructor(server: string, before: Place | undefined) {
    this.server = server;
    this.before = before;
  }
}

/** One piece of work that is being placed. */
export class Claim {
  readonly key: string;
  readonly place: Place;
  /** How often the place had been confirmed when this claim was made. */
  readonly confirmed: number;

  constructor(key: string, place: Place) {
    this.key = key;
    this.place = place;
    this.confirmed = place.confirmed;
    place.claims++;
  }
}

export class Table {
  /** Whoever keeps what becomes of the entries on a disk. */
  listener: Listener | undefined;
  readonly #store: Store;
  readonly #places = new Map<string, Place>();
  #changes = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The server that `key` belongs to now, confirmed or only reserved. */
  serverOf(key: string): string | undefined {
    return this.#places.get(key)?.server ?? this.#store.get(key);
  }

  /** The server that has taken work with `key`; undefined: none has, though one may be reserved. */
  takerOf(key: string): string | undefined {
    const place = this.#places.get(key);
    return place && place.confirmed > 0 ? place.server : this.#store.get(key);
  }

  /** Reserves `server` for `key`, or joins those who did. The claim of an earlier try goes over to this one. */
  claim(key: string, server: string, earlier?: Claim): Claim {
    const current = this.#places.get(key);
    let place = current;
    if (current?.server !== server) {
      place = new Place(server, current);
      // The store has no say while a place is reserved; it still knows the server from before.
      this.#places.set(key, place);
    }
    const claim = new Claim(key, place!);
    if (earlier) this.#leave(earlier);
    return claim;
  }

  /** A claim beside the entry, which stays as it is unless this one is confirmed first. */
  claimBeside(key: string, server: string, earlier?: Claim): Claim {
    const claim = new Claim(key, new Place(server, undefined));
    if (earlier) this.#leave(earlier);
    return claim;
  }

  /**
   * May the holder of this claim, who could not have its server, move the entry? Not when the entry is elsewhere
   * already, nor when somebody was taken by that server after the claim was made.
   */
  mayMove({ key, place, confirmed }: Claim): boolean {
    return this.#places.get(key) === place && place.confirmed === confirmed;
  }

  /** Was work with this key ever taken by the server of the claim? */
  isConfirmed({ key, place }: Claim): boolean {
    return place.confirmed > 0 || this.#store.get(key) === place.server;
  }

  /** The server took the work. `renew`: the entry lives on from now; false while the server drains. */
  confirm(claim: Claim, renew: boolean): void {
    const { key, place } = claim;
    if (!this.#isElsewhere(key, place)) {
      if (this.#places.get(key) !== place) this.#places.set(key, place);
      place.confirmed++;
      place.before = undefined;
      if (renew) this.#put(key, place.server);
    }
    this.#leave(claim);
  }

  #put(key: string, server: string): void {
    const { listener } = this;
    const isNews = listener !== undefined && this.#store.get(key) !== server;
    this.#store.put(key, server);
    this.#changes++;
    if (isNews) listener.placed({ key, server, remaining: this.#store.ttl });
  }

  /** Work with this key is on `server`, from now on: reserved and confirmed in one. */
  put(key: string, server: string): void {
    this.confirm(this.claim(key, server), true);
  }

  /** Was the entry confirmed on another server since `place` was reserved? */
  #isElsewhere(key: string, place: Place): boolean {
    const current = this.#places.get(key);
    if (current === place) return false;
    if (current && current.confirmed > 0) return true;
    const resting = this.#store.get(key);
    // Reserved for another server than had it: who confirms first wins. Where it rests, somebody has confirmed it.
    if (current && (current.before || current.server !== resting)) return false;
    return resting !== undefined && resting !== place.server;
  }

  /** Nothing came of the claim. */
  drop(claim: Claim): void {
    this.#leave(claim);
  }

  /**
   * Keeps the entry alive while work is in hand, if `server` is where `key` belongs. Call `drop` or `confirm` on the
   * claim when the work has ended.
   */
  hold(key: string, server: string): Claim | undefined {
    if (this.serverOf(key) !== server) return undefined;
    const isResting = !this.#places.has(key);
    const claim = this.claim(key, server);
    if (isResting) claim.place.confirmed++;
    return claim;
  }

  /** Forgets an entry. Work in hand is not touched. */
  delete(key: string): boolean {
    const wasPlaced = this.#places.delete(key);
    const wasThere = this.#store.delete(key) || wasPlaced;
    if (wasThere) {
      this.#changes++;
      this.listener?.forgotten(key);
    }
    return wasThere;
  }

  clear(): void {
    this.#changes++;
    this.#places.clear();
    this.#store.clear();
    this.listener?.cleared();
  }

  /** Takes an entry over from an earlier run, as the last used one. */
  restore({ key, server, remaining }: Entry): void {
    this.#store.put(key, server, remaining);
  }

  /** For entries that are used from now on. Those there are stay; if they are too many, the least recently used go. */
  setLimits(limits: Limits): void {
    this.#store.setLimits(limits);
  }

  /** Entries at rest. */
  get size(): number {
    return this.#store.size;
  }

  /** Grows whenever an entry is written, renewed or forgotten. */
  get changes(): number {
    return this.#changes;
  }

  /** The entry of a key, unless it is only reserved. */
  entry(key: string): Entry | undefined {
    const place = this.#places.get(key);
    if (place && place.confirmed > 0) return { key, server: place.server, remaining: this.#store.ttl };
    const server = this.#store.get(key);
    return server === undefined ? undefined : { key, server, remaining: this.#store.remaining(key) };
  }

  /** Every entry, those in use before those at rest, the last used first. To be read at once. */
  *entries(): Generator<Entry> {
    const held = this.#held();
    yield* held;
    const known = new Set(held.map(({ key }) => key));
    for (const key of this.#store.keys()) {
      const entry = known.has(key) ? undefined : this.entry(key);
      if (entry) yield entry;
    }
  }

  /**
   * Every entry, the last used at the end, to be read over many turns of the event loop while the table is used. One
   * that is used meanwhile comes again, as it is then.
   */
  *walk(): Generator<Entry> {
    for (const key of this.#store.walk()) {
      const entry = this.entry(key);
      if (entry) yield entry;
    }
    yield* this.#held();
  }

  /** Entries of work in hand: in the store they may have run out. */
  #held(): Entry[] {
    const placed = [...this.#places].filter(([, { confirmed }]) => confirmed > 0);
    return placed.flatMap(([key]) => this.entry(key) ?? []);
  }

  #leave({ key, place }: Claim): void {
    place.claims--;
    if (place.claims > 0 || this.#places.get(key) !== place) return;
    // Nobody is left here. What was confirmed rests in the store; what was not gives way to what was there before.
    let back = place.before;
    while (back && back.claims === 0) back = back.before;
    if (back) this.#places.set(key, back);
    else this.#places.delete(key);
  }
}
