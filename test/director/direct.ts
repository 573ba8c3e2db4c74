/** A director over one pool, for tests. */
import { type FactValue, factsFrom } from '../../protocols/facts.ts';
import { type ChooseOptions, createDirector, type DirectorOptions } from '../../src/director/director.ts';
import { Persistence, type PersistenceOptions } from '../../src/director/persistence.ts';
import { createMemoryStore } from '../../src/tables/memory.ts';
import { Table } from '../../src/tables/table.ts';
import { createClock, makePool } from '../pools/make-pool.ts';

/** `by`, `ttl` and `shares` are the VIP's persistence. */
export interface Setting extends Partial<DirectorOptions> {
  readonly by?: string[];
  readonly ttl?: number;
  readonly shares?: Partial<PersistenceOptions>;
}

export const clock = createClock();

/** Two servers `a` and `b`, no rules and no persistence unless said otherwise. */
export function direct({ by, ttl = 1000, shares, ...options }: Setting = {}) {
  const table = new Table(createMemoryStore({ ttl, size: 1000, now: clock.now }));
  const pool = options.pool ?? makePool({ now: clock.now });
  const persistence = by && new Persistence({ by, table, ...shares });
  const director = createDirector({
    vip: 'V',
    rules: [],
    persistence,
    now: clock.now,
    random: () => 0.5,
    pool,
    ...options,
  });
  const choose = (facts: Record<string, FactValue> = {}, how?: ChooseOptions) =>
    director.choose(factsFrom(facts), how);
  const explain = (facts: Record<string, FactValue> = {}) => director.explain(factsFrom(facts));
  return { table, pool, choose, explain, a: pool.server('a')!, b: pool.server('b')! };
}
