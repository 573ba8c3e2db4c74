/**
 * `least-busy` at layer 4: the kernel spreads by weights alone, so those of servers with more traffic than their part
 * are lowered and those of servers with less are raised, by what the counters say.
 */
import type { ServerTraffic } from './layer4/service.ts';

/** Part of a new rate in the moving average. */
const SMOOTHING = 1 / 4;
/** A share moves in steps of factors of two, so that the schedule is not rewritten for every breath. */
const STEPS = [0.25, 0.5, 1, 2, 4] as const;
/** Bytes a millisecond of a whole pool below which nobody is busy. */
const QUIET = 100;
/** How far, in steps, the measured share has to be from the one in force before that is changed. */
const HYSTERESIS = 0.75;

interface Known {
  bytes: number;
  at: number;
  /** Moving average, bytes a millisecond. */
  rate: number;
  /** Index of the share in force. */
  step: number;
}

export class ServerShares {
  readonly #known = new Map<string, Known>();

  /** What a server's weight is multiplied by. */
  of(name: string): number {
    return STEPS[this.#known.get(name)?.step ?? 2]!;
  }

  /** The servers of one pool, with their weights, and what was counted of them at `now`, in milliseconds. */
  counted(
    servers: readonly { readonly name: string; readonly weight: number; readonly traffic: ServerTraffic }[],
    now: number,
  ): void {
    for (const { name, traffic } of servers) this.#rate(name, traffic.bytes, now);
    const loads = servers
      .filter(({ weight }) => weight > 0)
      .map(({ name, weight }) => ({
        known: this.#known.get(name)!,
        load: this.#known.get(name)!.rate / weight,
      }));
    const mean = loads.reduce((sum, { load }) => sum + load, 0) / loads.length;
    const isQuiet = loads.reduce((sum, { known }) => sum + known.rate, 0) < QUIET;
    for (const { known, load } of loads) {
      const wanted = isQuiet ? 2 : 2 + Math.log2(load === 0 ? STEPS[4] : mean / load);
      if (Math.abs(wanted - known.step) > HYSTERESIS)
        known.step = Math.max(0, Math.min(4, Math.round(wanted)));
    }
  }

  #rate(name: string, bytes: number, now: number): void {
    const known = this.#known.get(name);
    if (!known) {
      this.#known.set(name, { bytes, at: now, rate: 0, step: 2 });
      return;
    }
    if (now <= known.at) return;
    // A table that was made anew counts from 0.
    const rate = Math.max(0, bytes - known.bytes) / (now - known.at);
    known.rate += (rate - known.rate) * SMOOTHING;
    known.bytes = bytes;
    known.at = now;
  }
}
