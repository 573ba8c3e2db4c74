/**
 * The memory of messages on their way: chunks that are used again, and how many of them may be kept for replay. What is
 * beyond the budget still passes, but can be sent only once.
 */

export const CHUNK_LENGTH = 256 * 1024;

/** Free chunks that are kept for later, 16 MiB. */
const MOST_FREE = 64;

const free: Buffer[] = [];

/** Memory of `CHUNK_LENGTH` bytes, with old bytes in it. */
export function takeChunk(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_LENGTH);
}

/** Nobody reads or writes it any more. */
export function giveChunk(chunk: Buffer): void {
  if (free.length < MOST_FREE) free.push(chunk);
}

export interface ReplayLimits {
  /** Bytes of one instance. */
  readonly perInstance: number;
  /** Bytes of all instances of the VIP. */
  readonly total: number;
}

/** How many bytes the messages of one VIP keep until their response. */
export class ReplayBudget {
  /** May be set anew: what is kept stays. */
  limits: ReplayLimits;
  #kept = 0;

  constructor(limits: ReplayLimits) {
    this.limits = limits;
  }

  get kept(): number {
    return this.#kept;
  }

  /** May a message that keeps `already` bytes keep `more`? */
  take(already: number, more: number): boolean {
    const { perInstance, total } = this.limits;
    if (already + more > Math.max(perInstance, CHUNK_LENGTH) || this.#kept + more > total) return false;
    this.#kept += more;
    return true;
  }

  give(bytes: number): void {
    this.#kept -= bytes;
  }
}
