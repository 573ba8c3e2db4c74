/**
 * Pins: messages that belong together beyond one patient's order go to one server, also when some time lies between them
 * (`protocols/hl7/ties.ts`).
 *
 *     stream      messages with sequence numbers (MSH-13) of one sender for one receiver: one after another, whatever
 *                 their patients, to the server that has stored the number of the last one
 *     fragments   of one continued message (MSH-14, DSC): one after another, to the server that has the first, and in
 *                 the order of its patient, though only the first names that. What others send of that patient meanwhile
 *                 may come between two fragments: a receiver joins them by their pointers (HL7 v2.5.1 2.10.2)
 *
 * A pin holds as long as its server may have work that persistence keeps there and can be dialled: not when health checks
 * find it down, an operator halts it, or the configuration has it no more. Then the next message goes where the rules send
 * it, and the pin with it. For that case the standard has numbers and pointers: a server that misses something says so
 * (2.10.1).
 *
 * An entry of the table is the key of a tie; its place `POOL/SERVER`. A rule that sends a fragment to another pool than
 * the first one's wins: it should look at MSH only, which all of them have. A fragment that is streamed is not known to
 * be followed by others: its DSC is not read before it goes.
 */
import { isSenderKey } from '../../../protocols/hl7/patient.ts';
import type { Ties } from '../../../protocols/hl7/ties.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Server } from '../../pools/server.ts';
import type { Limits } from '../../tables/memory.ts';
import type { Table } from '../../tables/table.ts';

export const PIN_LIMITS: Limits = { ttl: 24 * 3_600_000, size: 10_000 };

/** Fragments whose followers are awaited; of more than that the first are forgotten. */
const MOST_FRAGMENTS = 10_000;

export class Pins {
  readonly #table: Table;
  /** By what were kept in order those that a fragment follows, by the key that it shares with them. */
  readonly #fragments = new Map<string, readonly string[]>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** By what a message with these ties is kept in order; without them it would be by `keys`. */
  keysOf(ties: Ties, keys: readonly string[]): readonly string[] {
    const { stream, before, after } = ties;
    const inherited = before === undefined ? undefined : this.#fragments.get(before);
    // A fragment that names no patient has that of the first.
    const own = inherited ? [...inherited, ...keys.filter((key) => !isSenderKey(key))] : keys;
    const all = new Set(own);
    if (after !== undefined) this.#await(after, [...all]);
    for (const key of [before, after, stream]) if (key !== undefined) all.add(key);
    return [...all];
  }

  /** The server of this pool that the message should go to; undefined: any. */
  serverOf({ stream, before }: Ties, pool: Pool): Server | undefined {
    return this.#pinned(before, pool) ?? this.#pinned(stream, pool);
  }

  /** A server took the message. */
  went(ties: Ties, { pool, name }: Server): void {
    for (const key of [ties.stream, ties.before, ties.after]) {
      if (key !== undefined) this.#table.put(key, `${pool}/${name}`);
    }
  }

  #pinned(key: string | undefined, pool: Pool): Server | undefined {
    const place = key === undefined ? undefined : this.#table.serverOf(key);
    if (!place?.startsWith(`${pool.name}/`)) return undefined;
    const server = pool.server(place.slice(pool.name.length + 1));
    return server?.honoursPersistence ? server : undefined;
  }

  #await(after: string, keys: readonly string[]): void {
    this.#fragments.delete(after);
    this.#fragments.set(after, keys);
    if (this.#fragments.size > MOST_FRAGMENTS) this.#fragments.delete(this.#fragments.keys().next().value!);
  }
}
