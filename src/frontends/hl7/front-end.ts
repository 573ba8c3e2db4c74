/** The HL7 front-end of one VIP: its listeners, its senders, and the courier of their messages. */
import type { Director } from '../../director/director.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Server } from '../../pools/server.ts';
import type { Queue } from '../../queue/queue.ts';
import { channelAcceptor, type Entrance } from '../../relay/accept.ts';
import type { Channel, Endpoint } from '../../relay/channel.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import { dial, preambleOf, type ServerLink } from '../../relay/dial.ts';
import type { Listener } from '../../relay/listen.ts';
import { fromOf } from '../../relay/source.ts';
import type { StatOrders } from '../../tables/stat-orders.ts';
import type { ConnectionView, FrontEnd } from '../front-end.ts';
import { PoolWatch } from '../pool-watch.ts';
import { Courier } from './courier.ts';
import type { Delivery } from './delivery.ts';
import { FlushQueue } from './flush-queue.ts';
import { InboundConnection, type InboundHost, type InboundSettings } from './inbound.ts';
import { Intake } from './intake.ts';
import type { Break, MessageStream } from './message-stream.ts';
import type { OrderMemory } from './order.ts';
import type { OutboundOptions } from './outbound.ts';
import type { Plan } from './plan.ts';
import type { Ambiguity, Hl7Settings, StoreSettings } from './settings.ts';
import { Store, type StoreHost } from './store.ts';
import type { StoredMessage } from './stored-message.ts';
import type { Client, TargetOptions } from './target-options.ts';
import type { TargetPlan } from './targets.ts';
import { createTurnClock } from './turn-clock.ts';

export interface Hl7FrontEndOptions {
  readonly vip: string;
  /** Bound by whoever made them; closed here when the front-end ends. */
  readonly listeners: readonly Listener[];
  readonly entrance: Entrance;
  readonly director: Director;
  /** Every pool its rules reach. */
  readonly pools: readonly Pool[];
  /** How their servers are reached, by the name of the pool. */
  readonly links: ReadonlyMap<string, ServerLink>;
  readonly hl7: Hl7Settings;
  /** `onAmbiguous` of rules that have their own, by `routes[1]`. */
  readonly onAmbiguousByRule?: Readonly<Record<string, Ambiguity>>;
  /** Connections kept to each server of a pool, by the pool's name; 8 for a pool that is not named. */
  readonly connections?: Readonly<Record<string, number>>;
  /** Pools whose servers speak MLLP release 2. */
  readonly release2Pools?: ReadonlySet<string>;
  /** Learns the urgent orders of messages that servers took; undefined: nobody asks for them. */
  readonly statOrders?: StatOrders | undefined;
  /** What its messages are kept in order by, beside what they say themselves. */
  readonly orderMemory?: OrderMemory | undefined;
  /** `delivery: store`: opened and closed by whoever made it, and the same for as long as the front-end lives. */
  readonly queue?: Queue | undefined;
  readonly deadlines: Deadlines;
  /** Milliseconds of the clock that the pools use too. */
  readonly now: () => number;
  /** Milliseconds since 1970, for the acknowledgements that are ours. */
  readonly wallClock?: () => number;
}

const USUAL_CONNECTIONS = 8;
/** Messages that the queue hands out for each connection; and for all, at least. */
const AT_HAND = 4;
const LEAST_AT_HAND = 32;

/** Takes the connections of its listeners from now on. */
export function createHl7FrontEnd(options: Hl7FrontEndOptions): FrontEnd<Hl7FrontEndOptions> {
  return new Hl7FrontEnd(options);
}

class Hl7FrontEnd implements FrontEnd<Hl7FrontEndOptions>, InboundHost, StoreHost {
  readonly vip: string;
  readonly deadlines: Deadlines;
  readonly queue = new FlushQueue();
  readonly now: () => number;
  settings: InboundSettings;
  #options: Hl7FrontEndOptions;
  readonly #courier: Courier;
  readonly #intake: Intake;
  readonly #senders = new Set<InboundConnection>();
  /** Address → connections. */
  readonly #clients = new Map<string, number>();
  readonly #pools: PoolWatch;
  #emptied: PromiseWithResolvers<void> | undefined;
  #connections = 0;
  #isLeaving = false;

  constructor(options: Hl7FrontEndOptions) {
    const { vip, deadlines, wallClock = Date.now } = options;
    const now = createTurnClock(options.now);
    this.#options = options;
    this.vip = vip;
    this.deadlines = deadlines;
    this.now = now;
    this.settings = inboundSettings(options.hl7);
    const whenEmpty = () => this.#lookWhetherEmpty();
    const outbound = () => this.#outboundOf({}, this.#options.hl7);
    this.#courier = new Courier(
      { vip, now, wallClock, outbound, whenEmpty },
      planOf(options),
      this.#targetPlanOf(options),
    );
    this.#intake = new Intake({ vip, now, courier: this.#courier });
    const { targets } = this.#courier;
    const listener = {
      changed: (server: Server) => {
        this.#courier.serverChanged(server);
        this.#resize();
      },
      leave: (server: Server) => targets.leave(server),
      cut: (server: Server, why: string) => targets.cut(server, why),
    };
    this.#pools = new PoolWatch(listener, deadlines);
    this.#watch();
    const { queue } = options;
    if (queue) {
      this.#intake.store = new Store(queue, this, deadlines);
      this.#recall(queue);
      this.#resize();
    }
  }

  get endpoints(): readonly Endpoint[] {
    return this.#options.listeners.map(({ endpoint }) => endpoint);
  }

  get totals(): Readonly<Record<string, number>> {
    return { connections: this.#connections, ...this.#courier.endings.totals };
  }

  reconfigure(options: Hl7FrontEndOptions): void {
    this.#options = options;
    this.settings = inboundSettings(options.hl7);
    this.#watch();
    this.#intake.reconfigure(this.#courier.plan.settings, options.hl7);
    this.#courier.reconfigure(planOf(options), this.#targetPlanOf(options));
    this.#resize();
  }

  #watch(): void {
    const { listeners, entrance, pools } = this.#options;
    const acceptor = channelAcceptor(entrance, (channel) => this.#accept(channel));
    for (const listener of listeners) listener.acceptor = acceptor;
    this.#pools.watch(pools);
  }

  /**
   * What the process before this one stored is known when it comes again; and whom it merges, since its sender has been
   * told that it is kept.
   */
  #recall(queue: Queue): void {
    const { wallClock = Date.now, orderMemory } = this.#options;
    orderMemory?.aliases?.learn(queue.takeMerges());
    for (const { fingerprint, at } of queue.takeRemembered())
      this.#courier.endings.duplicates.recall(fingerprint, Math.max(wallClock() - at, 0));
  }

  /**
   * The queue hands out more messages than servers that may get one have connections: while the disk hears that one is
   * delivered, the next is at hand.
   */
  #resize(): void {
    const { store } = this.#intake;
    if (!store) return;
    const { pools, hl7 } = this.#options;
    let room = 0;
    for (const { name, servers } of pools) {
      const most = connectionsOf(name, this.#options);
      for (const { eligible, maxConnections = Infinity } of servers)
        if (eligible) room += Math.min(most, maxConnections) * (hl7.pipeline ?? 1);
    }
    store.resize(room === 0 ? 0 : Math.max(AT_HAND * room, LEAST_AT_HAND));
  }

  #targetPlanOf(options: Hl7FrontEndOptions): TargetPlan {
    const { pools, links, hl7, release2Pools } = options;
    const all = new Map<string, TargetOptions>();
    for (const pool of pools) {
      const most = connectionsOf(pool.name, options);
      const outbound = this.#outboundOf(links.get(pool.name) ?? {}, hl7);
      const release2 = release2Pools?.has(pool.name) ?? false;
      all.set(pool.name, { pool, most, outbound: { ...outbound, release2 } });
    }
    const isPerClient = [...links.values()].some(({ source }) => source && 'ofClients' in source);
    return {
      isPerClient,
      optionsOf: (server, address) => {
        const found = all.get(server.pool);
        if (found?.pool.server(server.name) !== server) return undefined;
        if (!isPerClient || address === undefined) return found;
        const from = fromOf(links.get(server.pool)?.source, address);
        return { ...found, outbound: { ...found.outbound, from }, client: this.#client(address) };
      },
    };
  }

  #client(address: string): Client {
    return { address, isHere: () => this.#clients.has(address) };
  }

  #outboundOf(link: ServerLink, hl7: Hl7Settings): OutboundOptions {
    const { startBlock, endBlock, maxFrame, ackMatch, pipeline = 1, timeouts } = hl7;
    const { deadlines, queue, now } = this;
    const { connectTimeout = timeouts.connect, responseTimeout } = link;
    const blocks = { startBlock, endBlock };
    // Senders share these connections: a header that named one of them would lie about the others.
    const preamble = { from: undefined, tls: undefined, proxyHeader: undefined, ...preambleOf(link) };
    const times = { connectTimeout, responseTimeout };
    return { blocks, maxFrame, ackMatch, pipeline, ...times, ...preamble, dial, deadlines, queue, now };
  }

  #accept(channel: Channel): void {
    // It was still at the entrance when the listeners were closed.
    if (this.#isLeaving) {
      channel.reset();
      return;
    }
    this.#connections++;
    const sender = new InboundConnection(channel, this, `${this.vip}-${this.#connections}`);
    this.#senders.add(sender);
    this.#clients.set(sender.client, (this.#clients.get(sender.client) ?? 0) + 1);
  }

  receive(sender: InboundConnection, content: Buffer): void {
    this.#intake.receive(sender, content);
  }

  receiveStream(sender: InboundConnection, stream: MessageStream): void {
    this.#intake.receiveStream(sender, stream);
  }

  receiveOverlong(sender: InboundConnection, beginning: Buffer, byteCount: number, byteLimit: number): void {
    this.#intake.receiveOverlong(sender, beginning, byteCount, byteLimit);
  }

  expire(delivery: Delivery): void {
    this.#courier.expire(delivery);
  }

  broken(delivery: Delivery, why: Break): void {
    this.#intake.broken(delivery, why);
  }

  abandon(delivery: Delivery, why: string): void {
    this.#courier.abandon(delivery, why);
  }

  over(sender: InboundConnection): void {
    this.#senders.delete(sender);
    const { client } = sender;
    const left = this.#clients.get(client)! - 1;
    if (left > 0) this.#clients.set(client, left);
    else {
      this.#clients.delete(client);
      this.#courier.targets.clientLeft(client);
    }
    this.#lookWhetherEmpty();
  }

  *connections(): Iterable<ConnectionView> {
    for (const sender of this.#senders) yield sender.view;
  }

  get returnTo(): StoreSettings['returnTo'] | undefined {
    return this.#options.hl7.store?.returnTo;
  }

  deliver(
    message: StoredMessage,
    content: Buffer,
    stream: MessageStream | undefined,
    to?: Endpoint,
  ): Delivery {
    return this.#courier.deliver(message, content, stream, to);
  }

  /** Takes no more senders and no more messages; resolves when every message in hand is answered. */
  async drain(): Promise<void> {
    await this.#stopListening();
    for (const sender of [...this.#senders]) sender.drain();
    await this.#intake.store?.drain();
    await this.#empty();
    this.#closeServers();
  }

  /** Ends every connection at once. Messages in flight are not answered: their senders have them still. */
  async close(): Promise<void> {
    await this.#stopListening();
    for (const sender of [...this.#senders]) sender.close();
    this.#intake.store?.close();
    this.#closeServers();
    await this.#empty();
  }

  async #stopListening(): Promise<void> {
    this.#isLeaving = true;
    await Promise.all(this.#options.listeners.map((listener) => listener.close()));
  }

  #closeServers(): void {
    this.#pools.close();
    this.#courier.close();
  }

  #isEmpty(): boolean {
    return this.#senders.size === 0 && this.#courier.endings.inHand === 0;
  }

  async #empty(): Promise<void> {
    if (this.#isEmpty()) return;
    this.#emptied ??= Promise.withResolvers();
    await this.#emptied.promise;
  }

  #lookWhetherEmpty(): void {
    if (this.#isEmpty()) this.#emptied?.resolve();
  }
}

function inboundSettings(settings: Hl7Settings): InboundSettings {
  const { startBlock, endBlock, maxFrame, timeouts, release2 = false } = settings;
  const { stall: stallTimeout, idle: idleTimeout } = timeouts;
  return { blocks: { startBlock, endBlock }, maxFrame, stallTimeout, idleTimeout, release2 };
}

/** To each server of this pool. */
function connectionsOf(pool: string, { connections = {} }: Hl7FrontEndOptions): number {
  return Object.hasOwn(connections, pool) ? connections[pool]! : USUAL_CONNECTIONS;
}

function planOf(options: Hl7FrontEndOptions): Plan {
  const { director, hl7: settings, onAmbiguousByRule = {}, orderMemory = {}, statOrders } = options;
  return { director, settings, onAmbiguousByRule, orderMemory, statOrders };
}
