/** One message on its way: from its sender to a server, and the answer back. */
import { type AcknowledgementMode, isPositive, isSent } from '../../../protocols/hl7/acknowledgement.ts';
import type { Message } from '../../../protocols/hl7/cursor.ts';
import type { Merge } from '../../../protocols/hl7/merges.ts';
import { encodeFrame } from '../../../protocols/hl7/mllp.ts';
import { type Order, ordersIn } from '../../../protocols/hl7/orders.ts';
import type { Ties } from '../../../protocols/hl7/ties.ts';
import type { Choice } from '../../director/director.ts';
import { events } from '../../observe/events.ts';
import type { IncomingBody } from '../../queue/incoming-body.ts';
import type { Standing } from '../../queue/queue.ts';
import type { Courier } from './courier.ts';
import type { Fingerprint, Sight } from './duplicates.ts';
import type { Lane, OrderKeys, Turn } from './lanes.ts';
import { type MessageStream, STREAMED_ABOVE } from './message-stream.ts';
import type { Origin } from './origin.ts';
import type { OutboundConnection } from './outbound-connection.ts';
import type { Plan } from './plan.ts';
import type { Target } from './target.ts';

/**
 * How it ended (contract, "Log lines"): `delivered` - a server answered; `maybe twice` - so too, and an attempt before
 * was not answered; `unconfirmed` - sent, and no answer was asked for or came; `rejected` - by us: no rule takes it, or
 * it cannot be read; `stored` - kept in the queue; `duplicate` - it
 * came before, and is answered as it was; `held` - not delivered, or refused, and kept in the queue; `unavailable` - never sent; `failed` - sent, and never answered.
 */
export type Outcome =
  | 'delivered'
  | 'maybe twice'
  | 'unconfirmed'
  | 'stored'
  | 'duplicate'
  | 'held'
  | 'rejected'
  | 'unavailable'
  | 'failed';

const ARRIVED: ReadonlySet<Outcome> = new Set([
  'delivered',
  'maybe twice',
  'unconfirmed',
  'stored',
  'duplicate',
]);

/** Is it with a server, or on the disk? What the server says of it is another question. */
export function hasArrived(outcome: Outcome): boolean {
  return ARRIVED.has(outcome);
}

/** What it repeats. */
export type Repetition = Exclude<Sight<Delivery>, { readonly number: number }>;

const NO_KEYS: OrderKeys = [];

export class Delivery implements Turn<Target> {
  readonly courier: Courier;
  readonly origin: Origin;
  /** What follows its first 256 KiB, when it is longer than that. */
  readonly stream: MessageStream | undefined;
  readonly arrived: number;
  /** Bytes; of a stream so far. */
  length: number;
  /** Clock time by which everything is decided. */
  expires: number;
  readonly senderTimeout: number;

  readonly type: string;
  readonly event: string;
  /** MSH-10, blanks around it removed; in a batch the batch's own. */
  readonly controlId: string;
  readonly application: string;
  readonly facility: string;
  /** Both, as the log shows them. */
  readonly source: string;
  readonly batch: boolean;
  readonly mode: AcknowledgementMode;
  /** By which it is dealt with: that of its choice, or before there is one that of its arrival. */
  plan: Plan;

  keys: OrderKeys = NO_KEYS;
  /** What it merges; settled at its end. */
  merges: readonly Merge[] | undefined;
  /** The stream or the fragments that it belongs to. */
  ties: Ties | undefined;
  lane: Lane<Target> | undefined;
  moreLanes: readonly Lane<Target>[] | undefined;
  behind = 0;
  /** It entered the lanes. */
  inLanes = false;
  /** What the queue has of it while it comes. */
  body: IncomingBody | undefined;
  /** The queue has all of it, and has not said yet whether it is on the disk. */
  isBeingKept = false;
  /** Its place among the messages of the queue, when it is not kept there itself. */
  standing: Standing | undefined;
  /** Its turn came. */
  went = false;
  /** By which repetitions of it are known. */
  fingerprint: Fingerprint | undefined;
  /** Its number among the messages that are remembered; -1: it is not. */
  remembered = -1;
  /** Of a long message, found out at its end. */
  repetition: Repetition | undefined;
  /** Repetitions that came while it is in flight. */
  followers: Delivery[] | undefined;

  /** The message of the same sender that came after this one, while this one is not answered. */
  next: Delivery | undefined;
  /** Decided: nothing more happens to it, but that its answer may wait for those before it. */
  finished = false;
  /** The answer for the sender, while those before it are not answered. */
  answer: Buffer | undefined;
  /** The sender gets no answer: its connection is closed when those before it are answered. */
  hangUp = false;

  /** The message in a frame, when it had to wait; otherwise the outbound connection has it. */
  frame: Buffer | undefined;
  choice: Choice | undefined;
  target: Target | undefined;
  connection: OutboundConnection | undefined;
  sentAt = 0;
  /** It was sent whole and not answered: it may have arrived. */
  ambiguous = false;
  /** A server has it on its disk (MLLP release 2): it goes nowhere else, and not again. */
  committed = false;
  /** It waits for this server and no other. */
  heldFor: Target | undefined;
  /** Its silence was counted against a server already. */
  marked = false;
  /** Answers that named another message. */
  mismatches = 0;
  attempts = 0;
  /** CA came, and the sender waits for its application's answer. */
  isPromised = false;
  /** What it orders, where somebody learns from that. */
  #orders: readonly Order[] | undefined;
  #learned: readonly string[] | undefined;
  reason: string | undefined;
  acknowledgement: string | undefined;
  detail: string | undefined;

  constructor(
    courier: Courier,
    origin: Origin,
    message: Message,
    mode: AcknowledgementMode,
    plan: Plan,
    senderTimeout: number,
    now: number,
    stream?: MessageStream,
  ) {
    this.courier = courier;
    this.origin = origin;
    this.stream = stream;
    this.arrived = now;
    this.length = message.bytes.length;
    this.senderTimeout = senderTimeout;
    this.expires = now + senderTimeout;
    this.batch = message.batch;
    // A sender's messages are much alike: what they share is kept once.
    const before = origin.latest;
    this.type = message.header(9, 1, before?.type);
    this.event = message.header(9, 2, before?.event);
    // FHS-11 and BHS-11, the batch control id (HL7 v2.5.1 2.14.2, 2.14.4).
    this.controlId = message.header(message.batch ? 11 : 10).trim();
    this.application = message.header(3, 0, before?.application);
    this.facility = message.header(4, 0, before?.facility);
    const isSame = before?.application === this.application && before.facility === this.facility;
    this.source = isSame ? before.source : `${this.application}^${this.facility}`;
    this.mode = mode;
    this.plan = plan;
  }

  go(): void {
    this.courier.turnOf(this);
  }

  /** Is its time over? That of a long message on its way begins anew: how it flows is watched by its connection. */
  isOverdue(now: number): boolean {
    if (this.expires > now) return false;
    if (!this.stream || !this.connection) return true;
    this.expires = now + this.senderTimeout;
    return false;
  }

  /** `code`: MSA-1 of its answer, if it is in table 0008. The answer to a batch may have none (HL7 v2.5.1 2.10.3.4). */
  acknowledge(code: string | undefined): void {
    this.acknowledgement = code ?? (this.batch ? undefined : 'unknown');
  }

  /** Its answer does not say yes. Who gives no answer does not say no. */
  get isRefused(): boolean {
    return this.acknowledgement !== undefined && !isPositive(this.acknowledgement);
  }

  /** Takes a copy of the message: it has to wait. */
  keep(content: Buffer): void {
    if (!this.stream) this.frame ??= encodeFrame(content);
  }

  /** The message as it came, of a stream its beginning; empty when it was delivered. */
  get content(): Buffer {
    if (this.stream) return this.stream.beginning;
    return this.frame ? this.frame.subarray(1, this.frame.length - 2) : Buffer.alloc(0);
  }

  /** Bytes that count while it is on its way; of a stream about what is in memory at once. */
  get weight(): number {
    return this.stream ? STREAMED_ABOVE : this.length;
  }

  /** Somebody is there to hear its answer. */
  get isAwaited(): boolean {
    return (
      this.origin.isListening ||
      (this.followers?.some(({ finished, origin }) => !finished && origin.isListening) ?? false)
    );
  }

  /** The sender does not want to hear of success, and may not want to hear at all: silence is no fault. */
  get silenceIsSuccess(): boolean {
    const { enhanced, accept, application } = this.mode;
    return enhanced && (accept === 'NE' || accept === 'ER') && (application === 'NE' || application === 'ER');
  }

  /** After CA the sender waits for the answer of the application as well. */
  get wantsApplicationsAnswer(): boolean {
    return this.mode.enhanced && isSent(this.mode.application, true);
  }

  /** CA is not for its sender: the answer of the application is all it waits for. */
  get wantsApplicationsAnswerOnly(): boolean {
    return this.wantsApplicationsAnswer && !isSent(this.mode.accept, true);
  }

  /** No answer will ever come. */
  get wantsNoAnswer(): boolean {
    const { enhanced, accept, application } = this.mode;
    return enhanced && accept === 'NE' && application === 'NE';
  }

  /** Reads what the message orders, once; the message itself is gone when its answer comes. */
  readOrders(message: Message): void {
    const { statOrders, settings } = this.plan;
    if (statOrders) this.#orders ??= ordersIn(message, settings.accession);
  }

  /** Learns what it orders, if anything: a server took it. Before its sender hears of that, so that it counts at once. */
  learnOrders(): void {
    if (this.#orders) this.#learned = this.plan.statOrders?.learn(this.#orders);
  }

  /** The server refused, after CA, what it had taken. */
  unlearnOrders(): void {
    if (this.#learned) this.plan.statOrders?.unlearn(this.#learned);
  }

  publish(outcome: Outcome, now: number): void {
    if (!events.message.hasSubscribers) return;
    const { choice, target } = this;
    events.message.publish({
      vip: this.courier.vip,
      client: this.origin.client,
      type: this.type,
      event: this.event,
      controlId: this.controlId,
      sender: this.source,
      pool: choice?.pool?.name,
      server: target?.server.name,
      rule: choice?.rule,
      reason: this.reason,
      attempts: this.attempts,
      acknowledgement: this.acknowledgement,
      outcome,
      detail: this.detail,
      bytes: this.length,
      ms: Math.round((now - this.arrived) * 10) / 10,
    });
  }
}
