/** The DICOM front-end of one VIP, association routing: its listeners, its associations, its limits, its wait queue. */
import type { Director } from '../../director/director.ts';
import type { Pool } from '../../pools/pool.ts';
import type { Server } from '../../pools/server.ts';
import type { Channel, Endpoint } from '../../relay/channel.ts';
import type { Deadlines } from '../../relay/deadlines.ts';
import { type Listener, listen } from '../../relay/listen.ts';
import type { ConnectionView, FrontEnd } from '../front-end.ts';
import { WaitingRoom } from '../waiting-room.ts';
import { Association, type AssociationHost, type AssociationTimeouts } from './association.ts';
import { type LimitOptions, Limits } from './limits.ts';

export interface DicomFrontEndOptions {
  readonly vip: string;
  readonly listen: readonly Endpoint[];
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

/** Listens on every endpoint; throws GTY_LISTEN when one cannot be had. */
export async function createDicomFrontEnd(options: DicomFrontEndOptions): Promise<FrontEnd> {
  const frontEnd = new DicomFrontEnd(options);
  await frontEnd.open();
  return frontEnd;
}

class DicomFrontEnd implements FrontEnd, AssociationHost {
  readonly vip: string;
  readonly director: Director;
  readonly deadlines: Deadlines;
  readonly now: () => number;
  readonly timeouts: AssociationTimeouts;
  readonly ignoreCase: boolean;
  readonly totals = { associations: 0, released: 0, aborted: 0, rejected: 0 };
  readonly #options: DicomFrontEndOptions;
  readonly #associations = new Set<Association>();
  readonly #perServer = new Map<Server, number>();
  readonly #limits: Limits;
  readonly #waiting: WaitingRoom<Association>;
  readonly #unwatch: (() => void)[] = [];
  #endpoints: readonly Endpoint[];
  #listeners: Listener[] = [];
  #listening: Promise<void> = Promise.resolve();
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
    this.#endpoints = options.listen;
    this.#limits = new Limits(options.limits);
    this.#waiting = new WaitingRoom(options.wait, options.deadlines, options.now);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints;
  }

  async open(): Promise<void> {
    await this.#listen();
    for (const pool of this.#options.pools) this.#unwatch.push(pool.watch(() => this.#waiting.serve()));
    const { pool, whenUnavailable } = this.#options;
    if (pool && whenUnavailable === 'refuse') {
      this.#unwatch.push(pool.watch(() => this.#listenWhile(pool.isUp)));
      this.#listenWhile(pool.isUp);
    }
  }

  async #listen(): Promise<void> {
    const accept = (channel: Channel) => this.#accept(channel);
    for (const endpoint of this.#endpoints) this.#listeners.push(await listen(endpoint, accept));
    this.#endpoints = this.#listeners.map((listener) => listener.endpoint);
  }

  async #stopListening(): Promise<void> {
    const listeners = this.#listeners;
    this.#listeners = [];
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  /** `whenUnavailable: refuse`: one change after the other, so that closing is over before listening again. */
  #listenWhile(wanted: boolean): void {
    this.#listening = this.#listening.then(async () => {
      if (this.#leaving || wanted === this.#listeners.length > 0) return;
      await (wanted ? this.#listen() : this.#stopListening());
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
    await this.#stopListening();
  }

  #empty(): Promise<void> {
    if (this.#associations.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty = resolve;
    });
  }
}
