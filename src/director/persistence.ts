/**
 * Persistence: by what fact work comes back to its server, and in which table that is kept.
 *
 * A key in the table is `POOL/FACT=VALUE`. Of a table that several VIPs share it is `FACT=VALUE`, so that servers of
 * one name are one server whichever pool they are in: a client keeps its machine over all ports. Where entries are fixed
 * the pool stays in the key: there a server that a pool does not have is one that is gone, and not another pool's.
 */
import { createHash } from 'node:crypto';
import { type Facts, firstValue } from '../../protocols/facts.ts';
import type { Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';
import type { Table } from '../tables/table.ts';
import { sourceOf } from './address.ts';

export interface PersistenceOptions {
  /** `source-ip`, `cookie` or any fact; the first that has a value counts. Empty: no persistence. */
  readonly by: readonly string[];
  readonly table: Table;
  /** For `cookie`: its name. */
  readonly cookie?: string | undefined;
  /** For `source-ip`: leading bits that make one source. */
  readonly netmask?: number | undefined;
  /** The table belongs to several VIPs or pools. */
  readonly isShared?: boolean | undefined;
  /**
   * Work that a server has taken never goes to another (studies in independent archives): what `hash` says of the key
   * comes first, and from the first work on its entry stays as it is, whatever becomes of the server.
   */
  readonly isFixed?: boolean | undefined;
}

/** By which fact one piece of work comes back, and its value. */
export interface PersistenceKey {
  readonly by: string;
  readonly key: string;
}

/** Values that are longer are kept as a hash, so that no sender can make entries large. */
const LONGEST_VALUE = 64;

export class Persistence {
  readonly table: Table;
  /** The name of the cookie that brings a client back to its server; undefined: none is set. */
  readonly cookie: string | undefined;
  readonly isFixed: boolean;
  readonly #by: readonly string[];
  /** What goes before the cookie. */
  readonly #beforeCookie: readonly string[];
  readonly #netmask: number | undefined;
  readonly #isShared: boolean;

  constructor({ by, table, cookie, netmask, isShared = false, isFixed = false }: PersistenceOptions) {
    this.table = table;
    this.isFixed = isFixed;
    const place = by.indexOf('cookie');
    this.cookie = place < 0 ? undefined : cookie;
    this.#beforeCookie = by.slice(0, Math.max(place, 0));
    this.#by = by.filter((fact) => fact !== 'cookie');
    this.#netmask = netmask;
    this.#isShared = isShared;
  }

  /**
   * The fact that brings the work back when no cookie does. undefined: these facts have none of the values that would.
   */
  keyOf(facts: Facts): PersistenceKey | undefined {
    for (const by of this.#by) {
      const value = valueIn(facts, by);
      if (value !== undefined)
        return { by, key: by === 'source-ip' ? sourceOf(value, this.#netmask) : value };
    }
    return undefined;
  }

  /**
   * The server that the client's cookie names. The fact `serverCookie.NAME` has the names of the servers in it, those
   * whose key was right; several pools may use one cookie name, so that not each is one of this pool.
   */
  cookieServer(facts: Facts, pool: Pool): Server | undefined {
    if (this.cookie === undefined) return undefined;
    const names = facts.get(`serverCookie.${this.cookie}`);
    if (names === undefined || this.#beforeCookie.some((by) => valueIn(facts, by) !== undefined)) {
      return undefined;
    }
    const known = (typeof names === 'string' ? [names] : names).find((name) => pool.server(name));
    return known === undefined ? undefined : pool.server(known);
  }

  /** The key in the table for work that goes to `pool`. */
  entryOf({ by, key }: PersistenceKey, pool: Pool): string {
    const value = key.length > LONGEST_VALUE ? hashed(key) : key;
    if (this.#isShared && !this.isFixed) {
      const entry = joined(by, '=', value);
      const server = this.table.serverOf(entry);
      // A pool that does not have the server keeps an entry of its own: taking this one would move it to and fro.
      if (server === undefined || pool.server(server)) return entry;
    }
    return joined(pool.name, '/', by, '=', value);
  }
}

/** What a key of the table says: `pool` is undefined in a shared table; a long value is its hash, `sha256:…`. */
export function entryParts(entry: string): PersistenceKey & { readonly pool: string | undefined } {
  const equals = entry.indexOf('=');
  const slash = entry.slice(0, equals).indexOf('/');
  const pool = slash < 0 ? undefined : entry.slice(0, slash);
  return { pool, by: entry.slice(slash + 1, equals), key: entry.slice(equals + 1) };
}

function valueIn(facts: Facts, by: string): string | undefined {
  return firstValue(facts.get(by === 'source-ip' ? 'client' : by));
}

/** One piece of text. Concatenated text would remember its pieces, for as long as the entry lives. */
function joined(...pieces: string[]): string {
  return pieces.join('');
}

function hashed(value: string): string {
  return `sha256:${createHash('sha256').update(value).digest('base64url')}`;
}
