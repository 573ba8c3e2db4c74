/**
 * STAT orders: which accession numbers and studies were ordered as urgent, as the HL7 messages of one VIP say.
 *
 * An entry of the table is `accession=NUMBER` or `study=UID`; what stands in the place of a server says what it is.
 */
import type { Order, Urgency } from '../../protocols/hl7/orders.ts';
import type { Limits } from './memory.ts';
import type { Table } from './table.ts';

/** An order counts for a day, however long the table lives; and no sender can fill the memory with them. */
export const STAT_ORDER_LIMITS: Limits = { ttl: 24 * 60 * 60 * 1000, size: 100_000 };

const STAT = 'STAT order';
/** No accession number (SH, 16) and no UID (64) of a study is longer (PS3.5 6.2): a longer one is never asked for. */
const LONGEST = 64;

export class StatOrders {
  readonly #table: Table;

  constructor(table: Table) {
    this.#table = table;
  }

  /** Was one of them ordered as urgent? */
  isUrgent(accession: string | undefined, study: string | undefined): boolean {
    return this.#has('accession', accession) || this.#has('study', study);
  }

  /**
   * Takes in what one message orders. What it orders as urgent counts, whatever else it says of the same; what it
   * orders as routine, or withdraws, does so no more. Returns the entries that are new.
   */
  learn(orders: readonly Order[]): readonly string[] {
    const urgent = entriesOf(orders, (urgency) => urgency === 'urgent');
    const others = entriesOf(orders, (urgency) => urgency !== 'urgent');
    for (const entry of others) if (!urgent.has(entry)) this.#table.delete(entry);
    const learned = [...urgent].filter((entry) => this.#table.serverOf(entry) === undefined);
    for (const entry of urgent) this.#table.put(entry, STAT);
    return learned;
  }

  /** Forgets what `learn` returned: the message was refused after all, so that it ordered nothing. */
  unlearn(learned: readonly string[]): void {
    for (const entry of learned) this.#table.delete(entry);
  }

  #has(by: string, value: string | undefined): boolean {
    return value !== undefined && this.#table.serverOf(`${by}=${value}`) !== undefined;
  }
}

function entriesOf(orders: readonly Order[], wanted: (urgency: Urgency) => boolean): Set<string> {
  const entries = orders
    .filter(({ urgency }) => wanted(urgency))
    .flatMap(({ accessions, studies }) => [
      ...accessions.filter(isShort).map((value) => `accession=${value}`),
      ...studies.filter(isShort).map((value) => `study=${value}`),
    ]);
  return new Set(entries);
}

function isShort({ length }: string): boolean {
  return length <= LONGEST;
}
