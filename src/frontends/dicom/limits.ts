/** How many associations a VIP has, in all, per calling AE title and per server, against what it may have. */

export interface LimitOptions {
  readonly associations: number | undefined;
  readonly perCalling: number | undefined;
  readonly perServer: number | undefined;
}

export class Limits {
  /** May be set anew: what is counted stays. */
  options: LimitOptions;
  readonly #perCalling = new Map<string, number>();
  #associations = 0;

  constructor(options: LimitOptions) {
    this.options = options;
  }

  /** Counts one more association of this calling AE title in, unless a limit is reached. */
  admit(callingAe: string): boolean {
    const { associations = Infinity, perCalling = Infinity } = this.options;
    const ofThisAe = this.#perCalling.get(callingAe) ?? 0;
    if (this.#associations >= associations || ofThisAe >= perCalling) return false;
    this.#associations++;
    this.#perCalling.set(callingAe, ofThisAe + 1);
    return true;
  }

  leave(callingAe: string): void {
    this.#associations--;
    const left = (this.#perCalling.get(callingAe) ?? 1) - 1;
    if (left > 0) this.#perCalling.set(callingAe, left);
    else this.#perCalling.delete(callingAe);
  }
}
