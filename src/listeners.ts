/**
 * The listeners of the balancer, by address. They outlive the configurations: an address that the next one has too
 * keeps its socket, whichever VIP it belongs to then.
 */
import type { ListenAddress } from './config/schema.ts';
import { type Listener, listen } from './relay/listen.ts';

interface Vip {
  readonly name: string;
  readonly listen: readonly ListenAddress[];
}

interface Bound {
  readonly listener: Listener;
  /** The VIP it belongs to. */
  readonly vip: string;
}

/** The listeners of a configuration that is not in force yet. */
export interface Binding {
  of(vip: string): readonly Listener[];
  /** It is in force: closes those that it does not have. */
  commit(): void;
  /** It will not be: closes those that were bound for it. */
  rollback(): void;
}

export class Listeners {
  #bound: ReadonlyMap<string, Bound> = new Map();

  /** Binds what is not bound yet; rejects with GTY_LISTEN, and then nothing has changed. */
  async bind(vips: readonly Vip[]): Promise<Binding> {
    const before = this.#bound;
    const all = new Map<string, Bound>();
    const fresh: Listener[] = [];
    const rollback = () => {
      for (const listener of fresh) void listener.close();
    };
    try {
      for (const vip of vips) {
        for (const [index, address] of vip.listen.entries()) {
          const key = keyOf(vip.name, index, address);
          const kept = before.get(key);
          const listener = kept?.listener ?? (await listen(address));
          if (!kept) fresh.push(listener);
          // The VIP before may have closed it for a while.
          else if (kept.vip !== vip.name) await listener.resume();
          all.set(key, { listener, vip: vip.name });
        }
      }
    } catch (error) {
      rollback();
      throw error;
    }
    return {
      of: (name) => {
        const vip = vips.find((one) => one.name === name)!;
        return vip.listen.map((address, index) => all.get(keyOf(name, index, address))!.listener);
      },
      commit: () => {
        this.#bound = all;
        for (const [key, { listener }] of before) if (!all.has(key)) void listener.close();
      },
      rollback,
    };
  }
}

/** A port that the system chose stays with its place in its VIP. */
function keyOf(vip: string, index: number, { host, port }: ListenAddress): string {
  return port === 0 ? `${vip} ${index} ${host}` : `${host} ${port}`;
}
