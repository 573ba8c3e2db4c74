/**
 * What becomes of a message: read, put in order, given to a server, and what its sender is told. The rules that
 * everything here serves (HL7 v2.5.1 2.9.2 and 2.9.3, and the contract):
 *
 *     nothing of it was sent                    another server may get it
 *     all was sent, the connection broke        it may have arrived: `onAmbiguous` decides
 *     all was sent, no answer in time           the same; it is sent again only when a whole answer time is left
 *     all was sent, the answer names another    the same, once
 *     any answer                                the sender gets it, byte for byte; no other server ever gets the message
 *     given up                                  `whenUnavailable`: the sender's connection is closed, or it gets a nack
 */

import {
  type Acknowledgement,
  type AcknowledgementMode,
  acknowledgementMode,
  isPositive,
} from '../../../protocols/hl7/acknowledgement.ts';
import { Message } from '../../../protocols/hl7/cursor.ts';
import { messageFacts } from '../../../protocols/hl7/facts.ts';
import { mergesIn } from '../../../protocols/hl7/merges.ts';
import { type Ties, tiesOf } from '../../../protocols/hl7/ties.ts';
import type { Choice, ChooseOptions } from '../../director/director.ts';
import { notice } from '../../observe/events.ts';
import type { Server } from '../../pools/server.ts';
import type { Endpoint } from '../../relay/channel.ts';
import { Delivery } from './delivery.ts';
import { Endings } from './endings.ts';
import { Lanes } from './lanes.ts';
import type { Break, MessageStream } from './message-stream.ts';
import type { Origin } from './origin.ts';
import type { Loss, OutboundOptions } from './outbound.ts';
import { ambiguityOf, maySendAgain, type Plan } from './plan.ts';
import { rejectionCode, unroutable } from './refusal.ts';
import { ReturnAddresses } from './return-addresses.ts';
import { senderTimeoutOf } from './settings.ts';
import { StoredMessage } from './stored-message.ts';
import type { Target, TargetListener } from './target.ts';
import { type TargetPlan, Targets } from './targets.ts';

export interface CourierOptions {
  readonly vip: string;
  readonly now: () => number;
  /** Milliseconds since 1970, for MSH-7. */
  readonly wallClock: () => number;
  /** How a return address is spoken to. */
  readonly outbound: () => OutboundOptions;
  /** No message is in hand any more. */
  readonly whenEmpty: () => void;
}

const NO_DUPLICATES = { ms: 0, entries: 0 };

/** An answer on its way to a return address is not answered (HL7 v2.5.1 2.9.3). */
const WITHOUT_ANSWER: AcknowledgementMode = { enhanced: true, accept: 'NE', application: 'NE' };

/** A kept connection takes one message after another: its server's room is the connections' business. */
const CHOOSE: ChooseOptions = { ignoreRoom: true };

export class Courier implements TargetListener {
  readonly vip: string;
  readonly #options: CourierOptions;
  /** By which messages that come are dealt with. */
  #plan: Plan;
  readonly lanes = new Lanes<Target>();
  readonly endings: Endings;
  readonly targets: Targets;
  readonly #returns: ReturnAddresses;
  /** Messages whose servers are all full. */
  readonly #roomless = new Set<Delivery>();
  /** One for all: a message is read when its turn comes. */
  readonly #message = new Message();

  constructor(options: CourierOptions, plan: Plan, targetPlan: TargetPlan) {
    this.#options = options;
    this.vip = options.vip;
    this.#plan = plan;
    const { now, wallClock, whenEmpty } = options;
    this.endings = new Endings({
      now,
      wallClock,
      whenEmpty,
      lanes: this.lanes,
      decided: (delivery) => this.#roomless.delete(delivery),
    });
    this.endings.duplicates.reconfigure(plan.settings.duplicates ?? NO_DUPLICATES);
    this.targets = new Targets(this, targetPlan);
    this.#returns = new ReturnAddresses(this, options.outbound);
  }

  /** What comes from now on is dealt with by this plan; the order of what is in hand holds. */
  reconfigure(plan: Plan, targetPlan: TargetPlan): void {
    this.#plan = plan;
    this.endings.duplicates.reconfigure(plan.settings.duplicates ?? NO_DUPLICATES);
    this.targets.reconfigure(targetPlan);
    this.#retryRoomless();
  }

  get plan(): Plan {
    return this.#plan;
  }

  /** Its turn in the lanes came. */
  turnOf(delivery: Delivery): void {
    if (!delivery.finished) this.dispatch(delivery, this.#message.open(delivery.content), undefined);
    else if (delivery.inLanes) this.lanes.leave(delivery);
  }

  /** A message of the queue, or an answer for the return address `to`. `content` stays as it is. */
  deliver(
    origin: StoredMessage,
    content: Buffer,
    stream: MessageStream | undefined,
    to?: Endpoint,
  ): Delivery {
    const message = this.#message.open(content);
    const plan = this.#plan;
    const time = senderTimeoutOf(plan.settings, message);
    const mode = to ? WITHOUT_ANSWER : acknowledgementMode(message);
    const delivery = new Delivery(this, origin, message, mode, plan, time, this.#options.now(), stream);
    delivery.ambiguous = origin.taken.maybeTwice;
    delivery.attempts = origin.taken.attempts - 1;
    this.endings.inHand++;
    if (!to) {
      this.#recallOrder(delivery, message);
      this.dispatch(delivery, message, content);
    } else if (!this.#offer(delivery, this.#returns.of(to), content))
      this.endings.finish(delivery, 'unavailable');
    return delivery;
  }

  /** The queue has kept its order; what it merges counts also when nobody could write it down before. */
  #recallOrder(delivery: Delivery, message: Message): void {
    const { settings, orderMemory } = delivery.plan;
    delivery.ties = tiesOf(message);
    delivery.merges = orderMemory.aliases?.expect(mergesIn(message, settings.patient));
  }

  /** All of its time is over. */
  expire(delivery: Delivery): void {
    if (delivery.connection) delivery.connection.giveUp(delivery);
    else if (delivery.isBeingKept) this.endings.sendAway(delivery);
    else if (delivery.committed) this.endings.answerForCommit(delivery);
    else {
      delivery.detail ??= 'no server took it in time';
      this.endings.giveUp(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
    }
  }

  /** Nobody waits for its answer: dropped if nothing was sent or stored, else finished for the record. */
  abandon(delivery: Delivery, why: string): void {
    if (delivery.connection || delivery.isBeingKept) return;
    if (delivery.committed) {
      delivery.detail = why;
      this.endings.finish(delivery, 'unconfirmed');
      return;
    }
    delivery.detail = delivery.ambiguous ? `${delivery.detail}; ${why}` : `dropped unsent: ${why}`;
    this.endings.finish(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
  }

  /** A server's state or room changed. */
  serverChanged(server: Server): void {
    this.targets.tidy(server);
    this.#retryRoomless();
  }

  #retryRoomless(): void {
    const waiting = [...this.#roomless];
    this.#roomless.clear();
    for (const delivery of waiting) if (!delivery.finished) this.turnOf(delivery);
  }

  /** Ends every connection to a server. */
  close(): void {
    this.targets.close();
    this.#returns.close();
  }

  // What targets tell.

  answered(delivery: Delivery, answer: Acknowledgement | undefined, bytes: Buffer): void {
    if (answer?.code === 'CA' && delivery.wantsApplicationsAnswerOnly) {
      // Its sender does not want to hear of this: the answer that it waits for follows.
      delivery.committed = true;
      delivery.isPromised = true;
      delivery.origin.promise();
      return;
    }
    delivery.acknowledge(answer?.code);
    delivery.choice?.settle();
    if (isPositive(answer?.code)) delivery.learnOrders();
    if (answer?.code === 'CA' && delivery.wantsApplicationsAnswer) {
      delivery.isPromised = true;
      delivery.origin.promise();
    }
    if (isPositive(answer?.code)) this.endings.remember(delivery, bytes);
    this.endings.tell(delivery, bytes);
    this.endings.finish(delivery, delivery.ambiguous ? 'maybe twice' : 'delivered');
  }

  unconfirmed(delivery: Delivery): void {
    delivery.choice?.settle();
    delivery.learnOrders();
    this.endings.tell(delivery, undefined);
    this.endings.finish(delivery, 'unconfirmed');
  }

  /** The answer of the application, after CA; or one that nobody asked for. */
  answeredLater(delivery: Delivery, answer: Acknowledgement, bytes: Buffer): void {
    const { origin } = delivery;
    if (!delivery.finished) {
      this.answered(delivery, answer, bytes);
      this.#promiseEnded(delivery);
      return;
    }
    if (!isPositive(answer.code)) delivery.unlearnOrders();
    if (origin.isListening) origin.answerLater(delivery, bytes);
    else {
      const { controlId } = delivery;
      notice('info', 'an answer came for a sender that has left', {
        vip: this.vip,
        controlId,
        code: answer.code,
      });
    }
    this.#promiseEnded(delivery);
  }

  notAnsweredLater(delivery: Delivery): void {
    if (!this.#promiseEnded(delivery)) return;
    if (!delivery.finished) this.endings.answerForCommit(delivery);
    const { controlId } = delivery;
    const server = delivery.target?.server.name;
    notice('warn', 'a server accepted a message and its application never answered', {
      vip: this.vip,
      server,
      controlId,
    });
  }

  refused(delivery: Delivery, detail: string): void {
    delivery.detail = detail;
    this.#next(delivery, undefined);
  }

  lost(delivery: Delivery, loss: Loss): void {
    if (loss.cause === 'broken') {
      this.endings.broken(delivery, loss.detail as Break);
      return;
    }
    delivery.detail = loss.detail;
    if (delivery.committed) {
      this.endings.answerForCommit(delivery);
    } else if (!loss.whole && !delivery.ambiguous) {
      if (delivery.stream?.rewind() === false) this.endings.giveUp(delivery, 'unavailable');
      else if (delivery.isAwaited) this.#next(delivery, undefined);
      else this.endings.finish(delivery, 'unavailable');
    } else {
      delivery.ambiguous = true;
      if (loss.cause === 'mismatch') delivery.mismatches++;
      const onAmbiguous = ambiguityOf(delivery);
      // Also when it is not sent again now: what the queue keeps comes back.
      if (onAmbiguous === 'hold' && loss.whole) delivery.heldFor = delivery.target;
      if (onAmbiguous === 'fail') this.endings.hangUp(delivery, 'failed');
      else if (!maySendAgain(delivery, loss, this.#options.now())) this.endings.giveUp(delivery, 'failed');
      else if (delivery.stream?.rewind() === false) this.endings.giveUp(delivery, 'failed');
      else if (onAmbiguous === 'any') this.#next(delivery, undefined);
      else delivery.target!.hold(delivery);
    }
  }

  // The way of a message.

  /** `message` is the delivery's; `content` too, when it has no copy of its own. */
  dispatch(delivery: Delivery, message: Message, content: Buffer | undefined): void {
    delivery.went = true;
    delivery.choice?.abandon();
    delivery.plan = this.#plan;
    delivery.readOrders(message);
    const choice = this.#choose(message, delivery.origin);
    delivery.choice = choice;
    if (choice.reject !== undefined) {
      this.#unroutable(delivery, choice.reject, message);
      return;
    }
    if (this.#goBack(delivery, content)) return;
    if (delivery.ties && this.#goAlong(delivery, delivery.ties, content)) return;
    const place = this.targets.besides(delivery.lane?.place, delivery.origin);
    if (place && place.server.pool === choice.pool?.name && place.keepsLanes) {
      delivery.reason = 'messages of the same patient are there';
      if (this.#offer(delivery, place, content)) return;
    }
    this.#next(delivery, content);
  }

  /** Would a rule take it? If not, its sender is told. */
  hasRoute(delivery: Delivery, message: Message): boolean {
    const choice = this.#choose(message, delivery.origin);
    choice.abandon();
    if (choice.reject === undefined) return true;
    delivery.choice = choice;
    this.#unroutable(delivery, choice.reject, message);
    return false;
  }

  #unroutable(delivery: Delivery, reject: string, message: Message): void {
    delivery.detail = reject === 'no-route' ? 'no rule takes it' : `rejected: ${reject}`;
    const code = rejectionCode(delivery.mode);
    if (code) this.endings.reply(delivery, unroutable(code, reject), message);
    this.endings.finish(delivery, 'rejected');
  }

  /** A message of the queue that may have arrived goes where it may be, unless that server is no more. */
  #goBack(delivery: Delivery, content: Buffer | undefined): boolean {
    const { origin, choice } = delivery;
    const server = origin instanceof StoredMessage ? origin.boundTo : undefined;
    if (!server || choice!.pool?.server(server.name) !== server) return false;
    const target = this.targets.of(server, origin);
    if (!target) return false;
    delivery.reason = 'it may have arrived there';
    delivery.heldFor = target;
    if (!this.#offer(delivery, target, content)) this.#waitForRoom(delivery, content);
    return true;
  }

  /** A message of a stream, or a fragment, goes where the one before it went. */
  #goAlong(delivery: Delivery, ties: Ties, content: Buffer | undefined): boolean {
    const pool = delivery.choice?.pool;
    const server = pool && this.#plan.orderMemory.pins?.serverOf(ties, pool);
    const target = server && this.targets.of(server, delivery.origin);
    if (!target) return false;
    delivery.reason = 'the message before it went there';
    // Full: another server would have half of a stream.
    if (!this.#offer(delivery, target, content)) this.#waitForRoom(delivery, content);
    return true;
  }

  #waitForRoom(delivery: Delivery, content: Buffer | undefined): void {
    if (content) delivery.keep(content);
    this.#roomless.add(delivery);
  }

  #choose(message: Message, origin: Origin): Choice {
    const { director, settings, orderMemory } = this.#plan;
    const facts = messageFacts(message, origin.facts, settings, orderMemory.aliases?.resolver);
    return director.choose(facts, CHOOSE);
  }

  /** Tries one candidate after the other. */
  #next(delivery: Delivery, content: Buffer | undefined): void {
    if (!delivery.choice) {
      // An answer on its way to a return address.
      this.endings.finish(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
      return;
    }
    if (delivery.plan !== this.#plan && !delivery.ambiguous) {
      // The servers of its choice may be gone with the configuration that it was made by.
      this.dispatch(delivery, this.#message.open(delivery.content), undefined);
      return;
    }
    const { choice } = delivery;
    const failed = delivery.target;
    if (failed && this.#options.now() >= delivery.expires) {
      this.endings.giveUp(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
      return;
    }
    let full = false;
    for (let candidate = choice.next(); candidate; candidate = choice.next()) {
      const target = this.targets.of(candidate.server, delivery.origin);
      // It was asked a moment ago, because messages of the same patient had gone there.
      if (!target || target === failed) continue;
      delivery.reason = candidate.reason;
      if (this.#offer(delivery, target, content)) return;
      full = true;
    }
    if (content) delivery.keep(content);
    if (full && !delivery.ambiguous) {
      this.#roomless.add(delivery);
      return;
    }
    delivery.detail ??= choice.exhausted === 'none-up' ? 'no server is up' : 'no server could be had';
    this.endings.giveUp(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
  }

  #offer(delivery: Delivery, target: Target, content: Buffer | undefined): boolean {
    delivery.target = target;
    if (delivery.lane) delivery.lane.place = target;
    if (delivery.moreLanes) for (const lane of delivery.moreLanes) lane.place = target;
    return target.offer(delivery, content);
  }

  /** True when an answer had been promised to the sender. */
  #promiseEnded(delivery: Delivery): boolean {
    if (!delivery.isPromised) return false;
    delivery.isPromised = false;
    delivery.origin.promiseEnded();
    return true;
  }
}
