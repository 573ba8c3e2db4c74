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
  /** A heap: each ends no later than the two at twice its index, plus one and plus two. */
  #heap: Pause[] = [];

  constructor(order: Order) {
    this.#order = order;
  }

  /** When the first of them ends: milliseconds since 1970; Infinity: nobody pauses. */
  get next(): number {
    return this.#heap[0]?.due ?? Infinity;
  }

  add(place: Place, due: number, failure: Failure | undefined): void {
    this.#order.rest(place);
    this.#push({ place, due, isRefused: failure === 'refused' });
  }

  /** Ends the pauses that are over. */
  wake(now: number): void {
    const over: Pause[] = [];
    while (this.next <= now) over.push(this.#pop());
    this.#end(over);
  }

  /** The clock was set back: none ends later than `latest`. */
  shorten(latest: number): void {
    this.#heap = this.#heap.map((pause) => (pause.due > latest ? { ...pause, due: latest } : pause));
  }

  /** Ends the pauses of those that wait for a server. */
  hurry(): void {
    const over = this.#heap.filter(({ isRefused }) => !isRefused);
    const rest = this.#heap.filter(({ isRefused }) => isRefused);
    this.#heap = [];
    for (const pause of rest) this.#push(pause);
    this.#end(over);
  }

  /** In the order in which they came, whatever their pauses were. */
  #end(over: Pause[]): void {
    over.sort((one, other) => one.place.id - other.place.id);
    for (const { place } of over) this.#order.wake(place);
  }

  #push(pause: Pause): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (heap[above]!.due <= pause.due) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = pause;
  }

  #pop(): Pause {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (let below = 1; below < heap.length; below = at * 2 + 1) {
      if (below + 1 < heap.length && heap[below + 1]!.due < heap[below]!.due) below++;
      if (heap[below]!.due >= last.due) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
    return first;
  }
}
