/**
 * Where the answers of applications go that a sender asked for (MSH-16) and does not wait for: in store mode its
 * connection has its commit acknowledgement, and may be long gone (HL7 v2.5.1 2.9.3.2: the answer is a message of its own).
 */
import { Pool } from '../../pools/pool.ts';
import type { Endpoint } from '../../relay/channel.ts';
import type { OutboundOptions } from './outbound.ts';
import { Target, type TargetListener } from './target.ts';

export class ReturnAddresses {
  readonly #listener: TargetListener;
  readonly #outbound: () => OutboundOptions;
  readonly #targets = new Map<string, Target>();

  constructor(listener: TargetListener, outbound: () => OutboundOptions) {
    this.#listener = listener;
    this.#outbound = outbound;
  }

  of(to: Endpoint): Target {
    const name = `${to.host}:${to.port}`;
    const known = this.#targets.get(name);
    if (known) return known;
    const outbound = this.#outbound();
    const server = { name, ...to, ae: undefined, weight: 1, maxConnections: undefined, backup: false };
    const health = { isChecked: false, rise: 1, fall: 1, startDown: false };
    const pool = new Pool({ name, balance: 'first', servers: [server], health, now: outbound.now });
    const target = new Target(pool.servers[0]!, to, { pool, most: 1, outbound }, this.#listener);
    this.#targets.set(name, target);
    return target;
  }

  close(): void {
    for (const target of this.#targets.values()) target.close();
    this.#targets.clear();
  }
}
