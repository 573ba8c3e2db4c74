/** The messages of one sender that are not answered, in the order in which they came: a list linked by `next`. */
import type { Delivery } from './delivery.ts';
import { STREAMED_ABOVE } from './message-stream.ts';

export class Row {
  /** The one that is answered next. */
  first: Delivery | undefined;
  length = 0;
  /** Of all messages together, of a long one what is kept. */
  bytes = 0;
  #last: Delivery | undefined;

  add(delivery: Delivery): void {
    if (this.#last) this.#last.next = delivery;
    else this.first = delivery;
    this.#last = delivery;
    this.length++;
    this.bytes += keptLength(delivery);
  }

  /** Takes the first out; returns the one that is first now. */
  advance(): Delivery | undefined {
    const gone = this.first!;
    this.first = gone.next;
    if (!this.first) this.#last = undefined;
    gone.next = undefined;
    this.length--;
    this.bytes -= keptLength(gone);
    return this.first;
  }

  /** Takes all out. */
  clear(): Delivery[] {
    const all: Delivery[] = [];
    for (let one = this.first; one; one = this.advance()) all.push(one);
    return all;
  }

  /** Is there one after which the connection is closed? */
  get hangsUp(): boolean {
    for (let one = this.first; one; one = one.next) if (one.hangUp) return true;
    return false;
  }

  /** Those whose time is over at `now`, and when that of the next of the others will be. */
  expired(now: number): { over: Delivery[]; next: number } {
    const over: Delivery[] = [];
    let next = Infinity;
    for (let one = this.first; one; one = one.next) {
      if (one.finished) continue;
      if (one.isOverdue(now)) over.push(one);
      else next = Math.min(next, one.expires);
    }
    return { over, next };
  }
}

function keptLength({ stream, length }: Delivery): number {
  return stream ? STREAMED_ABOVE : length;
}
