/** The persistence tables: look at entries, clear them. Keys that may be patient data are shown as keyed hashes. */
import type { FastifyInstance } from 'fastify';
import { type KeyedHash, publicFacts } from '../observe/privacy.ts';
import type { EntryDocument } from './documents.ts';
import { clearedSchema, entriesSchema } from './schemas.ts';

/** One entry as it is, to be shown by its fact. */
export interface Entry {
  /** `vip NAME`, `pool NAME` or `share NAME`. */
  readonly table: string;
  /** Its key in the table. */
  readonly entry: string;
  /** The pool it is for; undefined in a shared table. */
  readonly pool: string | undefined;
  /** The fact by which work comes back, or `source-ip`. */
  readonly by: string;
  readonly value: string;
  readonly server: string;
  /** Milliseconds it lives on if it is not used; Infinity: for ever. */
  readonly remaining: number;
}

export interface PersistenceSource {
  entries(): Iterable<Entry>;
  /** Forgets one entry. Work in hand is not touched. */
  clear(entry: Entry): void;
  /** Of layer 4 VIPs; not there: there are none. */
  readonly layer4?: Layer4Persistence | undefined;
}

/** What the kernel remembers for layer 4 VIPs. Both reject with a GantryError, a sentence, when it cannot be asked. */
export interface Layer4Persistence {
  /** `table`, as `vip NAME`: only what is in this one. `entry` is the key as the kernel has it. */
  entries(table: string | undefined): Promise<readonly Entry[]>;
  /** Forgets these, open flows go on. How many of them were still there. */
  clear(entries: readonly Entry[]): Promise<number>;
}

export interface PersistenceOptions {
  readonly source: PersistenceSource;
  readonly hash: KeyedHash;
  readonly hashUids: boolean;
}

/** Entries of one answer: a table may have a million. */
const MOST = 1000;

interface Wanted {
  readonly Querystring: { readonly table?: string; readonly key?: string };
}

export function addPersistence(
  server: FastifyInstance,
  { source, hash, hashUids }: PersistenceOptions,
): void {
  const shown = ({ by, value }: Entry): string => {
    if (by === 'source-ip') return value;
    const [fact = ''] = Object.values(publicFacts({ [by]: value }, hash, hashUids));
    return String(fact);
  };
  const document = (entry: Entry): EntryDocument => ({
    table: entry.table,
    pool: entry.pool ?? null,
    by: entry.by,
    key: shown(entry),
    server: entry.server,
    remaining: entry.remaining === Infinity ? null : Math.round(entry.remaining),
  });
  const found = ({ table, key }: Wanted['Querystring'], most = Infinity): Entry[] => {
    const entries: Entry[] = [];
    for (const entry of source.entries()) {
      if (entries.length === most) break;
      if (table !== undefined && entry.table !== table) continue;
      if (key === undefined || entry.value === key || shown(entry) === key) entries.push(entry);
    }
    return entries;
  };
  const querystring = {
    type: 'object',
    properties: { table: { type: 'string' }, key: { type: 'string' } },
    additionalProperties: false,
  };
  server.get<Wanted>(
    '/api/v1/persistence',
    { schema: { querystring, response: { 200: entriesSchema } } },
    ({ query }) => found(query, MOST).map(document),
  );
  server.delete<Wanted>(
    '/api/v1/persistence',
    { schema: { querystring, response: { 200: clearedSchema } } },
    ({ query }) => {
      const entries = found(query);
      for (const entry of entries) source.clear(entry);
      return { cleared: entries.length };
    },
  );
}
