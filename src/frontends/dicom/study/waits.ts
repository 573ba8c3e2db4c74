/** The operations of one association that wait for a server, and how long they may. */
import type { Exhausted } from '../../../director/director.ts';
import type { Operation } from './operation.ts';
import type { PlacementHost, PlacementSettings } from './placement-options.ts';

/** Nobody took it, and nobody is known to be better: asked again after so many milliseconds. */
const PAUSE_MS = 500;

export class Waits {
  readonly #host: PlacementHost;
  readonly #settings: PlacementSettings;
  /** In the wait queue. */
  readonly #queued = new Set<Operation>();

  constructor(host: PlacementHost, settings: PlacementSettings) {
    this.#host = host;
    this.#settings = settings;
  }

  /** One of them waits for a slot. */
  get areForSlots(): boolean {
    return this.#queued.size > 0;
  }

  /** Has it wait, where that is worth while: `tryAgain` or `waitIsOver` of it follows. */
  enter(operation: Operation, exhausted: Exhausted | undefined): boolean {
    const { deadlines, wait } = this.#settings;
    if (exhausted === 'full') {
      this.#queued.add(operation);
      return this.#host.wait(operation);
    }
    if (exhausted !== 'all-tried') return false;
    operation.pauses++;
    if (operation.pauses * PAUSE_MS > wait) return false;
    deadlines.after(PAUSE_MS, () => operation.tryAgain());
    return true;
  }

  leave(operation: Operation): void {
    this.#queued.delete(operation);
    this.#host.waitNoMore(operation);
  }
}
