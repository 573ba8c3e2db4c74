/** The persistence tables: look at entries, clear them. Keys that may be patient data are shown as keyed hashes. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { GantryError } from '../errors.ts';
import { type KeyedHash, publicFacts } from '../observe/privacy.ts';
import type { EntryDocument } from './documents.ts';
import { problem } from './problem.ts';
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
  const isWanted = ({ table, key }: Wanted['Querystring'], entry: Entry): boolean =>
    (table === undefined || entry.table === table) &&
    (key === undefined || entry.value === key || shown(entry) === key);
  /** Those of memory, read at once, before those of the kernel, which have to be asked for. */
  const found = async (wanted: Wanted['Querystring'], most = Infinity): Promise<Found> => {
    const own: Entry[] = [];
    for (const entry of source.entries()) {
      if (own.length === most) break;
      if (isWanted(wanted, entry)) own.push(entry);
    }
    if (!source.layer4 || own.length === most) return { own, kernel: [] };
    const kernel = (await source.layer4.entries(wanted.table)).filter((entry) => isWanted(wanted, entry));
    return { own, kernel: kernel.slice(0, most - own.length) };
  };
  const querystring = {
    type: 'object',
    properties: { table: { type: 'string' }, key: { type: 'string' } },
    additionalProperties: false,
  };
  server.get<Wanted>(
    '/api/v1/persistence',
    { schema: { querystring, response: { 200: entriesSchema } } },
    ({ query }, reply) =>
      unlessUnreachable(reply, async () => {
        const { own, kernel } = await found(query, MOST);
        return [...own, ...kernel].map(document);
      }),
  );
  server.delete<Wanted>(
    '/api/v1/persistence',
    { schema: { querystring, response: { 200: clearedSchema } } },
    ({ query }, reply) =>
      unlessUnreachable(reply, async () => {
        const { own, kernel } = await found(query);
        const gone = kernel.length > 0 ? await source.layer4?.clear(kernel) : 0;
        for (const entry of own) source.clear(entry);
        return { cleared: own.length + (gone ?? 0) };
      }),
  );
}

interface Found {
  readonly own: readonly Entry[];
  readonly kernel: readonly Entry[];
}

/** What `answer` says, or 503 with the sentence why the kernel could not be asked. */
async function unlessUnreachable<T>(
  reply: FastifyReply,
  answer: () => Promise<T>,
): Promise<T | FastifyReply> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof GantryError) return problem(reply, 503, error.message);
    throw error;
  }
}
