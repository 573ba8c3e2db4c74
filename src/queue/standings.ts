/**
 * Standings: places in the queue's order that are held by what is not stored. A message that is relayed waits there for
 * those of its patients that were stored before it, and keeps back those that are stored after it. They are in memory
 * only: a restart forgets them, and the limits and the window know nothing of them.
 */
import type { OrderKeys } from './message.ts';
import { type Order, Standing } from './order.ts';

export class Standings {
  readonly #order: Order;
  readonly #places = new Map<number, Standing>();

  constructor(order: Order) {
    this.#order = order;
  }

  /** `id`: puts it in order among the messages. */
  enter(name: number, id: number, keys: OrderKeys): void {
    const place = new Standing(id, name);
    this.#places.set(name, place);
    this.#order.enter(place, keys);
  }

  leave(name: number): void {
    const place = this.#places.get(name);
    if (place) this.#order.leave(place);
    this.#places.delete(name);
  }

  /** The names of those whose turn came since this was asked last. */
  granted(): number[] {
    return this.#order.takeStandings().map(({ name }) => name);
  }
}
