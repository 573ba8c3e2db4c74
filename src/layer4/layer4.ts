/** Layer 4: VIPs whose packets the kernel forwards (DR, NAT, SNAT) by nftables rules that are kept up to date here. */
import { GantryError } from '../errors.ts';
import type { RunProgram } from './programs.ts';
import type { PersistenceEntry, ServerTraffic, Service, Target } from './service.ts';

export interface Layer4Options {
  /** How `nft` and `ip` are run; without it, as children of this process. */
  readonly run?: RunProgram;
}

export interface Layer4 {
  /**
   * Goes over to these services, all or nothing, in one transaction. Tables of a run before are adopted: no flow is cut.
   * Rejects with GTY_LAYER4 and a sentence (no nft, no privilege, an interface that is not there, a table of the same
   * name that is not ours, forwarding that is off, …); then nothing has changed.
   */
  apply(services: readonly Service[]): Promise<void>;
  /** New duties and weights of one service's servers, in one transaction; the latest when many come at once. */
  update(name: string, servers: readonly Target[]): Promise<void>;
  /** As of now, by the service's and the server's name. */
  traffic(): Promise<ReadonlyMap<string, ReadonlyMap<string, ServerTraffic>>>;
  /** The clients that a service remembers. */
  persistence(name: string): Promise<readonly PersistenceEntry[]>;
  /** Forgets a client (`key` as `persistence` shows it). false: there was none. */
  clearPersistence(name: string, key: string): Promise<boolean>;
  /** keep: the rules stay and go on; remove: every table of ours goes. */
  close(onStop: 'keep' | 'remove'): Promise<void>;
}

export function createLayer4(_options: Layer4Options = {}): Layer4 {
  const notYet = () => Promise.reject(new GantryError('GTY_LAYER4', 'layer 4 is not built yet'));
  return {
    apply: notYet,
    update: notYet,
    traffic: notYet,
    persistence: notYet,
    clearPersistence: notYet,
    close: notYet,
  };
}
