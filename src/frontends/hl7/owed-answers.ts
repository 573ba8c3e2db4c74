/**
 * Messages of one connection that may still be answered though they are done: by the application after CA (HL7 v2.5.1
 * 2.9.3), or though nobody asked for it.
 */
import type { AcknowledgementMatch } from '../../../protocols/hl7/acknowledgement.ts';
import type { Delivery } from './delivery.ts';
import { answerKey } from './flights.ts';
import type { OutboundOptions } from './outbound.ts';

/** So many at most; the oldest is forgotten. */
const MOST = 256;
/** Milliseconds for which an idle connection is kept because an application's answer is owed. */
export const OWED_MS = 60_000;

export class OwedAnswers {
  readonly #deliveries = new Map<string, Delivery>();
  readonly #match: AcknowledgementMatch;
  readonly #now: () => number;
  readonly #forgotten: (delivery: Delivery) => void;
  #until = 0;

  /** `forgotten` is told of each whose answer will not come, or would not be recognised. */
  constructor({ ackMatch, now }: OutboundOptions, forgotten: (delivery: Delivery) => void) {
    this.#match = ackMatch;
    this.#now = now;
    this.#forgotten = forgotten;
  }

  /** An answer may be on its way that a sender waits for. */
  get isAwaited(): boolean {
    return this.#deliveries.size > 0 && this.#now() < this.#until;
  }

  add(delivery: Delivery): void {
    const key = answerKey(delivery.controlId, this.#match);
    this.#forget(key);
    if (this.#deliveries.size === MOST) this.#forget(this.#deliveries.keys().next().value!);
    this.#deliveries.set(key, delivery);
    if (delivery.wantsApplicationsAnswer) this.#until = this.#now() + OWED_MS;
  }

  /** Whose answer it is that names this message. */
  get(controlId: string): Delivery | undefined {
    return this.#deliveries.size > 0 ? this.#deliveries.get(answerKey(controlId, this.#match)) : undefined;
  }

  /** It was answered. */
  delete(controlId: string): void {
    this.#deliveries.delete(answerKey(controlId, this.#match));
  }

  /** No answer comes any more. */
  forgetAll(): void {
    for (const delivery of this.#deliveries.values()) this.#forgotten(delivery);
    this.#deliveries.clear();
  }

  #forget(key: string): void {
    const forgotten = this.#deliveries.get(key);
    if (forgotten && this.#deliveries.delete(key)) this.#forgotten(forgotten);
  }
}
