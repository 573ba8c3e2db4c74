/** The search through a pool: every server at most once, by the pool's balance, backups when no other is up. */
import type { Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';
import type { Balance } from './balance/balance.ts';
import type { Candidate, ChooseOptions, Exhausted } from './choice.ts';

export interface SearchOptions {
  /** What the caller wants of it. */
  readonly asked: ChooseOptions;
  readonly pool: Pool;
  readonly balance: Balance;
  readonly now: () => number;
  readonly random: () => number;
  /** What `hash` goes by. */
  readonly key: string;
  readonly isUrgent: boolean;
  /** Slots of each server with a limit that only urgent work may use. */
  readonly reserve: number;
}

export class Search {
  exhausted: Exhausted | undefined;
  readonly #options: SearchOptions;
  readonly #tried: Server[] = [];

  constructor(options: SearchOptions) {
    this.#options = options;
  }

  wasTried(server: Server): boolean {
    return this.#tried.includes(server);
  }

  /** The next server by balance. `why`: what led to a search, put before the reason. */
  next(why?: string): Candidate | undefined {
    const { balance, random, key, asked } = this.#options;
    const now = this.#options.now();
    const servers = this.#servers(now);
    if (servers.length === 0) {
      this.exhausted = this.#whyNone();
      return undefined;
    }
    const server = balance.pick(servers, { now, random, key, prefer: asked.prefer });
    return this.#found(server, this.#reason(server, servers.length, now, why));
  }

  /** This server and no other; undefined when it is full. */
  only(server: Server, reason: string): Candidate | undefined {
    if (this.#hasRoom(server)) return this.#found(server, `${reason}${this.#keptSlot(server)}`);
    this.exhausted = 'full';
    return undefined;
  }

  #found(server: Server, reason: string): Candidate {
    this.exhausted = undefined;
    this.#tried.push(server);
    return { server, reason };
  }

  /**
   * Who may be asked now: those that are no backups; else backups; else those that could not be dialled just now. A
   * server without room stays among those before, so that no backup stands in for a busy server.
   */
  #servers(now: number): readonly Server[] {
    if (this.#tried.length === 0 && this.#areAllUsual(now)) return this.#options.pool.takers;
    const left = this.#left;
    if (left.length === 0) return left;
    const answering = left.filter((server) => !server.isAskedLast(now));
    const regular = answering.filter(({ backup }) => !backup);
    const first = (regular.length > 0 ? regular : answering).filter((server) => this.#hasRoom(server));
    if (first.length > 0) return first;
    const silent = left.filter((server) => !answering.includes(server) && this.#hasRoom(server));
    return regular.length > 0 ? silent.filter(({ backup }) => !backup) : silent;
  }

  /** Mostly nobody is a backup, silent or full: then nobody needs to be sorted out, for each piece of work anew. */
  #areAllUsual(now: number): boolean {
    for (const server of this.#options.pool.takers) {
      if (server.backup || server.isAskedLast(now) || !this.#isFit(server) || !this.#hasRoom(server))
        return false;
    }
    return true;
  }

  /** Who could do it and was not asked yet. */
  get #left(): readonly Server[] {
    return this.#options.pool.takers.filter((server) => !this.#tried.includes(server) && this.#isFit(server));
  }

  #isFit(server: Server): boolean {
    return this.#options.asked.isFit?.(server) !== false;
  }

  #hasRoom(server: Server): boolean {
    const { ignoreRoom, isOpen, hasRoom } = this.#options.asked;
    if (ignoreRoom || isOpen?.(server)) return true;
    const isFree = server.hasRoom && !this.#isKept(server);
    return isFree && (!hasRoom || hasRoom(server));
  }

  /** Are its last slots kept from this work, which is not urgent? */
  #isKept(server: Server): boolean {
    const { isUrgent, reserve } = this.#options;
    return !isUrgent && reserve > 0 && !server.hasRoomBeside(reserve);
  }

  /** Told when it decides: this work has the server because it is urgent. */
  #keptSlot(server: Server): string {
    const { isUrgent, reserve, asked } = this.#options;
    const { ignoreRoom, isOpen } = asked;
    if (!isUrgent || reserve === 0 || ignoreRoom || isOpen?.(server)) return '';
    return server.hasRoomBeside(reserve) ? '' : ', in a slot kept for urgent work';
  }

  /** Told when it decides: this work has none of these servers because it is not urgent. */
  #keptElsewhere(): string {
    const { isUrgent, reserve, asked, pool } = this.#options;
    const { ignoreRoom, isOpen } = asked;
    if (isUrgent || reserve === 0 || ignoreRoom) return '';
    const kept = pool.takers.filter((server) => server.hasRoom && this.#isKept(server) && !isOpen?.(server));
    const names = kept.map(({ name }) => name).join(', ');
    return names === '' ? '' : `; what is free on ${names} is kept for urgent work`;
  }

  /** Why there is nobody, a sentence. `only`: no other server would do. */
  detail(only?: Server): string {
    if (this.exhausted !== 'full') return 'no server is up';
    const { pool, reserve } = this.#options;
    const servers = only ? [only] : pool.takers;
    const isKept = servers.some((server) => server.hasRoom && this.#isKept(server));
    if (!isKept) return only ? 'full: its server has no free slot' : 'full: no server has a free slot';
    const slots = reserve === 1 ? 'slot of each server is' : `${reserve} slots of each server are`;
    return `full: the last ${slots} kept for urgent work`;
  }

  #whyNone(): Exhausted {
    if (this.#left.length > 0) return 'full';
    return this.#tried.length > 0 ? 'all-tried' : 'none-up';
  }

  #reason(server: Server, count: number, now: number, why: string | undefined): string {
    const { pool, balance } = this.#options;
    const among = count > 1 ? `${balance.why} of ${count}` : 'the only one to ask';
    const usual = server.backup ? 'backup, no other is up' : among;
    const last = server.isAskedLast(now) ? ', though it did not answer just now' : '';
    const active = pool.mode === 'single-active' ? `the active one, ${pool.activeReason}` : usual;
    const text = `${active}${last}${this.#keptSlot(server)}${this.#keptElsewhere()}`;
    return why ? `${why}; ${text}` : text;
  }
}
