/** What a way of spreading work is. One file for each; none of them knows health, room or persistence. */
import type { BalanceName } from '../../pools/pool.ts';
import type { Server } from '../../pools/server.ts';
import { createFirst } from './first.ts';
import { createHash } from './hash.ts';
import { createLeastBusy } from './least-busy.ts';
import { createRandomTwo } from './random-two.ts';
import { createRoundRobin } from './round-robin.ts';

export interface Circumstances {
  /** Clock time, milliseconds. */
  readonly now: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** What comes back to its server by `hash`: the persistence key, else the client. */
  readonly key: string;
  /** Whom to take of those that are as good. */
  readonly prefer?: Server | undefined;
}

export interface Balance {
  /** What it goes by, for the reason of a choice. */
  readonly why: string;
  /** Picks one of `servers`, of which there is at least one. May remember whose turn it was. */
  pick(servers: readonly Server[], circumstances: Circumstances): Server;
  /** One that picks the same and whose turns are its own: to look ahead without doing anything. */
  fork(): Balance;
}

/** `urgent` is the balance of urgent work: strictly the least busy. */
export function createBalance(name: BalanceName | 'urgent'): Balance {
  return MAKERS[name]();
}

const MAKERS: Record<BalanceName | 'urgent', () => Balance> = {
  'least-busy': () => createLeastBusy(),
  urgent: () => createLeastBusy({ strict: true }),
  'round-robin': () => createRoundRobin(),
  hash: createHash,
  first: createFirst,
  'random-two': createRandomTwo,
};
