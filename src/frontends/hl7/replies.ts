/**
 * The messages of one sender that are not answered, and their answers, which go out in the order in which the messages
 * came. In MLLP release 2 a commit acknowledgement goes before each, or stands in the place of one that is not wanted.
 */
import { COMMITTED, type MllpBlocks, NOT_COMMITTED } from '../../../protocols/hl7/mllp.ts';
import type { Channel } from '../../relay/channel.ts';
import type { Delivery, Outcome } from './delivery.ts';
import type { FlushQueue } from './flush-queue.ts';
import { Outbox } from './outbox.ts';
import { Row } from './row.ts';

export interface RepliesOptions {
  readonly blocks: MllpBlocks;
  readonly release2: boolean;
  readonly queue: FlushQueue;
}

/** Who is told: the connection of the sender. */
export interface RepliesHost {
  /** A message was answered, and perhaps some behind it. */
  replied(): void;
  /** The sender took what was written. */
  outboxDrained(): void;
  /** The message that is next gets no answer, nor do those behind it. */
  silenced(): void;
}

/** Messages and bytes that are not answered, above which there are too many. */
const MOST_MESSAGES = 256;
const MOST_BYTES = 4 * 1024 * 1024;
/** The same for bytes of answers that the sender has not taken. */
const MOST_UNREAD = 256 * 1024;

/** In release 2, in the place of an answer: what becomes of the message will tell whether it was taken. */
const UNDECIDED = Buffer.alloc(0);
const NOT_TAKEN: ReadonlySet<Outcome> = new Set(['rejected', 'unavailable', 'failed']);

export class Replies {
  readonly #release2: boolean;
  readonly #host: RepliesHost;
  readonly #outbox: Outbox;
  readonly row = new Row();

  constructor(channel: Channel, { blocks, release2, queue }: RepliesOptions, host: RepliesHost) {
    this.#release2 = release2;
    this.#host = host;
    this.#outbox = new Outbox(channel, queue, blocks, () => host.outboxDrained());
  }

  /** No more messages shall come for now. */
  get isFull(): boolean {
    return this.row.length >= MOST_MESSAGES || this.row.bytes >= MOST_BYTES || this.isUnread;
  }

  /** The sender does not take what it is told. */
  get isUnread(): boolean {
    return this.#outbox.pending >= MOST_UNREAD;
  }

  /** `bytes`, valid during the call, answer a message; undefined: no answer is wanted, and `settle` follows. */
  reply(delivery: Delivery, bytes: Buffer | undefined): void {
    if (!bytes && this.#release2) {
      delivery.answer = UNDECIDED;
    } else if (delivery !== this.row.first) {
      if (bytes) delivery.answer = Buffer.from(bytes);
    } else {
      if (bytes) this.#write(bytes);
      this.#advance();
    }
  }

  /** What became of a message, for a sender that had no answer to it. */
  settle(delivery: Delivery, outcome: Outcome): void {
    if (delivery.answer !== UNDECIDED) return;
    delivery.answer = NOT_TAKEN.has(outcome) ? NOT_COMMITTED : COMMITTED;
    if (delivery !== this.row.first) return;
    this.#outbox.add(delivery.answer);
    this.#advance();
  }

  /** Nothing at all is said to a message. */
  skip(delivery: Delivery): void {
    if (delivery === this.row.first) this.#advance();
  }

  /** A message and those behind it get no answer; in release 2 the sender hears so. */
  silence(delivery: Delivery): void {
    delivery.hangUp = true;
    if (delivery === this.row.first) this.#refuse();
  }

  /** What is no answer to a message in the row. */
  add(bytes: Buffer): void {
    this.#outbox.add(bytes);
  }

  /** Hands everything to the channel at once; nothing is said after this. */
  finish(): void {
    this.#outbox.finish();
  }

  /** The first is answered; and so, by now, may be those behind it. */
  #advance(): void {
    for (let next = this.row.advance(); next?.finished; next = this.row.advance()) {
      if (next.hangUp) {
        this.#refuse();
        return;
      }
      if (next.answer === UNDECIDED) break;
      if (next.answer) this.#write(next.answer);
    }
    this.#host.replied();
  }

  #refuse(): void {
    if (this.#release2) this.#outbox.add(NOT_COMMITTED);
    this.#host.silenced();
  }

  #write(answer: Buffer): void {
    if (this.#release2 && answer !== COMMITTED && answer !== NOT_COMMITTED) this.#outbox.add(COMMITTED);
    this.#outbox.add(answer);
  }
}
