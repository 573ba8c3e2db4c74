/**
 * Messages that wait for a connection to a server, in the order in which they are to go. Streamed ones stand in a row
 * of their own: not every connection may carry one, and those behind them must not wait for that.
 */
import type { Delivery } from './delivery.ts';

/** Those that went are cut off when there are so many. */
const GONE = 1024;

class Row {
  #waiting: Delivery[] = [];
  #head = 0;

  get length(): number {
    return this.#waiting.length - this.#head;
  }

  add(delivery: Delivery): void {
    this.#waiting.push(delivery);
  }

  addBefore(deliveries: readonly Delivery[]): void {
    this.#waiting = [...deliveries, ...this.takeAll()];
  }

  /** The first that is not finished. */
  get first(): Delivery | undefined {
    while (this.#head < this.#waiting.length) {
      const delivery = this.#waiting[this.#head]!;
      if (!delivery.finished) return delivery;
      this.shift();
    }
    return undefined;
  }

  shift(): void {
    this.#head++;
    if (this.#head < this.#waiting.length && this.#head < GONE) return;
    this.#waiting.splice(0, this.#head);
    this.#head = 0;
  }

  takeAll(): Delivery[] {
    const all = this.#head === 0 ? this.#waiting : this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    return all;
  }
}

export class WaitingLine {
  readonly #messages = new Row();
  readonly #streams = new Row();

  /** Those that are no streams. */
  get messages(): number {
    return this.#messages.length;
  }

  get streams(): number {
    return this.#streams.length;
  }

  get isEmpty(): boolean {
    return this.#messages.length + this.#streams.length === 0;
  }

  add(delivery: Delivery): void {
    this.#rowOf(delivery).add(delivery);
  }

  /** They go before all others. */
  addBefore(deliveries: readonly Delivery[]): void {
    this.#messages.addBefore(deliveries.filter(({ stream }) => !stream));
    this.#streams.addBefore(deliveries.filter(({ stream }) => stream));
  }

  /** The one that goes next: of both rows the one that came first, unless no stream may go. */
  first(mayStream: boolean): Delivery | undefined {
    const message = this.#messages.first;
    const stream = mayStream ? this.#streams.first : undefined;
    return message && stream ? (stream.arrived < message.arrived ? stream : message) : (message ?? stream);
  }

  /** `delivery`, the first, goes. */
  shift(delivery: Delivery): void {
    this.#rowOf(delivery).shift();
  }

  takeAll(): Delivery[] {
    return [...this.#messages.takeAll(), ...this.#streams.takeAll()];
  }

  #rowOf(delivery: Delivery): Row {
    return delivery.stream ? this.#streams : this.#messages;
  }
}
