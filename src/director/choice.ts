/** What the director answers: where this work may go, in which order, and why. */
import type { Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';
import type { Claim } from '../tables/table.ts';
import type { Persistence, PersistenceKey } from './persistence.ts';
import type { Search } from './search.ts';

export interface Candidate {
  readonly server: Server;
  /** Why this server, a sentence; without the values of facts. */
  readonly reason: string;
}

/**
 * Why there is no next server. full: somebody is up, but without room. all-tried: nobody is left to ask. away: only one
 * server may have it (a study in independent archives), and that one is not to be had now.
 */
export type Exhausted = 'none-up' | 'full' | 'all-tried' | 'away';

export interface ChooseOptions {
  /** Full servers are candidates too. */
  readonly ignoreRoom?: boolean | undefined;
  /** The caller has a connection to this server already: it needs no room there. */
  readonly isOpen?: ((server: Server) => boolean) | undefined;
  /** Of servers that a balance finds as good, the one to take, unless that would leave others out of their turn. */
  readonly prefer?: Server | undefined;
  /** Work of a kind takes turns among itself. */
  readonly kind?: string | undefined;
  /** Could this server do it at all? One that has the entry of the work is asked all the same. */
  readonly isFit?: ((server: Server) => boolean) | undefined;
  /** A limit of the caller's own, beside the server's. */
  readonly hasRoom?: ((server: Server) => boolean) | undefined;
  /** The work is urgent, whatever the rule says. */
  readonly urgent?: boolean | undefined;
}

export interface Choice {
  /** `routes[1]`, counted from 1, or `default`. */
  readonly rule: string;
  /** The index of the rule among those the director was made with; -1: none matched. */
  readonly ruleIndex: number;
  /** The name of a rejection, or `no-route`. Then there is no candidate. */
  readonly reject: string | undefined;
  readonly pool: Pool | undefined;
  readonly urgent: boolean;
  /** HTTP: the name of the cookie that is to bring this client back to the server that takes the work. */
  readonly cookie: string | undefined;
  /** The fact by which this work comes back to its server, and its value (which may be patient data). */
  readonly persistence: PersistenceKey | undefined;
  /** Why the last `next()` had nothing. It may be asked again when something got free. */
  readonly exhausted: Exhausted | undefined;
  /**
   * Does the reservation of the last candidate still stand? False when others, who could not have that server, have
   * taken the entry elsewhere meanwhile: then `next` finds them there.
   */
  readonly stands: boolean;
  /**
   * The next server to try. Its persistence entry is reserved before this returns; the reservation of the candidate
   * before it is given up. With nothing left to try, the candidate before stays the one that `settle` is about.
   * `after` tells why it is asked again: a server that is only `busy` keeps the entry that it has; from one that is
   * `lost` the entry moves whatever others did there, so that all its work goes on at one place.
   */
  next(after?: 'busy' | 'lost'): Candidate | undefined;
  /** Has work of the candidate's entry been taken by that server before? */
  readonly isConfirmed: boolean;
  /** The last candidate took the work: its entry is confirmed and lives on from now. */
  settle(): void;
  /** Nothing was had: what this choice reserved is dropped, what it moved is put back. */
  abandon(): void;
  /**
   * After `settle`: the work goes on, and its entry lives at least as long. Returns what to call when it ended,
   * from when on the entry lives for its `ttl`.
   */
  hold(): () => void;
}

/** Where a choice goes, as the rules have it. */
export interface Destination {
  readonly rule: string;
  /** -1: no rule matched. */
  readonly ruleIndex: number;
  readonly reject: string | undefined;
  readonly pool: Pool | undefined;
  readonly urgent: boolean;
}

/** A choice without persistence, or without any candidate. */
export class PlainChoice implements Choice {
  readonly rule: string;
  readonly ruleIndex: number;
  readonly reject: string | undefined;
  readonly pool: Pool | undefined;
  readonly urgent: boolean;
  readonly cookie: string | undefined;
  readonly persistence: PersistenceKey | undefined = undefined;
  readonly #search: Search | undefined;

  constructor(
    { rule, ruleIndex, reject, pool, urgent }: Destination,
    search: Search | undefined,
    cookie?: string,
  ) {
    this.rule = rule;
    this.ruleIndex = ruleIndex;
    this.cookie = cookie;
    this.reject = reject;
    this.pool = pool;
    this.urgent = urgent;
    this.#search = search;
  }

  get exhausted(): Exhausted | undefined {
    return this.#search?.exhausted;
  }

  get stands(): boolean {
    return true;
  }

  get isConfirmed(): boolean {
    return false;
  }

  next(): Candidate | undefined {
    return this.#search?.next();
  }

  settle(): void {}

  abandon(): void {}

  hold(): () => void {
    return () => {};
  }
}

/** A choice whose work comes back to its server. */
export class PersistentChoice implements Choice {
  readonly rule: string;
  readonly ruleIndex: number;
  readonly reject = undefined;
  readonly pool: Pool;
  readonly urgent: boolean;
  readonly cookie: string | undefined;
  readonly persistence: PersistenceKey;
  readonly #search: Search;
  readonly #table: Persistence['table'];
  readonly #entry: string;
  readonly #isFixed: boolean;
  /** The server that alone may have the work may not have it now. */
  #isAway = false;
  /** The candidate that was handed out last. */
  #server: Server | undefined;
  #claim: Claim | undefined;

  constructor(
    { rule, ruleIndex, urgent }: Destination,
    pool: Pool,
    search: Search,
    persistence: Persistence,
    key: PersistenceKey,
  ) {
    this.rule = rule;
    this.ruleIndex = ruleIndex;
    this.pool = pool;
    this.urgent = urgent;
    this.cookie = persistence.cookie;
    this.persistence = key;
    this.#search = search;
    this.#table = persistence.table;
    this.#entry = persistence.entryOf(key, pool);
    this.#isFixed = persistence.isFixed;
  }

  get exhausted(): Exhausted | undefined {
    return this.#isAway ? 'away' : this.#search.exhausted;
  }

  get stands(): boolean {
    return this.#server !== undefined && this.#table.serverOf(this.#entry) === this.#server.name;
  }

  get isConfirmed(): boolean {
    return this.#claim === undefined || this.#table.isConfirmed(this.#claim);
  }

  next(after?: 'busy' | 'lost'): Candidate | undefined {
    const { by } = this.persistence;
    const taker = this.#isFixed ? this.#table.takerOf(this.#entry) : undefined;
    const { server, why } = placeOf(taker ?? this.#table.serverOf(this.#entry), this.pool, by);
    this.#isAway = taker !== undefined && (!server || this.#search.wasTried(server));
    if (this.#isAway) return undefined;
    if (!server) return this.#claimed(this.#search.next(why), false);
    if (!this.#search.wasTried(server)) return this.#claimed(this.#search.only(server, why), false);
    // This choice could not have the server of the entry. It moves, unless others know better by now.
    const claim = this.#claim;
    const stays = after === 'busy' && claim !== undefined && this.#table.isConfirmed(claim);
    const isOthers = stays || !claim || !this.#table.mayMove(claim);
    // What is fixed has one place only, also while it is looked for: whoever is taken there first decides.
    const beside = !this.#isFixed && after !== 'lost' && isOthers;
    const how = beside
      ? `away from ${server.name}, its server by ${by}`
      : `persistence by ${by} moved from ${server.name}`;
    return this.#claimed(this.#search.next(`${how}, which did not take it`), beside);
  }

  settle(): void {
    if (!this.#claim) return;
    this.#table.confirm(this.#claim, this.#renews(this.#server!));
    this.#claim = undefined;
  }

  abandon(): void {
    if (this.#claim) this.#table.drop(this.#claim);
    this.#claim = undefined;
    this.#server = undefined;
  }

  hold(): () => void {
    const server = this.#server;
    let claim = server && this.#table.hold(this.#entry, server.name);
    return () => {
      if (!claim) return;
      // Others may have found its server lost, and be on their way to another one.
      const isStillThere = this.#table.serverOf(this.#entry) === server!.name;
      if (isStillThere) this.#table.confirm(claim, this.#renews(server!));
      else this.#table.drop(claim);
      claim = undefined;
    };
  }

  /** A draining server keeps what it has for as long as that was to live; what is fixed it keeps. */
  #renews(server: Server): boolean {
    return this.#isFixed || !server.isDraining;
  }

  #claimed(candidate: Candidate | undefined, beside: boolean): Candidate | undefined {
    if (!candidate) return undefined;
    this.#server = candidate.server;
    const { name } = candidate.server;
    this.#claim = beside
      ? this.#table.claimBeside(this.#entry, name, this.#claim)
      : this.#table.claim(this.#entry, name, this.#claim);
    return candidate;
  }
}

/**
 * What the entry of a key, or a cookie, says: its server, or, without one that may have the work, why it is looked for
 * anew. An entry moves only when its server is down or out, never because it is busy; where one server has all the work,
 * only that one counts.
 */
export function placeOf(
  name: string | undefined,
  pool: Pool,
  by: string,
):
  | { readonly server: Server; readonly why: string }
  | { readonly server: undefined; readonly why: string | undefined } {
  if (name === undefined) return { server: undefined, why: undefined };
  const server = pool.server(name);
  if (server && (pool.takers.includes(server) || isHonoured(server, pool, by))) {
    const how = server.isDraining ? ', still honoured while it drains' : '';
    return { server, why: `persistence by ${by}: its server${how}` };
  }
  const state = server?.eligible ? 'not the active one' : (server?.state ?? 'gone');
  return { server: undefined, why: `persistence by ${by} moved from ${name}, which is ${state}` };
}

function isHonoured(server: Server, { mode }: Pool, by: string): boolean {
  if (mode === 'single-active') return false;
  return by === 'cookie' ? server.honoursCookies : server.honoursPersistence;
}
