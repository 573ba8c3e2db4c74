/**
 * One timer for all deadlines, so that a connection costs no timer of its own and restarting a deadline per chunk
 * costs one number written.
 *
 * A process that stood still - a virtual machine that is moved, a host that is busy - looks at its timers before its
 * sockets. So a deadline fires only when what had arrived by then was read: nobody is given up who answered in time.
 *
 * A wheel of slots, one a tick. A deadline lies in the slot of its due time, or in an earlier one: when its slot comes
 * and it is not due yet (it was restarted, or it lies beyond the wheel's horizon), it moves on to where it belongs.
 */

export interface Deadline {
  /** Never fires after this. */
  cancel(): void;
  /** Counts anew, from now, `ms` milliseconds (default: as before). Works on a fired or cancelled deadline too. */
  restart(ms?: number): void;
}

export interface Deadlines {
  /**
   * Calls `expire` once when `ms` milliseconds passed and what arrived in them was read: never early, and at most two
   * ticks (200 ms) late.
   */
  after(ms: number, expire: () => void): Deadline;
  /** Stops the timer; nothing fires any more. */
  close(): void;
}

export interface DeadlinesOptions {
  /** Milliseconds between two looks at the wheel. */
  readonly tickMs?: number;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** Slots of the wheel; its horizon is this many ticks (51 s at 100 ms). */
const SLOTS = 512;

class WheelDeadline implements Deadline {
  readonly wheel: Wheel;
  readonly expire: () => void;
  ms: number;
  /** Clock time at which it fires; Infinity when it is not armed. */
  due = Infinity;
  /** The tick whose slot it lies in; -1 when it lies in none. */
  tick = -1;
  previous: WheelDeadline | undefined;
  next: WheelDeadline | undefined;

  constructor(wheel: Wheel, ms: number, expire: () => void) {
    this.wheel = wheel;
    this.ms = ms;
    this.expire = expire;
  }

  cancel(): void {
    this.due = Infinity;
    this.wheel.remove(this);
  }

  restart(ms: number = this.ms): void {
    this.ms = ms;
    this.due = this.wheel.now() + ms;
    this.wheel.place(this);
  }
}

class Wheel implements Deadlines {
  readonly now: () => number;
  readonly #tickMs: number;
  readonly #slots: (WheelDeadline | undefined)[] = new Array(SLOTS).fill(undefined);
  #armed = 0;
  /** The last tick that was dealt with. */
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(tickMs: number, now: () => number) {
    this.#tickMs = tickMs;
    this.now = now;
  }

  after(ms: number, expire: () => void): Deadline {
    const deadline = new WheelDeadline(this, ms, expire);
    deadline.restart();
    return deadline;
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#slots.fill(undefined);
  }

  /** Makes sure that `deadline` lies in the slot of its due time or an earlier one. */
  place(deadline: WheelDeadline): void {
    if (this.#closed) return;
    if (this.#timer === undefined) this.#start();
    // The first tick at or after the due time, so that it never fires early.
    const tick = Math.max(Math.ceil(deadline.due / this.#tickMs), this.#tick + 1);
    if (deadline.tick !== -1) {
      if (deadline.tick <= tick) return;
      this.remove(deadline);
    }
    deadline.tick = Math.min(tick, this.#tick + SLOTS - 1);
    const slot = deadline.tick % SLOTS;
    const first = this.#slots[slot];
    deadline.next = first;
    if (first !== undefined) first.previous = deadline;
    this.#slots[slot] = deadline;
    this.#armed += 1;
  }

  remove(deadline: WheelDeadline): void {
    if (deadline.tick === -1) return;
    const { previous, next } = deadline;
    if (previous === undefined) this.#slots[deadline.tick % SLOTS] = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    deadline.previous = undefined;
    deadline.next = undefined;
    deadline.tick = -1;
    this.#armed -= 1;
  }

  #start(): void {
    this.#tick = Math.floor(this.now() / this.#tickMs);
    // Immediates come behind the sockets, in the same turn of the event loop.
    this.#timer = setInterval(() => setImmediate(() => this.#advance()), this.#tickMs);
    this.#timer.unref();
  }

  #advance(): void {
    const now = this.now();
    const current = Math.floor(now / this.#tickMs);
    // After a stall longer than the wheel every slot is looked at once.
    let tick = Math.max(this.#tick, current - SLOTS);
    while (tick < current && !this.#closed) {
      tick += 1;
      this.#tick = tick;
      this.#sweep(tick % SLOTS, now);
    }
    if (this.#armed === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  /**
   * Fires what is due in a slot and moves the rest on; `place` never chooses the slot being swept, so this ends.
   * Expiring code may cancel, restart and add what it likes.
   */
  #sweep(slot: number, now: number): void {
    for (let deadline = this.#slots[slot]; deadline !== undefined; deadline = this.#slots[slot]) {
      this.remove(deadline);
      if (deadline.due > now) {
        this.place(deadline);
      } else {
        deadline.due = Infinity;
        deadline.expire();
      }
    }
  }
}

/** Deadlines on one timer, which runs only while something is armed and never keeps the process alive. */
export function createDeadlines({
  tickMs = 100,
  now = () => performance.now(),
}: DeadlinesOptions = {}): Deadlines {
  return new Wheel(tickMs, now);
}
