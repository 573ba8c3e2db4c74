/** A server as one HL7 VIP sees it: the connections kept to it, and the messages that wait for one. */
import { isDeepStrictEqual } from 'node:util';
import type { Acknowledgement } from '../../../protocols/hl7/acknowledgement.ts';
import type { GantryError } from '../../errors.ts';
import type { Pool } from '../../pools/pool.ts';
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
import { answerTimeOf } from './plan.ts';
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
}

export interface TargetOptions {
  readonly pool: Pool;
  /** Connections at once. */
  readonly most: number;
  readonly outbound: OutboundOptions;
}

/** Pauses before a message goes to the same server again, in milliseconds: doubling with each time it was sent. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2000;

export class Target implements OutboundListener, Tenant {
  readonly server: Server;
  readonly #remote: Endpoint;
  readonly #listener: TargetListener;
  #options: TargetOptions;
  /** Nothing new comes here: no rule leads to it any more. */
  #isRetired = false;
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

  constructor(server: Server, remote: Endpoint, options: TargetOptions, listener: TargetListener) {
    this.server = server;
    this.#remote = remote;
    this.#options = options;
    this.#listener = listener;
    moveIn(server, this);
  }

  /** May the messages of a lane go on coming here, while there are any? */
  get keepsLanes(): boolean {
    return !this.#isRetired && !this.#isOut && this.server.honoursPersistence;
  }

  /** No connection, and nobody who waits for one. */
  get isEmpty(): boolean {
    return this.#connections.size === 0 && this.#queued === 0 && this.#held.every(({ finished }) => finished);
  }

  /** Connections that were made with other options are replaced when they have nothing to do. */
  reconfigure(options: TargetOptions): void {
    const { outbound } = this.#options;
    this.#isRetired = false;
    this.#options = isDeepStrictEqual(options.outbound, outbound) ? { ...options, outbound } : options;
    this.tidy();
    this.#grow(0);
  }

  /** Gets nothing new. What was not sent goes elsewhere. */
  retire(): void {
    this.#isRetired = true;
    this.leave('its server is no longer in use');
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
    if (content) delivery.keep(content);
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
    else this.#pause = this.#outbound.deadlines.after(ms, () => this.#tryAgain());
  }

  /** Closes what lies idle and is not wanted: the server takes no new work, or it is configured otherwise now. */
  tidy(): void {
    if (this.#closed) return;
    let isOwing = false;
    for (const connection of [...this.#idle]) {
      // Closing one makes room, and whoever waits for room may have taken another.
      if (this.#isWanted(connection) || !this.#idle.includes(connection)) continue;
      if (connection.isOwing) isOwing = true;
      else connection.close();
    }
    if (!isOwing) return;
    if (this.#tidyAgain) this.#tidyAgain.restart();
    else this.#tidyAgain = this.#outbound.deadlines.after(OWED_MS, () => this.tidy());
  }

  /** What was not sent goes elsewhere; for what was sent the answer is awaited. */
  leave(why: string): void {
    this.#turnAway(why, 0);
    this.tidy();
  }

  /** The same, and every connection ends: what is in flight is lost. */
  cut(why: string): void {
    this.leave(why);
    for (const connection of [...this.#connections]) connection.abort(why);
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
    this.#tidyUp(connection);
  }

  gone(connection: OutboundConnection, error: GantryError | undefined): void {
    this.#connections.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index >= 0) this.#idle.splice(index, 1);
    if (!connection.isConnected) {
      this.#dialling--;
      if (!this.#closed && error) this.server.dialFailed(error.message, this.#outbound.now());
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
    this.server.dialAnswered(this.#outbound.now());
    // First who waits here, then who waits for this message: they came later.
    this.#serve(connection);
    this.#listener.answered(delivery, answer, bytes);
    this.#tidyUp(connection);
  }

  unconfirmed(connection: OutboundConnection, delivery: Delivery): void {
    this.#ended(delivery, 'success');
    this.#serve(connection);
    this.#listener.unconfirmed(delivery);
    this.#tidyUp(connection);
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
      this.server.dialFailed(loss.detail, this.#outbound.now());
    }
    this.#listener.lost(delivery, loss);
  }

  get #outbound(): OutboundOptions {
    return this.#options.outbound;
  }

  /** Nothing may be sent there: an operator took it out, or another server of its pool is the active one. */
  get #isOut(): boolean {
    const { pool } = this.#options;
    return this.server.isHalted || (pool.mode === 'single-active' && pool.activeServer !== this.server);
  }

  get #queued(): number {
    return this.#waiting.length - this.#head;
  }

  #send(connection: OutboundConnection, delivery: Delivery, content: Buffer | undefined): void {
    const { responseTimeout, now: clock } = this.#outbound;
    const now = clock();
    const { load } = this.server;
    delivery.attempts++;
    load.operationStarted();
    load.bytesInFlight += delivery.length;
    connection.send(delivery, content, answerTimeOf(delivery, now, responseTimeout), now);
  }

  #ended(delivery: Delivery, outcome: 'success' | 'failure'): void {
    const { load } = this.server;
    load.bytesInFlight -= delivery.length;
    load.operationEnded(this.#outbound.now() - delivery.sentAt, outcome);
  }

  /** The connection is free: the next message, or it lies idle. */
  #serve(connection: OutboundConnection): void {
    const delivery = this.#next();
    if (delivery) this.#send(connection, delivery, undefined);
    else if (!connection.isOwing && isSlotWanted(this.server, this)) connection.close();
    else this.#idle.push(connection);
  }

  /** Whoever was served meanwhile may have taken it. */
  #tidyUp(connection: OutboundConnection): void {
    if (!this.#isWanted(connection)) this.tidy();
  }

  #isWanted({ options }: OutboundConnection): boolean {
    const { most, outbound } = this.#options;
    const isTaker = this.server.eligible && !this.#isRetired;
    return isTaker && options === outbound && this.#connections.size <= most;
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
    const { most, outbound } = this.#options;
    let dialled = false;
    const needed = Math.min(this.#queued + wanted, most);
    while (this.#connections.size < most && this.#dialling < needed && takeSlot(this.server, this)) {
      this.#dialling++;
      dialled = true;
      this.#connections.add(new OutboundConnection(this.#remote, this, outbound));
    }
    return dialled;
  }

  /** No connection is left, and none can be had. */
  #cannotBeHad(detail: string): void {
    this.#turnAway(detail, 1);
  }

  /** Nobody waits for a connection any more. `attempts`: what that counts for. */
  #turnAway(detail: string, attempts: 0 | 1): void {
    const waiting = this.#waiting.slice(this.#head);
    this.#waiting = [];
    this.#head = 0;
    for (const delivery of waiting) {
      if (delivery.finished) continue;
      if (delivery.heldFor === this) {
        this.hold(delivery);
        continue;
      }
      delivery.attempts += attempts;
      this.#listener.refused(delivery, detail);
    }
  }

  #tryAgain(): void {
    const back = this.#held.filter((delivery) => !delivery.finished);
    this.#held = [];
    if (this.#isOut) {
      for (const delivery of back) this.hold(delivery);
      return;
    }
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
