/** A pool: servers that do the same work, and how work is spread over them. */
import { notice } from '../observe/events.ts';
import { PoolLoad } from './load.ts';
import { Server, type ServerOptions } from './server.ts';
import type { ServerHome } from './server-home.ts';
import type { VerdictOptions } from './verdict.ts';

export type BalanceName = 'least-busy' | 'round-robin' | 'hash' | 'first' | 'random-two';

/**
 * shared: every server may get work. single-active: one server gets all of it until it may get none any more, then the
 * next in the order of the configuration, backups last.
 */
export type PoolMode = 'shared' | 'single-active';

/**
 * Why open work has to leave a server. halted: at its next safe point, and when `drain` is over in any case. failed-over:
 * at once, another server of a `single-active` pool has taken its place.
 */
export type Leaving = 'halted' | 'failed-over';

/** What a reload may change. */
export interface PoolSettings {
  readonly balance: BalanceName;
  readonly servers: readonly Omit<ServerOptions, 'pool'>[];
  readonly health: VerdictOptions;
  /** Default: shared. */
  readonly mode?: PoolMode | undefined;
  /** single-active: work goes back to an earlier server as soon as it is up again. Default: only when it must. */
  readonly failBack?: boolean | undefined;
  /** Milliseconds after which a server that came up has its full weight; 0: at once. */
  readonly slowStart?: number | undefined;
  /** From 0 to 1: with a smaller share of servers up than this, health is ignored. */
  readonly panic?: number | undefined;
  /** Milliseconds that the open work of a halted server has to finish; cookies of a draining one count as long. */
  readonly drain?: number | undefined;
}

export interface PoolOptions extends PoolSettings {
  readonly name: string;
  /** Milliseconds since 1970 of a clock that never goes back. */
  readonly now: () => number;
}

const FIRST = 'the first in order';

export class Pool implements ServerHome {
  readonly name: string;
  readonly load: PoolLoad;
  readonly now: () => number;
  #settings: Required<PoolSettings>;
  #servers: readonly Server[] = [];
  #byName: ReadonlyMap<string, Server> = new Map();
  #takers: readonly Server[] | undefined;
  /** single-active: who has the work, or had it last. */
  #active: Server | undefined;
  #activeReason = FIRST;
  readonly #watchers = new Set<(server: Server) => void>();
  readonly #leavers = new Set<(server: Server, why: Leaving) => void>();
  /** While a new configuration is taken over: whom there will be something to tell about. */
  #changing: Set<Server> | undefined;

  constructor(options: PoolOptions) {
    this.name = options.name;
    this.now = options.now;
    this.load = new PoolLoad(options.now);
    this.#settings = withDefaults(options);
    this.reconfigure(options);
  }

  get balance(): BalanceName {
    return this.#settings.balance;
  }

  get mode(): PoolMode {
    return this.#settings.mode;
  }

  get health(): VerdictOptions {
    return this.#settings.health;
  }

  get slowStart(): number {
    return this.#settings.slowStart;
  }

  get drain(): number {
    return this.#settings.drain;
  }

  /** In the order of the configuration. */
  get servers(): readonly Server[] {
    return this.#servers;
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
    this.#takers ??= this.mode === 'shared' ? this.#findTakers() : this.#findActive();
    return this.#takers;
  }

  /** The one server of a `single-active` pool that gets work now; undefined: none may, or they share it. */
  get activeServer(): Server | undefined {
    return this.mode === 'single-active' ? this.takers[0] : undefined;
  }

  /** Why the active server is the active one. */
  get activeReason(): string {
    return this.#activeReason;
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

  /**
   * Takes over a new configuration. A server whose name and place are as before stays the same one, with its state, its
   * load and what it has in hand; one that is not there any more is retired. Those who watch are told at the end.
   */
  reconfigure(settings: PoolSettings): void {
    const before = this.#byName;
    const takersBefore = this.takers;
    const changing = new Set<Server>();
    this.#changing = changing;
    this.#settings = withDefaults(settings);
    this.#servers = settings.servers.map((wanted) => {
      const old = before.get(wanted.name);
      if (old && isSame(old, wanted)) {
        old.reconfigure(wanted);
        return old;
      }
      return new Server({ ...wanted, pool: this.name }, this);
    });
    this.#byName = new Map(this.#servers.map((server) => [server.name, server]));
    for (const old of before.values()) if (!this.#servers.includes(old)) old.retire();
    this.#takers = undefined;
    if (this.mode === 'shared') this.#active = undefined;
    const { takers } = this;
    for (const server of [...takersBefore, ...takers]) {
      if (takersBefore.includes(server) !== takers.includes(server)) changing.add(server);
    }
    this.#changing = undefined;
    for (const server of changing) this.roomChanged(server);
  }

  /** The configuration no longer has this pool: its servers get nothing new, what they have in hand finishes. */
  retire(): void {
    this.reconfigure({ ...this.#settings, servers: [] });
  }

  hasOther(server: Server): boolean {
    return this.#servers.some((other) => other !== server && other.eligible);
  }

  stateChanged(server: Server): void {
    if (!this.#changing) {
      this.#takers = undefined;
      if (this.mode === 'single-active') this.#takers = this.#findActive();
    }
    this.roomChanged(server);
  }

  roomChanged(server: Server): void {
    if (this.#changing) this.#changing.add(server);
    else for (const listener of this.#watchers) listener(server);
  }

  hasToLeave(server: Server, why: Leaving): void {
    for (const listener of this.#leavers) listener(server, why);
  }

  #findTakers(): readonly Server[] {
    const up = this.#servers.filter(({ eligible }) => eligible);
    const wanted = this.#servers.filter(({ isWanted }) => isWanted);
    return up.length < this.#settings.panic * wanted.length ? wanted : up;
  }

  /** The active server, or another that takes its place. */
  #findActive(): readonly Server[] {
    const able = this.#findTakers();
    const old = this.#active;
    const first = able.find(({ backup }) => !backup) ?? able[0];
    // By name: one that got another address is still the active one.
    const kept = this.#settings.failBack ? undefined : able.find(({ name }) => name === old?.name);
    const next = kept ?? first;
    if (!next) return [];
    const takers = [next];
    if (next === old) return takers;
    this.#active = next;
    // Whoever is told of this asks for the takers.
    this.#takers = takers;
    if (old) this.#failedOver(old, next, able.includes(old));
    else this.#activeReason = FIRST;
    return takers;
  }

  #failedOver(old: Server, next: Server, isBack: boolean): void {
    this.#activeReason = isBack
      ? `took back from ${old.name}, which comes later in order`
      : `took over from ${old.name}, which ${whyNot(old)}`;
    // An operator's change is not cut short: drained, what is open there finishes.
    const isCut = old.isWanted;
    notice(isCut ? 'warn' : 'info', 'another server of a single-active pool has taken over', {
      pool: this.name,
      server: next.name,
      from: old.name,
      reason: isBack ? this.#activeReason : old.reason,
    });
    if (isCut) this.hasToLeave(old, 'failed-over');
  }
}

/** Why a server is not the active one any more. */
function whyNot({ isRetired, state }: Server): string {
  if (isRetired) return 'is no longer in the configuration';
  return state === 'up' || state === 'starting' ? 'has no weight' : `is ${state}`;
}

function withDefaults(settings: PoolSettings): Required<PoolSettings> {
  const { balance, servers, health, mode, failBack, slowStart, panic, drain } = settings;
  return {
    balance,
    servers,
    health,
    mode: mode ?? 'shared',
    failBack: failBack ?? false,
    slowStart: slowStart ?? 0,
    panic: panic ?? 0,
    drain: drain ?? 60_000,
  };
}

/** Is `server` what the configuration wants, apart from what may change in place? */
function isSame(server: Server, wanted: Omit<ServerOptions, 'pool'>): boolean {
  return (['host', 'port', 'ae', 'backup'] as const).every((key) => server[key] === wanted[key]);
}
