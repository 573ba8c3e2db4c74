/** The DICOM front-end of one VIP, association routing: its listeners, its associations, its limits, its wait queue. */
import { type IsUrgentOrder, WANTED_TAGS } from '../../../protocols/dicom/message-facts.ts';
import type { Director } from '../../director/director.ts';
import { notice } from '../../observe/events.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Server } from '../../pools/server.ts';
import { channelAcceptor, type Entrance } from '../../relay/accept.ts';
import type { Channel, Endpoint } from '../../relay/channel.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import type { ServerLink } from '../../relay/dial.ts';
import type { Listener } from '../../relay/listen.ts';
import type { ConnectionView, FrontEnd } from '../front-end.ts';
import { type PoolListener, PoolWatch } from '../pool-watch.ts';
import { type Waiting, WaitingRoom } from '../waiting-room.ts';
import type { Affinity } from './affinity/affinity.ts';
import { Association } from './association.ts';
import type { AssociationHost, AssociationSettings, AssociationTimeouts } from './association-settings.ts';
import { type LimitOptions, Limits } from './limits.ts';
import { ReplayBudget, type ReplayLimits } from './study/replay-budget.ts';

export interface DicomFrontEndOptions {
  readonly vip: string;
  /** Bound by whoever made them; closed here when the front-end ends. */
  readonly listeners: readonly Listener[];
  readonly entrance: Entrance;
  readonly director: Director;
  /** Every pool its rules reach: when one of them gets room, the wait queue is served. */
  readonly pools: readonly Pool[];
  /** How their servers are reached, by the name of the pool. */
  readonly links: ReadonlyMap<string, ServerLink>;
  /** The VIP's own pool. With `refuse`, nothing listens while it has no server. */
  readonly pool: Pool | undefined;
  readonly whenUnavailable: 'reject' | 'refuse';
  readonly limits: LimitOptions;
  /** Milliseconds an association may wait for a slot; 0: none waits. */
  readonly wait: number;
  /** Was a study, or an accession number, ordered as urgent (STAT) just now? undefined: nobody knows of orders. */
  readonly isUrgentOrder?: IsUrgentOrder | undefined;
  readonly ignoreCase: boolean;
  /** Study routing; undefined: association routing. */
  readonly study?: StudyRouting | undefined;
  readonly timeouts: AssociationTimeouts;
  readonly deadlines: Deadlines;
  readonly now: () => number;
}

export interface StudyRouting {
  readonly storage: 'shared' | 'separate';
  readonly replay: ReplayLimits;
  /** Tags that rules and persistence ask for beside the facts that have names. */
  readonly tags: readonly number[];
  /** What is remembered over associations; undefined: nothing. */
  readonly affinity?: Affinity | undefined;
  /** Associations that do not propose this SOP class are relayed as a whole; undefined: none is. */
  readonly onlyFor?: string | undefined;
}

/** Takes the connections of its listeners from now on. */
export function createDicomFrontEnd(options: DicomFrontEndOptions): FrontEnd<DicomFrontEndOptions> {
  return new DicomFrontEnd(options);
}

class DicomFrontEnd implements FrontEnd<DicomFrontEndOptions>, AssociationHost, PoolListener {
  readonly totals = { associations: 0, released: 0, aborted: 0, rejected: 0 };
  #options: DicomFrontEndOptions;
  #settings!: AssociationSettings;
  /** What all associations keep for replay together. */
  #budget: ReplayBudget | undefined;
  readonly #associations = new Set<Association>();
  readonly #perServer = new Map<Server, number>();
  readonly #limits: Limits;
  readonly #waiting: WaitingRoom<Waiting>;
  readonly #pools: PoolWatch;
  /** Servers that are known to be down. */
  readonly #down = new Set<Server>();
  /** The ports are to be open. */
  #isOpen = true;
  #listening: Promise<void> = Promise.resolve();
  #leaving = false;
  #isOver = false;
  #emptied: PromiseWithResolvers<void> | undefined;

  constructor(options: DicomFrontEndOptions) {
    this.#options = options;
    this.#limits = new Limits(options.limits);
    this.#waiting = new WaitingRoom(options.wait, options.deadlines, options.now);
    this.#pools = new PoolWatch(this, options.deadlines);
    this.reconfigure(options);
  }

  get settings(): AssociationSettings {
    return this.#settings;
  }

  #settingsOf(options: DicomFrontEndOptions): AssociationSettings {
    const { study, wait, isUrgentOrder, pools } = options;
    if (!study) return { ...options, study: undefined };
    this.#budget ??= new ReplayBudget(study.replay);
    this.#budget.limits = study.replay;
    const serverAt = (place: string) => serverIn(pools, place);
    const { affinity, onlyFor } = study;
    const tags = [...new Set([...WANTED_TAGS, ...study.tags])].sort((one, other) => one - other);
    const more = { affinity, onlyFor, tags, wait, isUrgentOrder, budget: this.#budget, serverAt };
    return { ...options, study: { ...study, ...more } };
  }

  get endpoints(): readonly Endpoint[] {
    return this.#options.listeners.map(({ endpoint }) => endpoint);
  }

  reconfigure(options: DicomFrontEndOptions): void {
    const { listeners, entrance, pools, limits, wait } = options;
    this.#options = options;
    this.#settings = this.#settingsOf(options);
    this.#limits.options = limits;
    this.#waiting.patience = wait;
    const acceptor = channelAcceptor(entrance, (channel) => this.#accept(channel));
    for (const listener of listeners) listener.acceptor = acceptor;
    this.#pools.watch(pools);
    this.#listenAsWanted(true);
    this.#waiting.serve();
  }

  changed(server: Server): void {
    this.#waiting.serve();
    this.#listenAsWanted();
    const isDown = server.state === 'down';
    if (isDown && !this.#down.has(server))
      for (const association of [...this.#associations]) association.foundDown(server);
    if (isDown) this.#down.add(server);
    else this.#down.delete(server);
  }

  leave(server: Server): void {
    for (const association of [...this.#associations]) association.leave(server, 'its server was halted');
  }

  cut(server: Server, why: string): void {
    for (const association of [...this.#associations]) association.cut(server, why);
  }

  /** `whenUnavailable: refuse`. `anew`: for listeners that came just now. */
  #listenAsWanted(anew = false): void {
    const { pool, whenUnavailable } = this.#options;
    const isOpen = whenUnavailable === 'reject' || !pool || pool.isUp;
    if (isOpen === this.#isOpen && !anew) return;
    this.#isOpen = isOpen;
    // One change after the other, so that closing is over before listening again.
    this.#listening = this.#listening.then(() => this.#openOrClose());
  }

  async #openOrClose(): Promise<void> {
    if (this.#leaving) return;
    try {
      const { listeners } = this.#options;
      await Promise.all(listeners.map((one) => (this.#isOpen ? one.resume() : one.suspend())));
    } catch (error) {
      const { vip } = this.#options;
      notice('error', 'a port cannot be opened again', { vip, reason: (error as Error).message });
    }
  }

  #accept(channel: Channel): void {
    // It was still at the entrance when everything ended.
    if (this.#isOver) channel.reset();
    else this.#associations.add(new Association(channel, this));
  }

  admit(callingAe: string): boolean {
    return this.#limits.admit(callingAe);
  }

  hasRoom(server: Server): boolean {
    const { perServer = Infinity } = this.#options.limits;
    return (this.#perServer.get(server) ?? 0) < perServer;
  }

  take(server: Server, isWork: boolean): void {
    this.#perServer.set(server, (this.#perServer.get(server) ?? 0) + 1);
    server.acquire(!isWork);
  }

  free(server: Server, isWork: boolean): void {
    const left = (this.#perServer.get(server) ?? 1) - 1;
    if (left > 0) this.#perServer.set(server, left);
    else this.#perServer.delete(server);
    server.release(!isWork);
  }

  isWanted(server: Server): boolean {
    return this.#waiting.size > 0 && !(server.hasRoom && this.hasRoom(server));
  }

  wait(guest: Waiting): boolean {
    const before = this.#waiting.size;
    const isIn = this.#waiting.enter(guest);
    if (this.#waiting.size > before) for (const association of this.#associations) association.makeRoom();
    return isIn;
  }

  waitNoMore(guest: Waiting): void {
    this.#waiting.leave(guest);
  }

  over(association: Association): void {
    if (!this.#associations.delete(association)) return;
    this.#waiting.leave(association);
    const { end } = association.record;
    if (end) {
      this.totals.associations++;
      this.totals[end === 'release' ? 'released' : end === 'reject' ? 'rejected' : 'aborted']++;
    }
    if (association.isAdmitted) {
      this.#limits.leave(association.callingAe);
      this.#waiting.serve();
    }
    if (this.#associations.size === 0) this.#emptied?.resolve();
  }

  *connections(): Iterable<ConnectionView> {
    for (const association of this.#associations) yield association.view;
  }

  async drain(): Promise<void> {
    await this.#stopAccepting();
    await this.#empty();
  }

  async close(): Promise<void> {
    await this.#stopAccepting();
    for (const association of [...this.#associations]) association.abort('the balancer is shutting down');
    await this.#empty();
  }

  async #stopAccepting(): Promise<void> {
    this.#leaving = true;
    await this.#listening;
    await Promise.all(this.#options.listeners.map((listener) => listener.close()));
  }

  async #empty(): Promise<void> {
    if (this.#associations.size > 0) {
      this.#emptied ??= Promise.withResolvers();
      await this.#emptied.promise;
    }
    this.#isOver = true;
    this.#pools.close();
  }
}

/** The server of a place, `POOL/SERVER`; undefined: it is gone, or may not have work that belongs to it. */
function serverIn(pools: readonly Pool[], place: string): Server | undefined {
  const slash = place.indexOf('/');
  const pool = pools.find(({ name }) => name === place.slice(0, slash));
  const server = pool?.server(place.slice(slash + 1));
  return server && (pool!.takers.includes(server) || server.honoursPersistence) ? server : undefined;
}
