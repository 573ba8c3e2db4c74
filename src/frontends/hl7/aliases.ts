/**
 * Aliases: patients that were merged into others. Messages that still name the old id keep their order with those that
 * name the new one, and go where persistence by patient has these.
 *
 *     A40 (P1, MRG P2) comes      expected: whoever names P2 from now on stands behind it, in the lanes of P1 and P2
 *     a server took it            learned: P2 is P1, over restarts too, for three days
 *     a server refused it         not expected any more: P2 is P2
 *
 * An entry of the table is the old key; in the place of a server stands the new one. Both are patient data: such a table
 * is in the file of the tables (mode 0600), and nothing shows it.
 */
import type { Merge } from '../../../protocols/hl7/merges.ts';
import type { Chain, Resolve } from '../../../protocols/hl7/patient.ts';
import type { Limits } from '../../tables/memory.ts';
import type { Table } from '../../tables/table.ts';

export const ALIAS_LIMITS: Limits = { ttl: 72 * 3_600_000, size: 100_000 };

/** A patient who was merged more often is found no further. */
const MOST_STEPS = 32;
/** Merges on their way at once; of more than that the first are not expected any more. */
const MOST_EXPECTED = 10_000;

export class Aliases {
  readonly #table: Table;
  /** By the old key. */
  readonly #expected = new Map<string, Merge>();
  readonly #resolve: Resolve = (key) => this.#chainOf(key, (one) => this.#table.serverOf(one))[0]!;
  readonly #chain: Chain = (key) =>
    this.#chainOf(key, (one) => this.#expected.get(one)?.to ?? this.#table.serverOf(one));

  constructor(table: Table) {
    this.#table = table;
  }

  /** Finds whom a key stands for, by the merges that servers took; undefined while there is none. */
  get resolver(): Resolve | undefined {
    return this.#table.size > 0 ? this.#resolve : undefined;
  }

  /** Finds all that a key stands for, also by merges that are on their way: for the order, in which these come first. */
  get chain(): Chain | undefined {
    return this.#expected.size + this.#table.size > 0 ? this.#chain : undefined;
  }

  /** A message with these merges came. To be settled in any case. Returns them, or undefined when there are none. */
  expect(merges: readonly Merge[]): readonly Merge[] | undefined {
    if (merges.length === 0) return undefined;
    for (const merge of merges) this.#expected.set(merge.from, merge);
    while (this.#expected.size > MOST_EXPECTED) this.#expected.delete(this.#expected.keys().next().value!);
    return merges;
  }

  /** The message with these merges is decided. `happened`: a server took it, or will. */
  settle(merges: readonly Merge[], happened: boolean): void {
    for (const merge of merges)
      if (this.#expected.get(merge.from) === merge) this.#expected.delete(merge.from);
    if (happened) this.learn(merges);
  }

  /** The old keys stand for the new ones from now on. */
  learn(merges: readonly Merge[]): void {
    for (const { from, to } of merges) {
      if (this.#standsFor(to, from)) this.#turn(from, to);
      this.#table.put(from, to);
    }
  }

  /** Is `key` an alias of `other`, now or over others? */
  #standsFor(key: string, other: string): boolean {
    return this.#chainOf(key, (one) => (one === other ? undefined : this.#table.serverOf(one)))[0] === other;
  }

  /** The other way round than before: whoever survives takes the place of the one that is gone, and no circle is made. */
  #turn(from: string, to: string): void {
    const further = this.#table.serverOf(from);
    if (further === undefined) this.#table.delete(to);
    else this.#table.put(to, further);
  }

  /** Who counts now first, the key itself last. */
  #chainOf(key: string, next: (key: string) => string | undefined): string[] {
    const chain = [key];
    for (let step = 0; step < MOST_STEPS; step++) {
      const further = next(chain[0]!);
      // What is expected and what was learned may lead in a circle.
      if (further === undefined || chain.includes(further)) return chain;
      chain.unshift(further);
    }
    return chain;
  }
}
