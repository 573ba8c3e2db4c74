/**
 * What comes in: read, and put in its place. A message is answered at once (unreadable, too long, a repetition), kept
 * on the disk (store mode), or given to the courier when its turn comes.
 */
import { isDeepStrictEqual } from 'node:util';
import { acknowledgementMode, isAcknowledgement } from '../../../protocols/hl7/acknowledgement.ts';
import { Message } from '../../../protocols/hl7/cursor.ts';
import { notice } from '../../observe/events.ts';
import type { OrderKeys as QueueKeys } from '../../queue/message.ts';
import type { Courier } from './courier.ts';
import { Delivery } from './delivery.ts';
import { type Fingerprint, fingerprintOf } from './duplicates.ts';
import { HashingStream } from './hashing-stream.ts';
import type { InboundConnection } from './inbound.ts';
import { type OrderKeys, WHOLE_VIP } from './lanes.ts';
import type { Break, MessageStream } from './message-stream.ts';
import { orderOf } from './order.ts';
import type { Origin } from './origin.ts';
import { overlong, rejectionCode, unreadable } from './refusal.ts';
import { type Hl7Settings, isStored, senderTimeoutOf } from './settings.ts';
import type { KeepListener, Store } from './store.ts';
import { aboutOf } from './stored-message.ts';

export interface IntakeOptions {
  readonly vip: string;
  readonly now: () => number;
  readonly courier: Courier;
}

const NO_ANSWER = Buffer.alloc(0);

export class Intake implements KeepListener {
  readonly #options: IntakeOptions;
  readonly #courier: Courier;
  /** `delivery: store`. */
  store: Store | undefined;
  /** Messages in hand stand in another order: what comes next waits for all of them. */
  #orderChanged = false;
  /** One for all: a message is read while it arrives. */
  readonly #message = new Message();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#courier = options.courier;
  }

  /** The order of what is in hand holds, and that of what is in the queue. */
  reconfigure(before: Hl7Settings, after: Hl7Settings): void {
    if (before.order === after.order && isDeepStrictEqual(before.patient, after.patient)) return;
    if (this.store) this.store.divide();
    else if (this.#courier.endings.inHand > 0) this.#orderChanged = true;
  }

  /** A message came; `content` is valid during the call. */
  receive(sender: Origin, content: Buffer): void {
    const message = this.#message.open(content);
    const delivery = this.#admit(sender, message);
    if (delivery) this.#place(delivery, message, content);
  }

  /** A long message began. */
  receiveStream(sender: Origin, stream: MessageStream): void {
    const message = this.#message.open(stream.beginning);
    const delivery = this.#admit(sender, message, stream);
    if (delivery) this.#place(delivery, message, stream.beginning);
    else stream.cancel();
  }

  /** A message came that is longer than allowed: it is answered when its header can be read, then its sender must go. */
  receiveOverlong(sender: InboundConnection, beginning: Buffer, byteCount: number, byteLimit: number): void {
    const message = this.#message.open(beginning);
    const delivery = this.#admit(sender, message);
    if (delivery) {
      delivery.detail = `too long: ${byteCount} bytes or more`;
      const code = message.problem === undefined ? rejectionCode(delivery.mode) : undefined;
      if (code) this.#courier.endings.reply(delivery, overlong(code, byteLimit), message);
      this.#courier.endings.finish(delivery, 'rejected');
    }
    sender.drain();
  }

  /** Takes a message into its sender's row. Undefined for an answer, which is never answered. */
  #admit(origin: Origin, message: Message, stream?: MessageStream): Delivery | undefined {
    const courier = this.#courier;
    const { vip, now } = this.#options;
    if (isAcknowledgement(message)) {
      courier.endings.totals.dropped++;
      notice('warn', 'a sender sent an acknowledgement; it was dropped', { vip, client: origin.client });
      return undefined;
    }
    const { plan } = courier;
    const time = senderTimeoutOf(plan.settings, message);
    const mode = acknowledgementMode(message);
    const hashing =
      stream && courier.endings.duplicates.isOn
        ? new HashingStream(stream, (fingerprint) => !this.#sees(delivery, fingerprint))
        : stream;
    const delivery: Delivery = new Delivery(courier, origin, message, mode, plan, time, now(), hashing);
    courier.endings.totals.messages++;
    courier.endings.inHand++;
    origin.enlist(delivery);
    return delivery;
  }

  #place(delivery: Delivery, message: Message, content: Buffer): void {
    if (message.problem !== undefined) {
      delivery.detail = `unreadable: ${message.problem}`;
      this.#courier.endings.reply(delivery, unreadable(message.problem), message);
      this.#courier.endings.finish(delivery, 'rejected');
      return;
    }
    if (this.#courier.endings.duplicates.isOn && !delivery.stream && this.#isRepetition(delivery, content))
      return;
    delivery.keys = this.#keysOf(delivery, message);
    const { store } = this;
    if (store && isStored(delivery.plan.settings, delivery.mode)) {
      this.#keep(delivery, message, content, store);
    } else if (store) {
      delivery.keep(content);
      delivery.standing = store.queue.stand(queueKeys(delivery.keys), () => this.#courier.turnOf(delivery));
    } else {
      delivery.inLanes = true;
      if (this.#courier.lanes.enter(delivery)) this.#courier.dispatch(delivery, message, content);
      else delivery.keep(content);
    }
  }

  /** Is it a repetition? Then it is answered as the first is. */
  #isRepetition(delivery: Delivery, content: Buffer): boolean {
    if (!this.#sees(delivery, fingerprintOf(content))) return false;
    delivery.keep(content);
    this.#courier.endings.repeat(delivery, delivery.repetition!);
    return true;
  }

  /** Is it a repetition, in `delivery.repetition`? */
  #sees(delivery: Delivery, fingerprint: Fingerprint): boolean {
    delivery.fingerprint = fingerprint;
    const { source, controlId, origin } = delivery;
    const sight = this.#courier.endings.duplicates.see(source, controlId, fingerprint, delivery);
    if (!sight) return false;
    if (!('number' in sight)) {
      delivery.repetition = sight;
      return true;
    }
    delivery.remembered = sight.number;
    if (sight.kind === 'changed') {
      const { vip } = this.#options;
      notice('warn', 'a control id came again with another message', {
        vip,
        client: origin.client,
        controlId,
      });
    }
    return false;
  }

  /** By what it is kept in order. */
  #keysOf(delivery: Delivery, message: Message): OrderKeys {
    const { settings, orderMemory } = delivery.plan;
    const { keys, merges, ties } = orderOf(message, settings, delivery.source, orderMemory);
    delivery.merges = merges;
    delivery.ties = ties;
    if (!this.#orderChanged) return keys;
    this.#orderChanged = false;
    return WHOLE_VIP;
  }

  #keep(delivery: Delivery, message: Message, content: Buffer, store: Store): void {
    // What no rule takes is refused while its sender can still hear of it.
    if (!this.#courier.hasRoute(delivery, message)) return;
    const application = message.header(3, 1);
    const describe = () => ({
      keys: queueKeys(delivery.keys),
      about: aboutOf(delivery, application),
      fingerprint: bytesOf(delivery.fingerprint),
      merges: delivery.merges,
    });
    // What its answer is made of is kept in memory: the first segment.
    const end = message.batch ? -1 : message.nextSegment(message.firstSegment);
    const header = end < 0 ? content.length : end;
    delivery.keep(content.subarray(0, header));
    store.keep(delivery, describe, content, header, this);
  }

  kept(delivery: Delivery): void {
    const { endings } = this.#courier;
    if (!endings.replyKept(delivery)) {
      endings.remember(delivery, NO_ANSWER);
      endings.tell(delivery, undefined);
    }
    endings.finish(delivery, 'stored');
  }

  notKept(delivery: Delivery, why: string): void {
    delivery.detail = why;
    this.#courier.endings.giveUp(delivery, 'unavailable');
  }

  broken(delivery: Delivery, why: Break): void {
    if (!delivery.finished) this.#courier.endings.broken(delivery, why);
  }
}

function queueKeys(keys: OrderKeys): QueueKeys {
  if (keys === WHOLE_VIP) return 'whole';
  return typeof keys === 'string' ? [keys] : keys;
}

function bytesOf(fingerprint: Fingerprint | undefined): Buffer | undefined {
  return fingerprint === undefined ? undefined : Buffer.from(fingerprint, 'latin1');
}
