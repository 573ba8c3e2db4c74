/**
 * How a message ends: what its sender is told, and who goes on behind it. Repetitions that came while it was in flight
 * end with it.
 */
import {
  type Answer,
  buildAcknowledgement,
  isPositive,
  readAcknowledgement,
} from '../../../protocols/hl7/acknowledgement.ts';
import { Message } from '../../../protocols/hl7/cursor.ts';
import { type Delivery, hasArrived, type Outcome, type Repetition } from './delivery.ts';
import { Duplicates } from './duplicates.ts';
import type { Lanes } from './lanes.ts';
import type { Break } from './message-stream.ts';
import { kept, overlong, rejectionCode, undeliverable } from './refusal.ts';
import type { Target } from './target.ts';

export interface EndingsOptions {
  readonly now: () => number;
  /** Milliseconds since 1970, for MSH-7. */
  readonly wallClock: () => number;
  readonly lanes: Lanes<Target>;
  /** This one is decided. */
  readonly decided: (delivery: Delivery) => void;
  /** No message is in hand any more. */
  readonly whenEmpty: () => void;
}

/** How each outcome is counted. */
const TOTALS: Readonly<Record<Outcome, keyof Endings['totals']>> = {
  delivered: 'delivered',
  'maybe twice': 'delivered',
  unconfirmed: 'unconfirmed',
  stored: 'stored',
  duplicate: 'duplicates',
  held: 'held',
  rejected: 'rejected',
  unavailable: 'unavailable',
  failed: 'failed',
};

export class Endings {
  /** `dropped`: acknowledgements that senders sent, which nobody waits for. */
  readonly totals = {
    messages: 0,
    stored: 0,
    duplicates: 0,
    held: 0,
    delivered: 0,
    unconfirmed: 0,
    rejected: 0,
    unavailable: 0,
    failed: 0,
    dropped: 0,
  };
  readonly duplicates: Duplicates<Delivery>;
  /** Messages that are not decided. */
  inHand = 0;
  readonly #options: EndingsOptions;
  /** One for all. */
  readonly #message = new Message();

  constructor(options: EndingsOptions) {
    this.#options = options;
    this.duplicates = new Duplicates({ ms: 0, entries: 0 }, options.now);
  }

  /** It came before: its sender gets what the sender of the first gets, or got. */
  repeat(delivery: Delivery, sight: Repetition): void {
    if (sight.kind === 'in flight') {
      delivery.detail = 'it repeats a message in flight';
      sight.first.followers ??= [];
      sight.first.followers.push(delivery);
      return;
    }
    delivery.detail = 'it repeats a message that was accepted';
    if (sight.kind === 'answered') {
      delivery.acknowledgement = readAcknowledgement(sight.answer)?.code;
      this.tell(delivery, sight.answer.length > 0 ? sight.answer : undefined);
    } else {
      this.replyKept(delivery);
    }
    this.finish(delivery, 'duplicate');
  }

  /** The rest of a long message does not come, or must not be sent. */
  broken(delivery: Delivery, why: Break): void {
    if (delivery.repetition) {
      this.repeat(delivery, delivery.repetition);
      return;
    }
    delivery.detail = why;
    if (why === 'it is too long') {
      const code = rejectionCode(delivery.mode);
      const answer = code && overlong(code, delivery.plan.settings.maxFrame);
      if (answer) this.reply(delivery, answer);
      this.finish(delivery, 'rejected');
    } else {
      this.finish(delivery, 'unavailable');
    }
  }

  /** A server committed it (MLLP release 2), and its answer was lost: it goes nowhere else. */
  answerForCommit(delivery: Delivery): void {
    if (!delivery.mode.enhanced) {
      this.hangUp(delivery, 'unconfirmed');
      return;
    }
    this.replyKept(delivery);
    this.finish(delivery, 'unconfirmed');
  }

  /** It cannot be delivered, and its sender is told, or sent away. */
  giveUp(delivery: Delivery, outcome: Outcome): void {
    const { whenUnavailable } = delivery.plan.settings;
    if (whenUnavailable === 'close') {
      this.hangUp(delivery, outcome);
      return;
    }
    if (!delivery.wantsNoAnswer) this.reply(delivery, undeliverable(whenUnavailable));
    this.finish(delivery, outcome);
  }

  hangUp(delivery: Delivery, outcome: Outcome): void {
    this.sendAway(delivery);
    this.finish(delivery, outcome);
  }

  /** Its sender's time is over. What becomes of the message nobody knows yet. */
  sendAway(delivery: Delivery): void {
    delivery.finished = true;
    delivery.origin.hangUp(delivery);
  }

  /** That it is kept. False: its sender does not want to hear of success. */
  replyKept(delivery: Delivery): boolean {
    const answer = kept(delivery.mode);
    if (answer) this.reply(delivery, answer);
    return answer !== undefined;
  }

  /** Our own answer. `message`: the delivery's, when it has no copy of its own. */
  reply(delivery: Delivery, answer: Answer, message = this.#message.open(delivery.content)): void {
    const bytes = buildAcknowledgement(message, answer, this.#options.wallClock);
    delivery.acknowledgement = answer.code;
    if (isPositive(answer.code)) this.remember(delivery, bytes);
    this.tell(delivery, bytes);
  }

  /** Its sender, and those that sent it again meanwhile, get the answer. */
  tell(delivery: Delivery, bytes: Buffer | undefined): void {
    delivery.finished = true;
    delivery.origin.answer(delivery, bytes);
    const { followers } = delivery;
    if (!followers) return;
    // One more may come while these are told.
    for (const follower of followers) {
      if (follower.finished) continue;
      follower.acknowledgement = delivery.acknowledgement;
      this.tell(follower, bytes);
      this.finish(follower, 'duplicate');
    }
    delivery.followers = undefined;
  }

  /** A repetition of it gets this answer. */
  remember(delivery: Delivery, answer: Buffer): void {
    if (delivery.remembered >= 0) this.duplicates.accepted(delivery.remembered, answer);
    delivery.remembered = -1;
  }

  /** A repetition of it is a new message. */
  #forget(delivery: Delivery): void {
    if (delivery.remembered >= 0) this.duplicates.forget(delivery.remembered);
    delivery.remembered = -1;
  }

  /** The message is decided: whoever waits behind it goes on. */
  finish(delivery: Delivery, outcome: Outcome): void {
    if (!delivery.finished) {
      delivery.finished = true;
      delivery.origin.answer(delivery, undefined);
    }
    const { now, lanes, decided, whenEmpty } = this.#options;
    delivery.frame = undefined;
    delivery.stream?.cancel();
    delivery.body?.discard();
    const isThere = hasArrived(outcome);
    const isTaken = isThere && !delivery.isRefused;
    if (!isThere) delivery.choice?.abandon();
    this.#forget(delivery);
    settleOrder(delivery, isTaken, isThere);
    const shown = delivery.origin.keepsMessages && !isTaken ? 'held' : outcome;
    this.totals[TOTALS[shown]]++;
    decided(delivery);
    delivery.publish(shown, now());
    delivery.origin.over(delivery, outcome);
    this.inHand--;
    if (delivery.standing) delivery.standing.leave();
    else if (delivery.went && delivery.inLanes) lanes.leave(delivery);
    if (delivery.followers) this.#hangUpAll(delivery.followers, outcome);
    if (this.inHand === 0) whenEmpty();
  }

  #hangUpAll(followers: readonly Delivery[], outcome: Outcome): void {
    for (const follower of followers) if (!follower.finished) this.hangUp(follower, outcome);
  }
}

/** A merge that happened makes aliases; what belongs to a stream stays with the server that has it. */
function settleOrder({ merges, ties, plan, target }: Delivery, isTaken: boolean, isThere: boolean): void {
  const { aliases, pins } = plan.orderMemory;
  if (merges) aliases?.settle(merges, isTaken);
  if (ties && target && isThere) pins?.went(ties, target.server);
}
