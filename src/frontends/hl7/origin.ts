/** Where a message comes from, and who hears what becomes of it: the connection of a sender, or the durable queue. */
import type { FactValue } from '../../../protocols/facts.ts';
import type { Delivery, Outcome } from './delivery.ts';

export interface Origin {
  /** The address of the sender. */
  readonly client: string;
  /** The port the sender came to. */
  readonly port: number;
  /** What the connection says about its messages. */
  readonly facts: Readonly<Record<string, FactValue>>;
  /** Somebody is there to hear answers. */
  readonly isListening: boolean;
  /** A message that is not delivered, or refused, stays there and comes again, or goes into quarantine. */
  readonly keepsMessages: boolean;
  /** The message that came before, to which the next is much alike. */
  readonly latest: Delivery | undefined;
  /** A message of it is in hand from now on. */
  enlist(delivery: Delivery): void;
  /** The answer to a message that is finished: `bytes`, valid during the call, or none. */
  answer(delivery: Delivery, bytes: Buffer | undefined): void;
  /** An answer that comes after the one that counted: the application's, after CA. */
  answerLater(delivery: Delivery, bytes: Buffer): void;
  /** An application's answer was promised. */
  promise(): void;
  /** A promised answer came, or never will. */
  promiseEnded(): void;
  /** A message that is finished gets no answer: it could not be delivered, or nobody knows whether it was. */
  hangUp(delivery: Delivery): void;
  /** Called last, once: it is decided. */
  over(delivery: Delivery, outcome: Outcome): void;
}
