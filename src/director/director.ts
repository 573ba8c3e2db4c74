/** The director: facts in, candidate servers out. One for each VIP. */
import type { Facts } from '../../protocols/facts.ts';
import type { BalanceName, Pool } from '../pools/pool.ts';
import type { Choice, ChooseOptions } from './choice.ts';

export type { Candidate, Choice, ChooseOptions, Exhausted } from './choice.ts';

export interface Explanation {
  readonly vip: string;
  readonly rule: string;
  readonly persistence: { readonly by: string; readonly key: string } | undefined;
  readonly candidates: readonly { readonly server: string; readonly reason: string }[];
  readonly reject: string | undefined;
}

export interface Director {
  choose(facts: Facts, options?: ChooseOptions): Choice;
  /** What `choose` and `next` would say, without doing anything. */
  explain(facts: Facts): Explanation;
}

/** What a rule asks of the facts: everything in one `when` holds together. Patterns are the configuration's text. */
export interface When {
  readonly facts: readonly { readonly name: string; readonly patterns: readonly string[] }[];
  readonly not?: When | undefined;
  readonly any?: readonly When[] | undefined;
}

export interface Rule {
  readonly when: When;
  /** undefined: the VIP's pool. */
  readonly pool?: Pool | undefined;
  /** Instead of the pool's. */
  readonly balance?: BalanceName | undefined;
  readonly urgent?: boolean | undefined;
  readonly reject?: string | undefined;
}
