/** A server as one HL7 VIP sees it: the connections kept to it, and the messages that wait for one. */
import type { Acknowledgement } from '../../../protocols/hl7/acknowledgement.ts';
import type { GantryError } from '../../errors.ts';
import type { Server } from '../../pools/server.ts';
import type { Endpoint } from '../../relay/channel.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import type { Delivery } from './delivery.ts';
import {
  type Loss,
  OutboundConnection,
  type OutboundListener,
  type OutboundOptions,
  OWED_MS,
} from './outbound.ts';
import { isSlotWanted, moveIn, moveOut, type Tenant, takeSlot } from './tenants.ts';

/** What becomes of messages that were to go to a target. */
export interface TargetListener {
  answered(delivery: Delivery, answer: Acknowledgement | undefined, bytes: Buffer): void;
  unconfirmed(delivery: Delivery): void;
  answeredLater(delivery: Delivery, answer: Acknowledgement, bytes: Buffer): void;
  notAnsweredLater(delivery: Delivery): void;
  lost(delivery: Delivery, loss: Loss): void;
  /** Nothing of it was sent, and the target cannot be had: it may go to another. */
  refused(delivery: Delivery, detail: string): void;
  /** Milliseconds that a server has to answer this message, from now. */
  timeFor(delivery: Delivery, now: number): number;
}

/** Pauses before a message goes to the same server again, in milliseconds: doubling with each time it was sent. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2000;

export class Target implements OutboundListener, Tenant {
  readonly server: Server;
  readonly #remote: Endpoint;
  readonly #most: number;
  readonly #listener: TargetListener;
  readonly #options: OutboundOptions;
  readonly #connections = new Set<OutboundConnection>();
  readonly #idle: OutboundConnection[] = [];
  #dialling = 0;
  /** In the order in which they are to go, from `#head` on. */
  #waiting: Delivery[] = [];
  #head = 0;
  /** They may have arrived here, and wait for the server to come back. */
  #held: Delivery[] = [];
  #pause: Deadline | undefined;
  #tidyAgain: Deadline | undefined;
  #closed = false;

  /** `most`: connections to this server at once. */
  constructor(
    server: Server,
    remote: Endpoint,
    most: number,
    listener: TargetListener,
    options: OutboundOptions,
  ) {
    this.server = server;
    this.#remote = remote;
    this.#most = most;
    this.#listener = listener;
    this.#options = options;
    moveIn(server, this);
  }

  /**
   * Sends the message, or puts it in the queue; `content` is the message when `delivery` has no copy of its own.
   * False: this target cannot have a single connection now, because its server is full.
   */
  offer(delivery: Delivery, content: Buffer | undefined): boolean {
    const connection = this.#idle.pop();
    if (connection) {
      this.#send(connection, delivery, content);
      return true;
    }
    if (!this.#grow(1) && this.#connections.size === 0) return false;
    if (content) delivery.keep(content, this.#options.blocks);
    this.#waiting.push(delivery);
    return true;
  }

  /** The message may have arrived here: it goes here again, after a pause, when the server can be had. */
  hold(delivery: Delivery): void {
    delivery.heldFor = this;
    this.#held.push(delivery);
    const ms = Math.min(FIRST_PAUSE_MS * 2 ** (delivery.attempts - 1), LONGEST_PAUSE_MS);
    if (this.#held.length > 1) return;
    if (this.#pause) this.#pause.restart(ms);
    else this.#pause = this.#options.deadlines.after(ms, () => this.#tryAgain());
  }

  /** The server takes no new work any more: what is kept open without need is closed. */
  tidy(): void {
    if (this.server.eligible || this.#closed) return;
    for (let index = this.#idle.length - 1; index >= 0; index--) {
      if (!this.#idle[index]!.isOwing) this.#idle.splice(index, 1)[0]!.close();
    }
    if (this.#idle.length === 0) return;
    if (this.#tidyAgain) this.#tidyAgain.restart();
    else this.#tidyAgain = this.#options.deadlines.after(OWED_MS, () => this.tidy());
  }

  yieldSlot(): boolean {
    const index = this.#idle.findIndex((connection) => !connection.isOwing);
    if (index < 0) return false;
    this.#idle.splice(index, 1)[0]!.close();
    return true;
  }

  /** Ends every connection; what is in flight is lost. */
  close(): void {
    this.#closed = true;
    this.#pause?.cancel();
    this.#tidyAgain?.cancel();
    for (const connection of [...this.#connections]) connection.abort('the balancer is shutting down');
    moveOut(this.server, this);
  }

  connected(connection: OutboundConnection): void {
    this.#dialling--;
    this.#serve(connection);
  }

  gone(connection: OutboundConnection, error: GantryError | undefined): void {
    this.#connections.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    if (!connection.isConnected) {
      this.#dialling--;
      if (!this.#closed) this.server.dialFailed(error?.message ?? 'no connection', this.#options.now());
    }
    this.server.release(true);
    if (this.#closed) return;
    if (connection.isConnected) this.#grow(0);
    else if (this.#connections.size === 0) this.#cannotBeHad(error?.message ?? 'no connection');
  }

  answered(
    connection: OutboundConnection,
    delivery: Delivery,
    answer: Acknowledgement | undefined,
    bytes: Buffer,
  ): void {
    this.#ended(delivery, 'success');
    this.server.dialAnswered(this.#options.now());
    // First who waits here, then who waits for this message: they came later.
    this.#serve(connection);
    this.#listener.answered(delivery, answer, bytes);
  }

  unconfirmed(connection: OutboundConnection, delivery: Delivery): void {
    this.#ended(delivery, 'success');
    this.#serve(connection);
    this.#listener.unconfirmed(delivery);
  }

  answeredLater(delivery: Delivery, answer: Acknowledgement, bytes: Buffer): void {
    this.#listener.answeredLater(delivery, answer, bytes);
  }

  notAnsweredLater(delivery: Delivery): void {
    this.#listener.notAnsweredLater(delivery);
  }

  lost(delivery: Delivery, loss: Loss): void {
    this.#ended(delivery, 'failure');
    if (loss.cause === 'timeout' && !delivery.marked) {
      // The same message again and again tells of the message, not of the server.
      delivery.marked = true;
      this.server.dialFailed(loss.detail, this.#options.now());
    }
    this.#listener.lost(delivery, loss);
  }

  get #queued(): number {
    return this.#waiting.length - this.#head;
  }

  #send(connection: OutboundConnection, delivery: Delivery, content: Buffer | undefined): void {
    const now = this.#options.now();
    const { load } = this.server;
    delivery.attempts++;
    load.operationStarted();
    load.bytesInFlight += delivery.length;
    connection.send(delivery, content, this.#listener.timeFor(delivery, now), now);
  }

  #ended(delivery: Delivery, outcome: 'success' | 'failure'): void {
    const { load } = this.server;
    load.bytesInFlight -= delivery.length;
    load.operationEnded(this.#options.now() - delivery.sentAt, outcome);
  }

  /** The connection is free: the next message, or it lies idle. */
  #serve(connection: OutboundConnection): void {
    const delivery = this.#next();
    if (delivery) this.#send(connection, delivery, undefined);
    else if (!connection.isOwing && isSlotWanted(this.server, this)) connection.close();
    else {
      this.#idle.push(connection);
      this.tidy();
    }
  }

  #next(): Delivery | undefined {
    while (this.#head < this.#waiting.length) {
      const delivery = this.#waiting[this.#head++]!;
      if (this.#head === 1024) {
        this.#waiting.splice(0, this.#head);
        this.#head = 0;
      }
      if (!delivery.finished) return delivery;
    }
    if (this.#head > 0) {
      this.#waiting = [];
      this.#head = 0;
    }
    return undefined;
  }

  /** Dials for `wanted` messages more, as far as that is allowed. False: not one connection was dialled. */
  #grow(wanted: number): boolean {
    let dialled = false;
    const needed = Math.min(this.#queued + wanted, this.#most);
    while (this.#connections.size < this.#most && this.#dialling < needed && takeSlot(this.server, this)) {
      this.#dialling++;
      dialled = true;
      this.#connections.add(new OutboundConnection(this.#remote, this, this.#options));
    }
    return dialled;
  }

  /** No connection is left, and none can be had. */
  #cannotBeHad(detail: string): void {
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    for (const delivery of waiting) {
      if (delivery.finished) continue;
      if (delivery.heldFor === this) this.hold(delivery);
      else this.#listener.refused(delivery, detail);
    }
  }

  #tryAgain(): void {
    const back = this.#held.filter((delivery) => !delivery.finished);
    this.#held = [];
    if (back.length === 0) return;
    this.#waiting = [...back, ...this.#waiting.slice(this.#head)];
    this.#head = 0;
    while (this.#idle.length > 0 && this.#queued > 0) this.#serve(this.#idle.pop()!);
    if (this.#queued === 0) return;
    if (this.#grow(0) || this.#connections.size > 0) return;
    // Not a slot to be had: wait on.
    this.#cannotBeHad('the server is full');
  }
}
