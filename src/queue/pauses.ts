/** Messages that wait before their next attempt. */
import type { Failure, QueueSettings } from './message.ts';
import type { Order, Place } from './order.ts';

/** Milliseconds before the next attempt, after so many. */
export function pauseAfter(attempts: number, { first, longest }: QueueSettings['pause']): number {
  return Math.min(first * 2 ** Math.min(attempts - 1, 30), longest);
}

interface Pause {
  readonly place: Place;
  /** Milliseconds since 1970. */
  readonly due: number;
  /** The message is the reason, not its server. */
  readonly isRefused: boolean;
}

export class Pauses {
  readonly #order: Order;
  #pauses: Pause[] = [];
  #next = Infinity;

  constructor(order: Order) {
    this.#order = order;
  }

  /** When the first of them ends: milliseconds since 1970; Infinity: nobody pauses. */
  get next(): number {
    return this.#next;
  }

  add(place: Place, due: number, failure: Failure | undefined): void {
    this.#order.rest(place);
    this.#pauses.push({ place, due, isRefused: failure === 'refused' });
    this.#next = Math.min(this.#next, due);
  }

  /** Ends the pauses that are over. */
  wake(now: number): void {
    if (now >= this.#next) this.#end(({ due }) => due <= now);
  }

  /** Ends the pauses of those that wait for a server. */
  hurry(): void {
    this.#end(({ isRefused }) => !isRefused);
  }

  #end(isOver: (pause: Pause) => boolean): void {
    const over = this.#pauses.filter(isOver);
    this.#pauses = this.#pauses.filter((pause) => !isOver(pause));
    this.#next = this.#pauses.reduce((next, { due }) => Math.min(next, due), Infinity);
    // In the order in which they came, whatever their pauses were.
    over.sort((one, other) => one.place.id - other.place.id);
    for (const { place } of over) this.#order.wake(place);
  }
}
