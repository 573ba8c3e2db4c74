/** A pool: servers that do the same work, and how work is spread over them. */
import { PoolLoad } from './load.ts';
import { Server, type ServerHome, type ServerOptions } from './server.ts';
import type { VerdictOptions } from './verdict.ts';

export type BalanceName = 'least-busy' | 'round-robin' | 'hash' | 'first' | 'random-two';

/**
 * Why open work has to leave a server. halted: at its next safe point, and when `drain` is over in any case. failed-over:
 * at once, another server of a `single-active` pool has taken its place.
 */
export type Leaving = 'halted' | 'failed-over';

export interface PoolOptions {
  readonly name: string;
  readonly balance: BalanceName;
  readonly servers: readonly Omit<ServerOptions, 'pool'>[];
  readonly health: VerdictOptions;
  /** Milliseconds after which a server that came up has its full weight; 0: at once. */
  readonly slowStart?: number;
  /** From 0 to 1: with a smaller share of servers up than this, health is ignored. */
  readonly panic?: number;
  /** Milliseconds that the open work of a halted server has to finish; cookies of a draining one count as long. */
  readonly drain?: number;
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
}

export class Pool implements ServerHome {
  readonly name: string;
  readonly balance: BalanceName;
  readonly servers: readonly Server[];
  readonly load: PoolLoad;
  readonly health: VerdictOptions;
  readonly slowStart: number;
  readonly drain: number;
  readonly now: () => number;
  readonly #panic: number;
  readonly #byName: ReadonlyMap<string, Server>;
  readonly #watchers = new Set<(server: Server) => void>();
  readonly #leavers = new Set<(server: Server, why: Leaving) => void>();
  #takers: readonly Server[] | undefined;

  constructor(options: PoolOptions) {
    this.name = options.name;
    this.balance = options.balance;
    this.health = options.health;
    this.slowStart = options.slowStart ?? 0;
    this.drain = options.drain ?? 60_000;
    this.now = options.now;
    this.load = new PoolLoad(options.now);
    this.#panic = options.panic ?? 0;
    this.servers = options.servers.map((server) => new Server({ ...server, pool: options.name }, this));
    this.#byName = new Map(this.servers.map((server) => [server.name, server]));
  }

  server(name: string): Server | undefined {
    return this.#byName.get(name);
  }

  /** Is there a server that may get new work, whether or not it has room? */
  get isUp(): boolean {
    return this.takers.length > 0;
  }

  /** The servers that may get new work, backups included, in the order of the configuration. */
  get takers(): readonly Server[] {
    this.#takers ??= this.#findTakers();
    return this.#takers;
  }

  /** Calls `listener` whenever a server's state, weight or room has changed. Returns how to stop that. */
  watch(listener: (server: Server) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** Calls `listener` whenever open work has to leave a server. Returns how to stop that. */
  watchLeaving(listener: (server: Server, why: Leaving) => void): () => void {
    this.#leavers.add(listener);
    return () => this.#leavers.delete(listener);
  }

  hasOther(server: Server): boolean {
    return this.servers.some((other) => other !== server && other.eligible);
  }

  stateChanged(server: Server): void {
    this.#takers = undefined;
    this.roomChanged(server);
  }

  roomChanged(server: Server): void {
    for (const listener of this.#watchers) listener(server);
  }

  hasToLeave(server: Server, why: Leaving): void {
    for (const listener of this.#leavers) listener(server, why);
  }

  #findTakers(): readonly Server[] {
    const up = this.servers.filter(({ eligible }) => eligible);
    const wanted = this.servers.filter(({ isWanted }) => isWanted);
    return up.length < this.#panic * wanted.length ? wanted : up;
  }
}
