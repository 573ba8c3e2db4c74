/**
 * One sender's connection. Messages come in (`Reception`), each gets one answer at most, in the order in which they came
 * (`Replies`) - also from a sender that does not wait for one answer before it sends the next message.
 */

import type { FactValue } from '../../../protocols/facts.ts';
import type { MllpBlocks } from '../../../protocols/hl7/mllp.ts';
import type { GantryError } from '../../errors.ts';
import { notice } from '../../observe/events.ts';
import type { Channel, ChannelHandler } from '../../relay/channel.ts';
import type { Deadline, Deadlines } from '../../relay/deadlines.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { ConnectionView } from '../front-end.ts';
import type { Delivery, Outcome } from './delivery.ts';
import type { FlushQueue } from './flush-queue.ts';
import type { InboundStream } from './inbound-stream.ts';
import type { Break, MessageStream } from './message-stream.ts';
import type { Origin } from './origin.ts';
import { Reception, type Recipient } from './reception.ts';
import { Replies, type RepliesHost } from './replies.ts';

/** What one configuration says about the connections of senders. */
export interface InboundSettings {
  readonly blocks: MllpBlocks;
  readonly maxFrame: number;
  /** Senders speak MLLP release 2. */
  readonly release2: boolean;
  readonly stallTimeout: number;
  readonly idleTimeout: number | undefined;
}

/** What a sender's connection asks of its front-end. */
export interface InboundHost {
  readonly vip: string;
  /** Those in force now: a connection keeps the ones with which it began. */
  readonly settings: InboundSettings;
  readonly deadlines: Deadlines;
  readonly queue: FlushQueue;
  readonly now: () => number;
  /** A message came; `content` is valid during the call. */
  receive(sender: InboundConnection, content: Buffer): void;
  /** A message came that is longer than `STREAMED_ABOVE`. */
  receiveStream(sender: InboundConnection, stream: MessageStream): void;
  /** A message came that is longer than allowed; its beginning is valid during the call. */
  receiveOverlong(sender: InboundConnection, beginning: Buffer, byteCount: number, byteLimit: number): void;
  /** The time of this message is over. */
  expire(delivery: Delivery): void;
  /** The rest of a long message does not come, and nobody has asked for it yet. */
  broken(delivery: Delivery, why: Break): void;
  /** Nobody waits for the answer to this message any more. */
  abandon(delivery: Delivery, why: string): void;
  /** The connection is gone. */
  over(sender: InboundConnection): void;
}

/** Milliseconds that a sender may take to close its side when we closed ours. */
const LINGER_MS = 2000;

export class InboundConnection implements ChannelHandler, Recipient, RepliesHost, Origin {
  readonly id: string;
  readonly client: string;
  readonly started: number;
  /** What the connection says about its messages. */
  readonly facts: Readonly<Record<string, FactValue>>;
  readonly #host: InboundHost;
  readonly #settings: InboundSettings;
  readonly #channel: Channel;
  readonly #reception: Reception;
  readonly #replies: Replies;
  readonly keepsMessages = false;
  /** The message that came last. */
  latest: Delivery | undefined;
  #messages = 0;
  /** Answers of applications that were promised by CA. */
  #owed = 0;
  /** The long message that came last. */
  #long: Delivery | undefined;
  /** A long message that did not come whole: nothing is said about it. */
  #broken: Delivery | undefined;
  /** The sender sent FIN. */
  #ended = false;
  #draining = false;
  /** No frame is read and nothing is answered any more. */
  #left = false;
  #gone = false;
  #expiry: Deadline | undefined;
  #expiryAt = Infinity;
  #silence: Deadline | undefined;

  /** `id`: unique while the process lives. */
  constructor(channel: Channel, host: InboundHost, id: string) {
    this.id = id;
    this.#host = host;
    this.#settings = host.settings;
    this.#channel = channel;
    this.started = host.now();
    this.client = channel.remote.host;
    const { sni, subject: tlsSubject } = channel.tls ?? {};
    this.facts = { client: this.client, port: String(channel.local.port), vip: host.vip, sni, tlsSubject };
    const { vip, deadlines, queue } = host;
    this.#reception = new Reception(channel, { ...this.#settings, vip, deadlines }, this);
    this.#replies = new Replies(channel, { ...this.#settings, queue }, this);
    channel.handler = this;
    this.#watchSilence();
  }

  /** The port the sender came to. */
  get port(): number {
    return this.#channel.local.port;
  }

  /** Somebody is there to hear answers. */
  get isListening(): boolean {
    return !this.#left;
  }

  get view(): ConnectionView {
    const { latest } = this;
    const { host, port } = this.#channel.remote;
    return {
      id: this.id,
      client: `${host}:${port}`,
      facts: latest
        ? { sendingApp: latest.application, sendingFacility: latest.facility, type: latest.type }
        : {},
      pool: latest?.choice?.pool?.name,
      server: latest?.target?.server.name,
      reason: latest?.reason,
      bytes: { toServer: this.#channel.bytesRead, toClient: this.#channel.bytesWritten },
      messages: this.#messages,
      started: this.started,
    };
  }

  /** Takes its place among the messages that are answered in order. */
  enlist(delivery: Delivery): void {
    this.#replies.row.add(delivery);
    this.latest = delivery;
    if (delivery.stream) this.#long = delivery;
    this.#messages++;
    if (delivery.expires < this.#expiryAt) this.#watchExpiry(delivery.expires);
  }

  /** The answer to a message that is finished: `bytes`, valid during the call, or none. */
  answer(delivery: Delivery, bytes: Buffer | undefined): void {
    if (this.#left) return;
    if (delivery === this.#broken && !bytes) this.#replies.skip(delivery);
    else this.#replies.reply(delivery, bytes);
  }

  /** An answer that comes after the one that counted: the application's, after CA. */
  answerLater(_: Delivery, bytes: Buffer): void {
    if (!this.#left) this.#replies.add(bytes);
  }

  over(delivery: Delivery, outcome: Outcome): void {
    if (!this.#left) this.#replies.settle(delivery, outcome);
  }

  /** An application's answer was promised to this sender. */
  promise(): void {
    this.#owed++;
  }

  /** A promised answer came, or never will. */
  promiseEnded(): void {
    this.#owed--;
    if (this.#owed === 0) this.#leaveWhenDone();
  }

  /**
   * A message that is finished gets no answer: the connection is closed when those before it are answered. What came
   * behind it and was not sent is dropped, so that the sender keeps its queue in order.
   */
  hangUp(delivery: Delivery): void {
    if (this.#left) return;
    this.#draining = true;
    const why = 'a message before it could not be delivered';
    for (let behind = delivery.next; behind; behind = behind.next) {
      if (!behind.finished && !behind.connection) this.#host.abandon(behind, why);
    }
    this.#replies.silence(delivery);
    this.#reception.regulate();
  }

  /** Takes no more messages; closes when those that came are answered. */
  drain(): void {
    this.#draining = true;
    this.#leaveWhenDone();
  }

  /** Closes at once. */
  close(): void {
    this.#leave();
    this.#channel.reset();
  }

  read(bytes: Buffer): void {
    this.#reception.push(bytes);
  }

  ended(): void {
    this.#ended = true;
    this.#reception.end();
    this.#watchSilence();
    this.#leaveWhenDone();
  }

  closed(error: GantryError | undefined): void {
    this.#release(error ? 'its sender was lost' : 'its sender closed the connection');
  }

  // What the reception tells.

  get isFull(): boolean {
    return this.#replies.isFull || (this.#draining && !this.#reception.inFrame);
  }

  message(content: Buffer): void {
    if (!this.#isDeaf) this.#host.receive(this, content);
  }

  longMessage(stream: InboundStream): void {
    this.#long = undefined;
    if (this.#isDeaf) stream.cancel();
    else this.#host.receiveStream(this, stream);
  }

  longMessageBreaks(stream: InboundStream, why: Break): void {
    const delivery = this.#long;
    if (!delivery || delivery.finished) return;
    if (why !== 'it is too long') this.#broken = delivery;
    if (!stream.wasAsked) this.#host.broken(delivery, why);
  }

  overlongMessage(byteCount: number, beginning: Buffer): void {
    this.#host.receiveOverlong(this, beginning, byteCount, this.#settings.maxFrame);
  }

  unreadable(): void {
    this.drain();
  }

  heard(): void {
    this.#watchSilence();
    if (this.#draining) this.#leaveWhenDone();
  }

  /** After a message that could not be delivered, those behind it would overtake it. */
  get #isDeaf(): boolean {
    return this.#left || (this.#draining && this.#replies.row.hangsUp);
  }

  // What the replies tell.

  replied(): void {
    if (this.#reception.paused) this.#reception.regulate();
    if (this.#ended || this.#draining) this.#leaveWhenDone();
  }

  outboxDrained(): void {
    if (this.#reception.paused) this.#reception.regulate();
  }

  silenced(): void {
    this.#leave();
  }

  #leaveWhenDone(): void {
    if (this.#left || this.#replies.row.first) {
      if (this.#draining) this.#reception.regulate();
      return;
    }
    if (this.#draining && !this.#ended && this.#reception.inFrame) return;
    if (!this.#ended && !this.#draining) return;
    if (this.#owed > 0) this.#watchSilence();
    else this.#leave();
  }

  /** The stall timer inside a frame, the idle timer between messages, and patience for answers that are owed. */
  #watchSilence(): void {
    const { deadlines } = this.#host;
    const { stallTimeout, idleTimeout } = this.#settings;
    const stalls = this.#reception.inFrame || (this.#ended && this.#owed > 0);
    const ms = stalls ? stallTimeout : idleTimeout;
    if (ms === undefined) this.#silence?.cancel();
    else if (this.#silence) this.#silence.restart(ms);
    else this.#silence = deadlines.after(ms, () => this.#silent());
  }

  #silent(): void {
    const { inFrame, paused } = this.#reception;
    // Who is not listened to, or waits for an answer, may be silent; but not who does not take the answers.
    if (inFrame ? paused && !this.#replies.isUnread : this.#replies.row.first) {
      this.#watchSilence();
      return;
    }
    const { vip } = this.#host;
    const detail = inFrame ? 'a sender stopped inside a frame' : 'a sender was silent for too long';
    notice(inFrame ? 'warn' : 'info', detail, { vip, client: this.client });
    this.#leave();
  }

  #watchExpiry(at: number): void {
    this.#expiryAt = at;
    const ms = Math.max(at - this.#host.now(), 0);
    if (this.#expiry) this.#expiry.restart(ms);
    else this.#expiry = this.#host.deadlines.after(ms, () => this.#lookForExpired());
  }

  /** Runs while there are messages; not stopped and started for each. */
  #lookForExpired(): void {
    this.#expiryAt = Infinity;
    const { over, next } = this.#replies.row.expired(this.#host.now());
    if (next < Infinity) this.#watchExpiry(next);
    for (const one of over) if (!one.finished) this.#host.expire(one);
  }

  /** Sends what is answered, then closes; who comes later is not heard. */
  #leave(): void {
    if (this.#left) return;
    this.#replies.finish();
    const { deadlines } = this.#host;
    this.#release('its sender was sent away');
    dismiss(this.#channel, deadlines, LINGER_MS, undefined, () => this.#end());
  }

  /** Nobody hears answers any more. */
  #release(why: string): void {
    if (!this.#left) {
      this.#left = true;
      this.#reception.stop();
      this.#expiry?.cancel();
      this.#silence?.cancel();
      for (const one of this.#replies.row.clear()) if (!one.finished) this.#host.abandon(one, why);
    }
    if (!this.#channel.open) this.#end();
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#host.over(this);
  }
}
