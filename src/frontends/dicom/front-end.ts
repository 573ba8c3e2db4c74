/** The DICOM front-end of one VIP, association routing: its listeners, its associations, its limits, its wait queue. */
import type { Director } from '../../director/director.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel, Endpoint } from '../../relay/channel.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import type { Listener } from '../../relay/listen.ts';
import type { ConnectionView, FrontEnd } from '../front-end.ts';
import { WaitingRoom } from '../waiting-room.ts';
import { Association, type AssociationHost, type AssociationTimeouts } from './association.ts';
import { type LimitOptions, Limits } from './limits.ts';

export interface DicomFrontEndOptions {
  readonly vip: string;
  /** Bound by whoever made them; closed here when the front-end ends. */
  readonly listeners: readonly Listener[];
  readonly director: Director;
  /** Every pool its rules reach: when one of them gets room, the wait queue is served. */
  readonly pools: readonly Pool[];
  /** The VIP's own pool. With `refuse`, nothing listens while it has no server. */
  readonly pool: Pool | undefined;
  readonly whenUnavailable: 'reject' | 'refuse';
  readonly limits: LimitOptions;
  /** Milliseconds an association may wait for a slot; 0: none waits. */
  readonly wait: number;
  readonly ignoreCase: boolean;
  readonly timeouts: AssociationTimeouts;
  readonly deadlines: Deadlines;
  readonly now: () => number;
}

/** Takes the connections of its listeners from now on. */
export function createDicomFrontEnd(options: DicomFrontEndOptions): FrontEnd<DicomFrontEndOptions> {
  return new DicomFrontEnd(options);
}

class DicomFrontEnd implements FrontEnd<DicomFrontEndOptions>, AssociationHost {
  readonly vip: string;
  readonly deadlines: Deadlines;
  readonly now: () => number;
  director: Director;
  timeouts: AssociationTimeouts;
  ignoreCase: boolean;
  readonly totals = { associations: 0, released: 0, aborted: 0, rejected: 0 };
  #options: DicomFrontEndOptions;
  readonly #associations = new Set<Association>();
  readonly #perServer = new Map<Server, number>();
  readonly #limits: Limits;
  readonly #waiting: WaitingRoom<Association>;
  readonly #unwatch: (() => void)[] = [];
  #listening: Promise<void> = Promise.resolve();
  #isListening = true;
  #leaving = false;
  #whenEmpty: (() => void) | undefined;

  constructor(options: DicomFrontEndOptions) {
    this.#options = options;
    this.vip = options.vip;
    this.director = options.director;
    this.deadlines = options.deadlines;
    this.now = options.now;
    this.timeouts = options.timeouts;
    this.ignoreCase = options.ignoreCase;
    this.#limits = new Limits(options.limits);
    this.#waiting = new WaitingRoom(options.wait, options.deadlines, options.now);
    this.reconfigure(options);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#options.listeners.map(({ endpoint }) => endpoint);
  }

  reconfigure(options: DicomFrontEndOptions): void {
    this.#options = options;
    this.director = options.director;
    this.timeouts = options.timeouts;
    this.ignoreCase = options.ignoreCase;
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    for (const listener of options.listeners) listener.acceptor = (channel) => this.#accept(channel);
    for (const pool of options.pools) this.#unwatch.push(pool.watch(() => this.#waiting.serve()));
    const { pool, whenUnavailable } = options;
    if (pool && whenUnavailable === 'refuse') {
      this.#unwatch.push(pool.watch(() => this.#listenWhile(pool.isUp)));
      this.#listenWhile(pool.isUp);
    }
  }

  /** `whenUnavailable: refuse`: one change after the other, so that closing is over before listening again. */
  #listenWhile(wanted: boolean): void {
    this.#listening = this.#listening.then(async () => {
      if (this.#leaving || wanted === this.#isListening) return;
      this.#isListening = wanted;
      const change = (listener: Listener) => (wanted ? listener.resume() : listener.suspend());
      await Promise.all(this.#options.listeners.map(change));
    });
  }

  #accept(channel: Channel): void {
    this.#associations.add(new Association(channel, this));
  }

  admit(callingAe: string): boolean {
    return this.#limits.admit(callingAe);
  }

  hasRoom(server: Server): boolean {
    const { perServer = Infinity } = this.#options.limits;
    return (this.#perServer.get(server) ?? 0) < perServer;
  }

  take(server: Server): void {
    this.#perServer.set(server, (this.#perServer.get(server) ?? 0) + 1);
    server.acquire();
  }

  free(server: Server): void {
    const left = (this.#perServer.get(server) ?? 1) - 1;
    if (left > 0) this.#perServer.set(server, left);
    else this.#perServer.delete(server);
    server.release();
  }

  wait(association: Association): boolean {
    return this.#waiting.enter(association);
  }

  waitNoMore(association: Association): void {
    this.#waiting.leave(association);
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
    if (this.#associations.size === 0) this.#whenEmpty?.();
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
    for (const unwatch of this.#unwatch.splice(0)) unwatch();
    await this.#listening;
    await Promise.all(this.#options.listeners.map((listener) => listener.close()));
  }

  #empty(): Promise<void> {
    if (this.#associations.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }
}
