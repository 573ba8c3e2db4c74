/** The persistence tables of one balancer, by name. They outlive its configurations. */
import { createMemoryStore, type Limits } from './memory.ts';
import { Table } from './table.ts';

export class Tables {
  readonly #now: () => number;
  readonly #byName = new Map<string, Table>();

  /** `now`: milliseconds since 1970 of a clock that never goes back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The table of that name, made when it is not there; one that is there goes on with these limits. */
  open(name: string, limits: Limits): Table {
    let table = this.#byName.get(name);
    if (table) {
      table.setLimits(limits);
    } else {
      table = new Table(createMemoryStore({ ...limits, now: this.#now }));
      this.#byName.set(name, table);
    }
    return table;
  }

  get(name: string): Table | undefined {
    return this.#byName.get(name);
  }

  /** Forgets every table but these. */
  keep(names: Iterable<string>): void {
    const wanted = new Set(names);
    for (const name of this.#byName.keys()) if (!wanted.has(name)) this.#byName.delete(name);
  }

  [Symbol.iterator](): IterableIterator<[string, Table]> {
    return this.#byName.entries();
  }
}
