/** A server as one HL7 VIP sees it: the connections kept to it, and the messages that wait for one. */
import { isDeepStrictEqual } from 'node:util';
import type { Acknowledgement } from '../../../protocols/hl7/acknowledgement.ts';
import type { GantryError } from '../../errors.ts';
import type { OperationOutcome } from '../../pools/load.ts';
import type { Server } from '../../pools/server.ts';
import type { Endpoint } from '../../relay/channel.ts';
import type { Deadline } from '../../relay/deadlines.ts';
import type { Delivery } from './delivery.ts';
import type { Loss, OutboundListener, OutboundOptions } from './outbound.ts';
import { NOT_COMMITTED, OutboundConnection } from './outbound-connection.ts';
import { OWED_MS } from './owed-answers.ts';
import { answerTimeOf } from './plan.ts';
import type { TargetOptions } from './target-options.ts';
import { isSlotWanted, moveIn, moveOut, type Tenant, takeSlot } from './tenants.ts';
import { WaitingLine } from './waiting-line.ts';

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

/** Pauses before a message goes to the same server again, in milliseconds: doubling with each time it was sent. */
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2000;

export class Target implements OutboundListener, Tenant {
  readonly server: Server;
  readonly #remote: Endpoint;
  readonly #listener: TargetListener;
  readonly #vacated: () => void;
  #options: TargetOptions;
  /** Nothing new comes here: no rule leads to it any more. */
  #isRetired = false;
  readonly #connections = new Set<OutboundConnection>();
  readonly #idle: OutboundConnection[] = [];
  #dialling = 0;
  readonly #line = new WaitingLine();
  /** Connections that carry a stream. */
  #streaming = 0;
  /** They may have arrived here, and wait for the server to come back. */
  #held: Delivery[] = [];
  #pause: Deadline | undefined;
  #tidyAgain: Deadline | undefined;
  #closed = false;

  /** `vacated`: it is empty, and nothing comes here any more. */
  constructor(
    server: Server,
    remote: Endpoint,
    options: TargetOptions,
    listener: TargetListener,
    vacated = () => {},
  ) {
    this.server = server;
    this.#remote = remote;
    this.#options = options;
    this.#listener = listener;
    this.#vacated = vacated;
    moveIn(server, this);
  }

  /** The address of the client for whom alone it is. */
  get client(): string | undefined {
    return this.#options.client?.address;
  }

  /** May the messages of a lane go on coming here, while there are any? */
  get keepsLanes(): boolean {
    return !this.#isRetired && !this.#isOut && this.server.honoursPersistence;
  }

  /** Connections that were made with other options are replaced when they have nothing to do. */
  reconfigure(options: TargetOptions): void {
    const { outbound } = this.#options;
    this.#isRetired = false;
    this.#options = isDeepStrictEqual(options.outbound, outbound) ? { ...options, outbound } : options;
    this.tidy();
    this.#grow();
  }

  /** Gets nothing new. What was not sent goes elsewhere. */
  retire(): void {
    this.#isRetired = true;
    this.leave('its server is no longer in use');
  }

  /**
   * Sends the message, or puts it in the line; `content` is the message when `delivery` has no copy of its own.
   * False: this target cannot have a single connection now, because its server is full.
   */
  offer(delivery: Delivery, content: Buffer | undefined): boolean {
    const connection = this.#connectionFor(delivery);
    if (connection) {
      this.#send(connection, delivery, content);
      return true;
    }
    if (!this.#grow(delivery) && this.#connections.size === 0) return false;
    if (content) delivery.keep(content);
    this.#line.add(delivery);
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
    this.#vacateWhenEmpty();
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
      const suspect = error?.code === 'GTY_CONNECT_TIMEOUT' ? this.client : undefined;
      if (!this.#closed && error && error.source !== 'internal')
        this.server.dialFailed(error.message, this.#outbound.now(), suspect);
    }
    this.server.release(true);
    if (this.#closed) return;
    this.#vacateWhenEmpty();
    if (connection.isConnected) this.#grow();
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

  committed(connection: OutboundConnection): void {
    this.#serve(connection);
  }

  notCommitted(connection: OutboundConnection, delivery: Delivery): void {
    this.#ended(delivery, 'refused');
    this.#serve(connection);
    if (delivery.heldFor === this) this.hold(delivery);
    else if (!delivery.stream) this.#listener.refused(delivery, NOT_COMMITTED);
    // Parts of it have been sent.
    else this.#listener.lost(delivery, { cause: 'closed', whole: false, detail: NOT_COMMITTED });
    this.#tidyUp(connection);
  }

  answeredLater(delivery: Delivery, answer: Acknowledgement, bytes: Buffer): void {
    this.#listener.answeredLater(delivery, answer, bytes);
  }

  notAnsweredLater(delivery: Delivery): void {
    this.#listener.notAnsweredLater(delivery);
  }

  lost(delivery: Delivery, loss: Loss): void {
    this.#ended(delivery, loss.cause === 'broken' ? undefined : 'failure');
    if (delivery.stream) this.#serveElsewhere();
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

  /** Nothing new comes. */
  get #isDeserted(): boolean {
    return this.#isRetired || this.#options.client?.isHere() === false;
  }

  /** Nothing may be sent there: an operator took it out, or another server of its pool is the active one. */
  get #isOut(): boolean {
    const { pool } = this.#options;
    return this.server.isHalted || (pool.mode === 'single-active' && pool.activeServer !== this.server);
  }

  /** Streams that may go now. Long messages shall not hold up short ones: half of the connections carry them, at most. */
  get #roomForStreams(): number {
    const most = Math.min(this.#options.most, this.server.maxConnections ?? Infinity);
    return Math.max(Math.floor(most / 2), 1) - this.#streaming;
  }

  get #mayStream(): boolean {
    return this.#roomForStreams > 0;
  }

  /** One that lies idle, or that has the fewest messages on their way among those that may have one more. */
  #connectionFor(delivery: Delivery): OutboundConnection | undefined {
    if (delivery.stream && !this.#mayStream) return undefined;
    const idle = this.#idle.pop();
    const { outbound } = this.#options;
    if (idle || !outbound.pipeline || outbound.pipeline === 1) return idle;
    // Who waits for a connection of its own would never get one.
    if (this.#line.first(this.#mayStream)) return undefined;
    let best: OutboundConnection | undefined;
    for (const one of this.#connections) {
      if (!one.isConnected || one.options !== outbound || !one.takes(delivery)) continue;
      if (!best || one.load < best.load) best = one;
    }
    return best;
  }

  #send(connection: OutboundConnection, delivery: Delivery, content: Buffer | undefined): void {
    const { responseTimeout, now: clock } = this.#outbound;
    const now = clock();
    const { load } = this.server;
    delivery.attempts++;
    load.operationStarted();
    load.bytesInFlight += delivery.weight;
    if (delivery.stream) this.#streaming++;
    connection.send(delivery, content, answerTimeOf(delivery, now, responseTimeout), now);
  }

  /** `outcome`: what it tells of the server; undefined: nothing. */
  #ended(delivery: Delivery, outcome: OperationOutcome | undefined): void {
    const { load } = this.server;
    load.bytesInFlight -= delivery.weight;
    if (delivery.stream) this.#streaming--;
    if (outcome) load.operationEnded(this.#outbound.now() - delivery.sentAt, outcome);
    else load.operations--;
  }

  /** The connection has room: for the next messages, or it lies idle. */
  #serve(connection: OutboundConnection): void {
    if (connection.isGone) {
      this.#serveElsewhere();
      return;
    }
    while (!this.#line.isEmpty) {
      const next = this.#line.first(this.#mayStream);
      if (!next || !connection.takes(next)) break;
      this.#line.shift(next);
      this.#send(connection, next, undefined);
    }
    if (connection.load > 0) return;
    if (!connection.isOwing && isSlotWanted(this.server, this)) connection.close();
    else this.#idle.push(connection);
  }

  /** A stream is gone, and its connection with it: what waited for its place may go on another. */
  #serveElsewhere(): void {
    if (this.#closed) return;
    const idle = this.#idle.pop();
    if (idle) this.#serve(idle);
    else this.#grow();
  }

  /** Whoever was served meanwhile may have taken it. */
  #tidyUp(connection: OutboundConnection): void {
    if (!this.#isWanted(connection)) this.tidy();
  }

  #isWanted({ options }: OutboundConnection): boolean {
    const { most, outbound } = this.#options;
    return (
      this.server.eligible && !this.#isDeserted && options === outbound && this.#connections.size <= most
    );
  }

  /** What a connection that is gone has lost is told of first: it may have to wait here. */
  #vacateWhenEmpty(): void {
    if (this.#isDeserted && this.#connections.size === 0) queueMicrotask(() => this.#vacate());
  }

  #vacate(): void {
    const isEmpty = this.#connections.size === 0 && !this.#line.first(true);
    if (!isEmpty || !this.#isDeserted || this.#held.some(({ finished }) => !finished)) return;
    this.close();
    this.#vacated();
  }

  /** Dials for those who wait, and for `coming`, as far as that is allowed. False: not one connection was dialled. */
  #grow(coming?: Delivery): boolean {
    const { most, outbound } = this.#options;
    let dialled = false;
    const streams = this.#line.streams + (coming?.stream ? 1 : 0);
    const messages = this.#line.messages + (coming && !coming.stream ? 1 : 0);
    const needed = Math.min(messages + Math.min(streams, this.#roomForStreams), most);
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
    for (const delivery of this.#line.takeAll()) {
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
    this.#vacateWhenEmpty();
    if (this.#isOut) {
      for (const delivery of back) this.hold(delivery);
      return;
    }
    if (back.length === 0) return;
    this.#line.addBefore(back);
    while (this.#idle.length > 0 && this.#line.first(this.#mayStream)) this.#serve(this.#idle.pop()!);
    if (this.#line.isEmpty) return;
    if (this.#grow() || this.#connections.size > 0) return;
    // Not a slot to be had: wait on.
    this.#cannotBeHad('the server is full');
  }
}
