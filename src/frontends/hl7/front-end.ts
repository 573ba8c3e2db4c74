/** The HL7 front-end of one VIP, relay delivery: its listeners, its senders, and the courier of their messages. */
import type { MllpBlocks } from '../../../protocols/hl7/mllp.ts';
import type { Director } from '../../director/director.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Channel, Endpoint } from '../../relay/channel.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import { dial } from '../../relay/dial.ts';
import type { Listener } from '../../relay/listen.ts';
import type { ConnectionView, FrontEnd } from '../front-end.ts';
import { Courier } from './courier.ts';
import type { Delivery } from './delivery.ts';
import { FlushQueue } from './flush-queue.ts';
import { InboundConnection, type InboundHost } from './inbound.ts';
import type { Ambiguity, Hl7Settings } from './settings.ts';
import { createTurnClock } from './turn-clock.ts';

export interface Hl7FrontEndOptions {
  readonly vip: string;
  /** Bound by whoever made them; closed here when the front-end ends. */
  readonly listeners: readonly Listener[];
  readonly director: Director;
  /** Every pool its rules reach. */
  readonly pools: readonly Pool[];
  readonly hl7: Hl7Settings;
  /** `onAmbiguous` of rules that have their own, by `routes[1]`. */
  readonly onAmbiguousByRule?: Readonly<Record<string, Ambiguity>>;
  /** Connections kept to each server of a pool, by the pool's name; 8 for a pool that is not named. */
  readonly connections?: Readonly<Record<string, number>>;
  readonly deadlines: Deadlines;
  /** Milliseconds of the clock that the pools use too. */
  readonly now: () => number;
  /** Milliseconds since 1970, for the acknowledgements that are ours. */
  readonly wallClock?: () => number;
}

const USUAL_CONNECTIONS = 8;

/** Takes the connections of its listeners from now on. */
export function createHl7FrontEnd(options: Hl7FrontEndOptions): FrontEnd<Hl7FrontEndOptions> {
  return new Hl7FrontEnd(options);
}

class Hl7FrontEnd implements FrontEnd<Hl7FrontEndOptions>, InboundHost {
  readonly vip: string;
  readonly blocks: MllpBlocks;
  readonly maxFrame: number;
  readonly stallTimeout: number;
  readonly idleTimeout: number | undefined;
  readonly deadlines: Deadlines;
  readonly queue = new FlushQueue();
  readonly now: () => number;
  #options: Hl7FrontEndOptions;
  readonly #courier: Courier;
  readonly #senders = new Set<InboundConnection>();
  readonly #unwatch: (() => void)[] = [];
  #whenEmpty: (() => void) | undefined;
  #connections = 0;

  constructor(options: Hl7FrontEndOptions) {
    const { hl7, vip, deadlines, connections = {}, onAmbiguousByRule = {} } = options;
    const now = createTurnClock(options.now);
    this.#options = options;
    this.vip = vip;
    this.blocks = { startBlock: hl7.startBlock, endBlock: hl7.endBlock };
    this.maxFrame = hl7.maxFrame;
    this.stallTimeout = hl7.timeouts.stall;
    this.idleTimeout = hl7.timeouts.idle;
    this.deadlines = deadlines;
    this.now = now;
    this.#courier = new Courier({
      vip,
      director: options.director,
      settings: hl7,
      onAmbiguousByRule,
      connections: (pool) => (Object.hasOwn(connections, pool) ? connections[pool]! : USUAL_CONNECTIONS),
      outbound: {
        blocks: this.blocks,
        maxFrame: hl7.maxFrame,
        ackMatch: hl7.ackMatch,
        connectTimeout: hl7.timeouts.connect,
        dial,
        deadlines,
        queue: this.queue,
        now,
      },
      now,
      wallClock: options.wallClock ?? Date.now,
      whenEmpty: () => this.#lookWhetherEmpty(),
    });
    this.reconfigure(options);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#options.listeners.map(({ endpoint }) => endpoint);
  }

  get totals(): Readonly<Record<string, number>> {
    return { connections: this.#connections, ...this.#courier.totals };
  }

  reconfigure(options: Hl7FrontEndOptions): void {
    this.#options = options;
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    for (const listener of options.listeners) listener.acceptor = (channel) => this.#accept(channel);
    for (const pool of options.pools) {
      this.#unwatch.push(pool.watch((server) => this.#courier.serverChanged(server)));
    }
  }

  #accept(channel: Channel): void {
    this.#connections++;
    this.#senders.add(new InboundConnection(channel, this, `${this.vip}-${this.#connections}`));
  }

  receive(sender: InboundConnection, content: Buffer): void {
    this.#courier.receive(sender, content);
  }

  receiveOverlong(sender: InboundConnection, beginning: Buffer, byteCount: number): void {
    this.#courier.receiveOverlong(sender, beginning, byteCount);
  }

  expire(delivery: Delivery): void {
    this.#courier.expire(delivery);
  }

  abandon(delivery: Delivery, why: string): void {
    this.#courier.abandon(delivery, why);
  }

  over(sender: InboundConnection): void {
    this.#senders.delete(sender);
    this.#lookWhetherEmpty();
  }

  *connections(): Iterable<ConnectionView> {
    for (const sender of this.#senders) yield sender.view;
  }

  /** Takes no more senders and no more messages; resolves when every message in hand is answered. */
  async drain(): Promise<void> {
    await this.#stopListening();
    for (const sender of [...this.#senders]) sender.drain();
    await this.#empty();
    this.#closeServers();
  }

  /** Ends every connection at once. Messages in flight are not answered: their senders have them still. */
  async close(): Promise<void> {
    await this.#stopListening();
    for (const sender of [...this.#senders]) sender.close();
    this.#closeServers();
    await this.#empty();
  }

  async #stopListening(): Promise<void> {
    await Promise.all(this.#options.listeners.map((listener) => listener.close()));
  }

  #closeServers(): void {
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    this.#courier.close();
  }

  #isEmpty(): boolean {
    return this.#senders.size === 0 && this.#courier.inHand === 0;
  }

  #empty(): Promise<void> {
    if (this.#isEmpty()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }

  #lookWhetherEmpty(): void {
    if (this.#whenEmpty && this.#isEmpty()) this.#whenEmpty();
  }
}
