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

import { isDeepStrictEqual } from 'node:util';
import {
  type Acknowledgement,
  type Answer,
  acknowledgementMode,
  buildAcknowledgement,
  isAcknowledgement,
  isPositive,
} from '../../../protocols/hl7/acknowledgement.ts';
import { Message } from '../../../protocols/hl7/cursor.ts';
import { messageFacts } from '../../../protocols/hl7/facts.ts';
import { orderingOf } from '../../../protocols/hl7/patient.ts';
import type { Choice, ChooseOptions } from '../../director/director.ts';
import { notice } from '../../observe/events.ts';
import type { Server } from '../../pools/server.ts';
import { Delivery, type Outcome } from './delivery.ts';
import type { InboundConnection } from './inbound.ts';
import { Lanes, WHOLE_VIP } from './lanes.ts';
import type { MessageStream } from './message-stream.ts';
import type { Origin } from './origin.ts';
import type { Loss } from './outbound.ts';
import { ambiguityOf, maySendAgain, type Plan } from './plan.ts';
import { overlong, rejectionCode, undeliverable, unreadable, unroutable } from './refusal.ts';
import { senderTimeoutOf } from './settings.ts';
import type { Target, TargetListener } from './target.ts';
import { Targets, type TargetsOf } from './targets.ts';

export interface CourierOptions {
  readonly vip: string;
  readonly now: () => number;
  /** Milliseconds since 1970, for MSH-7. */
  readonly wallClock: () => number;
  /** No message is in hand any more. */
  readonly whenEmpty: () => void;
}

/** A kept connection takes one message after another: its server's room is the connections' business. */
const CHOOSE: ChooseOptions = { ignoreRoom: true };

export class Courier implements TargetListener {
  readonly vip: string;
  /** `dropped`: acknowledgements that senders sent, which nobody waits for. */
  readonly totals = {
    messages: 0,
    delivered: 0,
    unconfirmed: 0,
    rejected: 0,
    unavailable: 0,
    failed: 0,
    dropped: 0,
  };
  readonly #options: CourierOptions;
  /** By which messages that come are dealt with. */
  #plan: Plan;
  /** Messages in hand stand in lanes of another order: what comes next waits for all of them. */
  #orderChanged = false;
  readonly #lanes = new Lanes<Target>();
  readonly targets: Targets;
  /** Messages whose servers are all full. */
  readonly #roomless = new Set<Delivery>();
  /** One for all: a message is read while it arrives, or when its turn comes. */
  readonly #message = new Message();
  #inHand = 0;

  constructor(options: CourierOptions, plan: Plan, targetsOf: TargetsOf) {
    this.#options = options;
    this.vip = options.vip;
    this.#plan = plan;
    this.targets = new Targets(this, targetsOf);
  }

  /** What comes from now on is dealt with by this plan; the order of what is in hand holds. */
  reconfigure(plan: Plan, targetsOf: TargetsOf): void {
    const [before, after] = [this.#plan.settings, plan.settings];
    const isSame = before.order === after.order && isDeepStrictEqual(before.patient, after.patient);
    if (!isSame && this.#inHand > 0) this.#orderChanged = true;
    this.#plan = plan;
    this.targets.reconfigure(targetsOf);
    this.#retryRoomless();
  }

  /** Messages that are not decided. */
  get inHand(): number {
    return this.#inHand;
  }

  /** A message came; `content` is valid during the call. */
  receive(sender: InboundConnection, content: Buffer): void {
    const message = this.#message.open(content);
    const delivery = this.#admit(sender, message);
    if (!delivery) return;
    if (message.problem !== undefined) {
      this.#reject(delivery, message);
    } else if (this.#enterLanes(delivery, message)) {
      this.#dispatch(delivery, message, content);
    } else {
      delivery.keep(content);
    }
  }

  /** A long message began. */
  receiveStream(origin: Origin, stream: MessageStream): void {
    const message = this.#message.open(stream.beginning);
    const delivery = this.#admit(origin, message, stream);
    if (!delivery) stream.cancel();
    else if (message.problem !== undefined) this.#reject(delivery, message);
    else if (this.#enterLanes(delivery, message)) this.#dispatch(delivery, message, undefined);
  }

  /** A message came that is longer than allowed: it is answered when its header can be read, then its sender must go. */
  receiveOverlong(sender: InboundConnection, beginning: Buffer, byteCount: number, byteLimit: number): void {
    const message = this.#message.open(beginning);
    const delivery = this.#admit(sender, message);
    if (!delivery) {
      sender.drain();
      return;
    }
    delivery.detail = `too long: ${byteCount} bytes or more`;
    const code = message.problem === undefined ? rejectionCode(delivery.mode) : undefined;
    if (code) this.#reply(delivery, overlong(code, byteLimit), message);
    this.#finish(delivery, 'rejected');
    sender.drain();
  }

  /** Its turn in the lanes came. */
  turnOf(delivery: Delivery): void {
    if (delivery.finished) {
      this.#lanes.leave(delivery);
      return;
    }
    const { content } = delivery;
    this.#dispatch(delivery, this.#message.open(content), undefined);
  }

  /** All of its time is over. */
  expire(delivery: Delivery): void {
    if (delivery.connection) {
      delivery.connection.giveUp();
      return;
    }
    delivery.detail ??= 'no server took it in time';
    this.#giveUp(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
  }

  /** Nobody waits for its answer: dropped if nothing was sent, else finished for the record. */
  abandon(delivery: Delivery, why: string): void {
    if (delivery.connection) return;
    delivery.detail = delivery.ambiguous ? `${delivery.detail}; ${why}` : `dropped unsent: ${why}`;
    this.#finish(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
  }

  /** A server's state or room changed. */
  serverChanged(server: Server): void {
    this.targets.tidy(server);
    this.#retryRoomless();
  }

  #retryRoomless(): void {
    if (this.#roomless.size === 0) return;
    const waiting = [...this.#roomless];
    this.#roomless.clear();
    for (const delivery of waiting) if (!delivery.finished) this.turnOf(delivery);
  }

  /** Ends every connection to a server. */
  close(): void {
    this.targets.close();
  }

  // What targets tell.

  answered(delivery: Delivery, answer: Acknowledgement | undefined, bytes: Buffer): void {
    delivery.acknowledgement = answer?.code;
    delivery.choice?.settle();
    delivery.finished = true;
    if (isPositive(answer?.code)) delivery.learnOrders();
    if (answer?.code === 'CA' && delivery.wantsApplicationsAnswer) {
      delivery.isPromised = true;
      delivery.origin.promise();
    }
    delivery.origin.answer(delivery, bytes);
    this.#finish(delivery, delivery.ambiguous ? 'maybe twice' : 'delivered');
  }

  unconfirmed(delivery: Delivery): void {
    delivery.choice?.settle();
    delivery.finished = true;
    delivery.learnOrders();
    delivery.origin.answer(delivery, undefined);
    this.#finish(delivery, 'unconfirmed');
  }

  /** The answer of the application, after CA; or one that nobody asked for. */
  answeredLater(delivery: Delivery, answer: Acknowledgement, bytes: Buffer): void {
    const { origin } = delivery;
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
    delivery.detail = loss.detail;
    if (!loss.whole && !delivery.ambiguous) {
      if (delivery.origin.isListening) this.#next(delivery, undefined);
      else this.#finish(delivery, 'unavailable');
      return;
    }
    delivery.ambiguous = true;
    if (loss.cause === 'mismatch') delivery.mismatches++;
    const onAmbiguous = ambiguityOf(delivery);
    if (onAmbiguous === 'fail') this.#hangUp(delivery, 'failed');
    else if (!maySendAgain(delivery, loss, this.#options.now())) this.#giveUp(delivery, 'failed');
    else if (onAmbiguous === 'any') this.#next(delivery, undefined);
    else delivery.target!.hold(delivery);
  }

  // The way of a message.

  /** Takes a message into its sender's row. Undefined for an answer, which is never answered. */
  #admit(origin: Origin, message: Message, stream?: MessageStream): Delivery | undefined {
    if (isAcknowledgement(message)) {
      this.totals.dropped++;
      notice('warn', 'a sender sent an acknowledgement; it was dropped', {
        vip: this.vip,
        client: origin.client,
      });
      return undefined;
    }
    const plan = this.#plan;
    const time = senderTimeoutOf(plan.settings, message);
    const mode = acknowledgementMode(message);
    const delivery = new Delivery(this, origin, message, mode, plan, time, this.#options.now(), stream);
    this.totals.messages++;
    this.#inHand++;
    origin.enlist(delivery);
    return delivery;
  }

  /** Puts the message in order. True: it may go at once. */
  #enterLanes(delivery: Delivery, message: Message): boolean {
    const { order, patient } = this.#plan.settings;
    if (this.#orderChanged) {
      this.#orderChanged = false;
      delivery.keys = WHOLE_VIP;
    } else if (order === 'patient') {
      const { keys, wholeVip } = orderingOf(message, patient);
      delivery.keys = wholeVip ? WHOLE_VIP : keys.length === 1 ? keys[0]! : keys;
    } else if (order === 'sender') {
      delivery.keys = delivery.source;
    }
    return this.#lanes.enter(delivery);
  }

  /** `message` is the delivery's; `content` too, when it has no copy of its own. */
  #dispatch(delivery: Delivery, message: Message, content: Buffer | undefined): void {
    delivery.went = true;
    delivery.choice?.abandon();
    delivery.plan = this.#plan;
    delivery.readOrders(message);
    const choice = this.#choose(message, delivery.origin);
    delivery.choice = choice;
    if (choice.reject !== undefined) {
      delivery.detail = choice.reject === 'no-route' ? 'no rule takes it' : `rejected: ${choice.reject}`;
      const code = rejectionCode(delivery.mode);
      if (code) this.#reply(delivery, unroutable(code, choice.reject), message);
      this.#finish(delivery, 'rejected');
      return;
    }
    const place = delivery.lane?.place;
    if (place && place.server.pool === choice.pool?.name && place.keepsLanes) {
      delivery.reason = 'messages of the same patient are there';
      if (this.#offer(delivery, place, content)) return;
    }
    this.#next(delivery, content);
  }

  #choose(message: Message, origin: Origin): Choice {
    const { director, settings } = this.#plan;
    return director.choose(messageFacts(message, origin.facts, settings), CHOOSE);
  }

  /** Tries one candidate after the other. */
  #next(delivery: Delivery, content: Buffer | undefined): void {
    if (delivery.plan !== this.#plan && !delivery.ambiguous) {
      // The servers of its choice may be gone with the configuration that it was made by.
      this.#dispatch(delivery, this.#message.open(delivery.content), undefined);
      return;
    }
    const choice = delivery.choice!;
    const failed = delivery.target;
    if (failed && this.#options.now() >= delivery.expires) {
      this.#giveUp(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
      return;
    }
    let full = false;
    for (let candidate = choice.next(); candidate; candidate = choice.next()) {
      const target = this.targets.of(candidate.server, delivery.origin.port);
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
    this.#giveUp(delivery, delivery.ambiguous ? 'failed' : 'unavailable');
  }

  #offer(delivery: Delivery, target: Target, content: Buffer | undefined): boolean {
    delivery.target = target;
    if (delivery.lane) delivery.lane.place = target;
    if (delivery.moreLanes) for (const lane of delivery.moreLanes) lane.place = target;
    return target.offer(delivery, content);
  }

  // How it ends.

  /** It cannot be delivered, and its sender is told, or sent away. */
  #giveUp(delivery: Delivery, outcome: Outcome): void {
    const { whenUnavailable } = delivery.plan.settings;
    if (whenUnavailable === 'close') {
      this.#hangUp(delivery, outcome);
      return;
    }
    if (!delivery.wantsNoAnswer) {
      this.#reply(delivery, undeliverable(whenUnavailable), this.#message.open(delivery.content));
    }
    this.#finish(delivery, outcome);
  }

  #hangUp(delivery: Delivery, outcome: Outcome): void {
    delivery.finished = true;
    delivery.origin.hangUp(delivery);
    this.#finish(delivery, outcome);
  }

  /** It cannot be read. */
  #reject(delivery: Delivery, message: Message): void {
    delivery.detail = `unreadable: ${message.problem}`;
    this.#reply(delivery, unreadable(message.problem!), message);
    this.#finish(delivery, 'rejected');
  }

  /** Our own answer to `message`, the delivery's. */
  #reply(delivery: Delivery, answer: Answer, message: Message): void {
    delivery.acknowledgement = answer.code;
    delivery.finished = true;
    delivery.origin.answer(delivery, buildAcknowledgement(message, answer, this.#options.wallClock));
  }

  /** The message is decided: whoever waits behind it goes on. */
  #finish(delivery: Delivery, outcome: Outcome): void {
    if (!delivery.finished) {
      delivery.finished = true;
      delivery.origin.answer(delivery, undefined);
    }
    const { now, whenEmpty } = this.#options;
    delivery.frame = undefined;
    delivery.stream?.cancel();
    if (outcome !== 'delivered' && outcome !== 'maybe twice' && outcome !== 'unconfirmed')
      delivery.choice?.abandon();
    this.totals[outcome === 'maybe twice' ? 'delivered' : outcome]++;
    this.#roomless.delete(delivery);
    delivery.publish(outcome, now());
    delivery.origin.over(delivery, outcome);
    this.#inHand--;
    if (delivery.went) this.#lanes.leave(delivery);
    if (this.#inHand === 0) whenEmpty();
  }

  /** True when an answer had been promised to the sender. */
  #promiseEnded(delivery: Delivery): boolean {
    if (!delivery.isPromised) return false;
    delivery.isPromised = false;
    delivery.origin.promiseEnded();
    return true;
  }
}
