/**
 * Turns by weight, smoothly: with weights 2 and 1, A B A rather than A A B. Each time everybody gains its weight, the
 * one with the most is picked, and pays what all gained together. Who takes part may differ from time to time.
 */
import type { Server } from '../../pools/server.ts';

export class Turns {
  readonly #credit: Map<Server, number>;

  constructor(credit: ReadonlyMap<Server, number> = new Map()) {
    this.#credit = new Map(credit);
  }

  /** Servers whose turns are counted. */
  get size(): number {
    return this.#credit.size;
  }

  /**
   * Picks one of `servers` (at least one); `weightOf` gives numbers above 0. `prefer` is picked out of its turn, unless
   * somebody has waited for a whole round.
   */
  pick(servers: readonly Server[], weightOf: (server: Server) => number, prefer?: Server): Server {
    let picked = servers[0]!;
    let most = -Infinity;
    let gained = 0;
    for (const server of servers) {
      const weight = weightOf(server);
      const credit = (this.#credit.get(server) ?? 0) + weight;
      this.#credit.set(server, credit);
      gained += weight;
      if (credit > most) {
        most = credit;
        picked = server;
      }
    }
    if (prefer && servers.includes(prefer) && most - this.#credit.get(prefer)! < gained) picked = prefer;
    this.#credit.set(picked, this.#credit.get(picked)! - gained);
    if (this.#credit.size > servers.length) this.#forget();
    return picked;
  }

  /** Servers that are gone for good. */
  #forget(): void {
    for (const server of this.#credit.keys()) if (server.isRetired) this.#credit.delete(server);
  }

  fork(): Turns {
    return new Turns(this.#credit);
  }
}
