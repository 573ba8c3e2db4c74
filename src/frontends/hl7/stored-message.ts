/** A message that comes from the durable queue, on one attempt to deliver it. Its sender was answered long ago. */
import type { FactValue } from '../../../protocols/facts.ts';
import type { Server } from '../../pools/server.ts';
import type { About, TakenMessage } from '../../queue/message.ts';
import type { Delivery, Outcome } from './delivery.ts';
import type { Origin } from './origin.ts';

/** What becomes of messages that the queue handed out. */
export interface StoredMessageListener {
  /** The balancer is not ending: an attempt may take its time. */
  readonly isOpen: boolean;
  /** An attempt is over. `answer`: what the server said, if anything. */
  attempted(message: StoredMessage, delivery: Delivery, outcome: Outcome): void;
  /** The answer of the application to a message that is delivered. */
  answeredLater(message: StoredMessage, delivery: Delivery, answer: Buffer): void;
}

export class StoredMessage implements Origin {
  readonly taken: TakenMessage;
  readonly client: string;
  readonly port: number;
  readonly facts: Readonly<Record<string, FactValue>>;
  readonly keepsMessages = true;
  readonly latest = undefined;
  /** Where it may have arrived before: it goes nowhere else. */
  readonly boundTo: Server | undefined;
  /** What the server answered. */
  answerBytes: Buffer | undefined;
  readonly #listener: StoredMessageListener;

  constructor(
    vip: string,
    taken: TakenMessage,
    boundTo: Server | undefined,
    listener: StoredMessageListener,
  ) {
    const { client = '', port = '0', sni, tlsSubject } = taken.about;
    this.taken = taken;
    this.client = client;
    this.port = Number(port);
    this.facts = { client, port, vip, sni, tlsSubject };
    this.boundTo = boundTo;
    this.#listener = listener;
  }

  get isListening(): boolean {
    return this.#listener.isOpen;
  }

  enlist(): void {
    // The queue knows that it is out.
  }

  answer(_: Delivery, bytes: Buffer | undefined): void {
    this.answerBytes = bytes && Buffer.from(bytes);
  }

  answerLater(delivery: Delivery, bytes: Buffer): void {
    this.#listener.answeredLater(this, delivery, bytes);
  }

  promise(): void {
    // Nobody waits: the answer goes to the return address when it comes.
  }

  promiseEnded(): void {
    // As above.
  }

  hangUp(): void {
    // `over` tells.
  }

  over(delivery: Delivery, outcome: Outcome): void {
    this.#listener.attempted(this, delivery, outcome);
  }
}

/**
 * What the queue is to know of a message again: where it came from, and what is shown of it. No patient data.
 * `application`: MSH-3.1, by which its return address is found.
 */
export function aboutOf(delivery: Delivery, application: string): About {
  const { origin, type, event, controlId, source } = delivery;
  const { sni, tlsSubject } = origin.facts;
  return {
    type,
    event,
    controlId,
    sender: source,
    application,
    client: origin.client,
    port: String(origin.port),
    ...(typeof sni === 'string' && { sni }),
    ...(typeof tlsSubject === 'string' && { tlsSubject }),
  };
}
