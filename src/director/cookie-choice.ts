/**
 * A choice whose client has a cookie that names a server of the pool: that one first, then as without a cookie. Cookies
 * rest with the clients, so no table knows them, and what it has for this client otherwise is left alone while the
 * cookie counts.
 */
import type { Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';
import { type Candidate, type Choice, type Exhausted, placeOf } from './choice.ts';
import type { PersistenceKey } from './persistence.ts';
import type { Search } from './search.ts';

export class CookieChoice implements Choice {
  readonly persistence: PersistenceKey | undefined;
  readonly #rest: Choice;
  readonly #pool: Pool;
  readonly #search: Search;
  readonly #named: Server;
  /** Is the last candidate that of the cookie? Nothing is reserved for it. */
  #isNamed = false;

  /** `rest`: the choice without the cookie, over the same search. */
  constructor(rest: Choice, pool: Pool, search: Search, named: Server) {
    this.#rest = rest;
    this.#pool = pool;
    this.#search = search;
    this.#named = named;
    const { server } = this.#place();
    this.persistence = server ? { by: 'cookie', key: server.name } : rest.persistence;
  }

  get rule(): string {
    return this.#rest.rule;
  }

  get ruleIndex(): number {
    return this.#rest.ruleIndex;
  }

  get reject(): string | undefined {
    return this.#rest.reject;
  }

  get pool(): Pool {
    return this.#pool;
  }

  get urgent(): boolean {
    return this.#rest.urgent;
  }

  get cookie(): string | undefined {
    return this.#rest.cookie;
  }

  get exhausted(): Exhausted | undefined {
    return this.#search.exhausted;
  }

  get stands(): boolean {
    return this.#isNamed || this.#rest.stands;
  }

  get isConfirmed(): boolean {
    return this.#isNamed || this.#rest.isConfirmed;
  }

  next(after?: 'busy' | 'lost'): Candidate | undefined {
    const { server, why } = this.#place();
    if (server && !this.#search.wasTried(server)) {
      const candidate = this.#search.only(server, why);
      // What was reserved without the cookie, while its server could not be had, is not what is settled now.
      if (!candidate) return undefined;
      this.#rest.abandon();
      this.#isNamed = true;
      return candidate;
    }
    const candidate = this.#rest.next(after);
    if (!candidate) return undefined;
    this.#isNamed = false;
    const how = server ? `away from ${server.name}, its server by cookie, which did not take it` : why;
    return { server: candidate.server, reason: `${how}; ${candidate.reason}` };
  }

  settle(): void {
    this.#rest.settle();
  }

  abandon(): void {
    this.#rest.abandon();
  }

  hold(): () => void {
    return this.#rest.hold();
  }

  #place() {
    return placeOf(this.#named.name, this.#pool, 'cookie');
  }
}
