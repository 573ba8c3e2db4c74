/** The director: facts in, candidate servers out. One for each VIP. */
import { type Facts, firstValue } from '../../protocols/facts.ts';
import type { BalanceName, Pool } from '../pools/pool.ts';
import type { Server } from '../pools/server.ts';
import { type Balance, createBalance } from './balance/balance.ts';
import {
  type Choice,
  type ChooseOptions,
  type Destination,
  PersistentChoice,
  PlainChoice,
  placeOf,
} from './choice.ts';
import { CookieChoice } from './cookie-choice.ts';
import type { Persistence, PersistenceKey } from './persistence.ts';
import { compileRules, type When } from './rules.ts';
import { Search } from './search.ts';

export type { Candidate, Choice, ChooseOptions, Exhausted } from './choice.ts';
export type { When } from './rules.ts';

export interface Rule {
  /** What to call it when it decides; without one it is `routes[1]`, `routes[2]`, … in order. */
  readonly name?: string | undefined;
  readonly when: When;
  /** undefined: the VIP's pool. */
  readonly pool?: Pool | undefined;
  /** Instead of the pool's. */
  readonly balance?: BalanceName | undefined;
  readonly urgent?: boolean | undefined;
  readonly reject?: string | undefined;
}

export interface DirectorOptions {
  readonly vip: string;
  readonly rules: readonly Rule[];
  /** When no rule matches; undefined: what no rule matches is rejected. */
  readonly pool: Pool | undefined;
  /** The VIP's own. */
  readonly persistence?: Persistence | undefined;
  /** A pool's own goes before the VIP's. */
  readonly persistenceOf?: ((pool: Pool) => Persistence | undefined) | undefined;
  /** Facts that rules compare without regard to case. */
  readonly ignoreCase?: readonly string[] | undefined;
  /** Slots of each server with `maxConnections` that only urgent work may use. */
  readonly reserve?: number | undefined;
  /** Milliseconds of the clock that the pools use too. */
  readonly now: () => number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

export interface Explanation {
  readonly vip: string;
  readonly rule: string;
  readonly persistence: PersistenceKey | undefined;
  /** Why the work is urgent; undefined: it is not. */
  readonly urgent: string | undefined;
  readonly candidates: readonly { readonly server: string; readonly reason: string }[];
  /** Why there is no candidate, where there is a pool. */
  readonly exhausted: string | undefined;
  readonly reject: string | undefined;
}

export interface Whereabouts {
  readonly pool: Pool;
  readonly server: Server | undefined;
}

export interface Director {
  choose(facts: Facts, options?: ChooseOptions): Choice;
  /**
   * Where work with these facts is by persistence. Nothing is reserved or renewed. undefined: nowhere yet. `server` is
   * undefined when the one that the entry names may not have work now. `inAnyPool`: not only in the pool that these
   * facts lead to, as the work may have had facts that led it to another.
   */
  whereabouts(facts: Facts, options?: { readonly inAnyPool?: boolean }): Whereabouts | undefined;
  /** What `choose` and `next` would say, without doing anything. */
  explain(facts: Facts, options?: ChooseOptions): Explanation;
}

/**
 * The balance for work with this key. What is fixed stays for good: the load of one moment is no reason for that, and a
 * hash finds the same server again should the entry be lost.
 */
function wayOf(
  balance: BalanceName | 'urgent',
  key: PersistenceKey | undefined,
  persistence: Persistence | undefined,
): BalanceName | 'urgent' {
  return key && persistence?.isFixed && balance !== 'first' ? 'hash' : balance;
}

/** Why the server that alone may have the work does not get it. */
function awayText(name: string, pool: Pool, by: string): string {
  const server = pool.server(name);
  const state = server
    ? `is ${server.state}`
    : 'is gone; `gantry persistence --clear` with its key has it placed anew';
  return `away: by ${by} it is on ${name} and stays there, and ${name} ${state}`;
}

/** These spread work: urgent work goes to the least busy server instead, never against an order or a hash. */
const SPREADS: ReadonlySet<BalanceName | 'urgent'> = new Set(['least-busy', 'round-robin', 'random-two']);

/** Throws an Error with an operator's sentence when a pattern of a rule cannot be compiled. */
export function createDirector(options: DirectorOptions): Director {
  return new RuledDirector(options);
}

const NO_OPTIONS: ChooseOptions = {};

/** Each pool's, by name. */
type Balances = Map<Pool, Map<string, Balance>>;

class RuledDirector implements Director {
  readonly #options: DirectorOptions;
  readonly #match: (facts: Facts) => number;
  readonly #names: readonly string[];
  /** Of each rule, and of none, as routine and as urgent: made when it is first wanted. */
  readonly #destinations: Destination[] = [];
  readonly #pools: ReadonlySet<Pool>;
  readonly #balances: Balances = new Map();
  /** Of work that takes turns among itself, by its kind. */
  readonly #ofKinds = new Map<string, Balances>();

  constructor(options: DirectorOptions) {
    const { rules, pool, ignoreCase } = options;
    this.#options = options;
    this.#pools = new Set([pool, ...rules.map((rule) => rule.pool)].filter((one) => one !== undefined));
    this.#match = compileRules(
      rules.map(({ when }) => when),
      { ignoreCase: ignoreCase ?? [] },
    );
    let routes = 0;
    this.#names = rules.map(({ name }) => name ?? `routes[${++routes}]`);
  }

  choose(facts: Facts, options: ChooseOptions = NO_OPTIONS): Choice {
    const destination = this.#destinationOf(facts, options);
    const { pool } = destination;
    if (!pool) return new PlainChoice(destination, undefined);
    const persistence = this.#persistenceOf(pool);
    const key = persistence?.keyOf(facts);
    const way = wayOf(this.#balanceOf(destination), key, persistence);
    const search = this.#search(facts, destination, this.#balance(pool, way, options.kind), key, options);
    const choice = key
      ? new PersistentChoice(destination, pool, search, persistence!, key)
      : new PlainChoice(destination, search, persistence?.cookie);
    const named = persistence?.cookieServer(facts, pool);
    return named ? new CookieChoice(choice, pool, search, named) : choice;
  }

  whereabouts(facts: Facts, { inAnyPool = false } = {}): Whereabouts | undefined {
    if (!inAnyPool) return this.#whereaboutsIn(this.#destinationOf(facts, NO_OPTIONS).pool, facts);
    for (const pool of this.#pools) {
      const found = this.#whereaboutsIn(pool, facts);
      if (found) return found;
    }
    return undefined;
  }

  #whereaboutsIn(pool: Pool | undefined, facts: Facts): Whereabouts | undefined {
    const persistence = pool && this.#persistenceOf(pool);
    const key = persistence?.keyOf(facts);
    if (!pool || !key) return undefined;
    const name = persistence!.table.serverOf(persistence!.entryOf(key, pool));
    return name === undefined ? undefined : { pool, server: placeOf(name, pool, key.by).server };
  }

  explain(facts: Facts, options: ChooseOptions = NO_OPTIONS): Explanation {
    const { vip } = this.#options;
    const destination = this.#destinationOf(facts, options);
    const { rule, reject, pool } = destination;
    const urgent = this.#whyUrgent(destination, facts);
    const none = { persistence: undefined, candidates: [], exhausted: undefined };
    if (!pool) return { vip, rule, urgent, reject, ...none };
    const persistence = this.#persistenceOf(pool);
    const key = persistence?.keyOf(facts);
    const way = this.#balance(
      pool,
      wayOf(this.#balanceOf(destination), key, persistence),
      options.kind,
    ).fork();
    const search = this.#search(facts, destination, way, key, options);
    const cookie = placeOf(persistence?.cookieServer(facts, pool)?.name, pool, 'cookie');
    const name = key && persistence!.entryOf(key, pool);
    const entry = placeOf(name && persistence!.table.serverOf(name), pool, key?.by ?? '');
    const taker = name && persistence!.isFixed ? persistence!.table.takerOf(name) : undefined;
    const place = cookie.server ? cookie : entry;
    if (taker !== undefined && !place.server) {
      const exhausted = awayText(taker, pool, key!.by);
      return { vip, rule, urgent, reject, ...none, persistence: key, exhausted };
    }
    let next = place.server ? search.only(place.server, place.why) : search.next(place.why);
    // A cookie that does not count any more is why it was chosen anew.
    let before = cookie.server || cookie.why === undefined ? '' : `${cookie.why}; `;
    const candidates: { server: string; reason: string }[] = [];
    while (next) {
      candidates.push({ server: next.server.name, reason: before + next.reason });
      next = taker === undefined ? search.next() : undefined;
      before = '';
    }
    const by = cookie.server ? { by: 'cookie', key: cookie.server.name } : key;
    const exhausted = candidates.length > 0 ? undefined : search.detail(place.server);
    return { vip, rule, urgent, persistence: by, candidates, exhausted, reject };
  }

  #destinationOf(facts: Facts, { urgent = false }: ChooseOptions): Destination {
    const index = this.#match(facts);
    const isUrgent = urgent || this.#options.rules[index]?.urgent === true || facts.get('urgent') === 'true';
    const place = 2 * (index + 1) + Number(isUrgent);
    this.#destinations[place] ??= this.#makeDestination(index, isUrgent);
    return this.#destinations[place];
  }

  #makeDestination(index: number, urgent: boolean): Destination {
    const matched = index === -1 ? undefined : this.#options.rules[index]!;
    const rule = matched ? this.#names[index]! : 'default';
    const pool = matched?.reject === undefined ? (matched?.pool ?? this.#options.pool) : undefined;
    const reject = pool ? undefined : (matched?.reject ?? 'no-route');
    return { rule, ruleIndex: index, reject, pool, urgent };
  }

  #balanceOf({ ruleIndex, pool, urgent }: Destination): BalanceName | 'urgent' {
    const balance = this.#options.rules[ruleIndex]?.balance ?? pool?.balance ?? 'first';
    return urgent && SPREADS.has(balance) ? 'urgent' : balance;
  }

  /** The rule goes before the work's own facts, as more can be done about it. */
  #whyUrgent({ urgent, ruleIndex, rule }: Destination, facts: Facts): string | undefined {
    if (!urgent) return undefined;
    if (this.#options.rules[ruleIndex]?.urgent) return `rule ${rule}`;
    if (facts.get('urgent') !== 'true') return 'asked for as urgent';
    return facts.get('priority') === 'high' ? 'priority high' : 'fact urgent, as of a STAT order';
  }

  #search(
    facts: Facts,
    { pool, urgent: isUrgent }: Destination,
    balance: Balance,
    key: PersistenceKey | undefined,
    options: ChooseOptions,
  ): Search {
    const { now, random, reserve = 0 } = this.#options;
    const hashed = key ? `${key.by}=${key.key}` : (firstValue(facts.get('client')) ?? '');
    return new Search({ asked: options, pool: pool!, balance, now, random, key: hashed, isUrgent, reserve });
  }

  #persistenceOf(pool: Pool): Persistence | undefined {
    return this.#options.persistenceOf?.(pool) ?? this.#options.persistence;
  }

  #balance(pool: Pool, name: BalanceName | 'urgent', kind: string | undefined): Balance {
    const balances = kind === undefined ? this.#balances : this.#balancesOf(kind);
    let ofPool = balances.get(pool);
    if (!ofPool) {
      ofPool = new Map();
      balances.set(pool, ofPool);
    }
    let balance = ofPool.get(name);
    if (!balance) {
      balance = createBalance(name);
      ofPool.set(name, balance);
    }
    return balance;
  }

  #balancesOf(kind: string): Balances {
    let balances = this.#ofKinds.get(kind);
    if (!balances) {
      balances = new Map();
      this.#ofKinds.set(kind, balances);
    }
    return balances;
  }
}
