/**
 * What the checks of one server add up to: up or down, after `rise` good or `fall` bad results in a row. The first
 * result alone decides.
 */

export interface VerdictOptions {
  /** False: nobody checks (`check: none`), the server counts as up for ever. */
  readonly isChecked: boolean;
  /** So many good results in a row bring a server up. */
  readonly rise: number;
  /** So many bad results in a row take it down. */
  readonly fall: number;
  /** Down, not starting, until the first result. */
  readonly startDown: boolean;
}

export class Verdict {
  #isChecked: boolean;
  #rise: number;
  #fall: number;
  #state: 'starting' | 'up' | 'down';
  #decided = false;
  /** Results in a row that speak against the state. */
  #against = 0;

  constructor({ isChecked, rise, fall, startDown }: VerdictOptions) {
    this.#isChecked = isChecked;
    this.#rise = rise;
    this.#fall = fall;
    this.#state = !isChecked ? 'up' : startDown ? 'down' : 'starting';
  }

  get isChecked(): boolean {
    return this.#isChecked;
  }

  get fall(): number {
    return this.#fall;
  }

  /** A check or real traffic has spoken. */
  get isDecided(): boolean {
    return this.#decided;
  }

  get state(): 'starting' | 'up' | 'down' {
    return this.#state;
  }

  /** Some results speak against the state, not yet enough of them; or nothing is known yet. */
  get isInDoubt(): boolean {
    return this.#against > 0 || (this.#isChecked && !this.#decided);
  }

  /**
   * Counts by these from now on; what was found out stays until a check says otherwise, or nobody checks any more.
   * Returns true when checks have begun or ended.
   */
  reconfigure({ isChecked, rise, fall }: VerdictOptions): boolean {
    this.#rise = rise;
    this.#fall = fall;
    if (isChecked === this.#isChecked) return false;
    this.#isChecked = isChecked;
    this.#state = 'up';
    this.#decided = false;
    this.#against = 0;
    return true;
  }

  /** Takes a check's result in. Returns true when it came up after it had been down before. */
  result(good: boolean): boolean {
    const first = !this.#decided;
    this.#decided = true;
    const said = good ? 'up' : 'down';
    if (said === this.#state) {
      this.#against = 0;
      return false;
    }
    this.#against++;
    if (!first && this.#against < (good ? this.#rise : this.#fall)) return false;
    this.#state = said;
    this.#against = 0;
    return good && !first;
  }

  /** Real traffic has seen enough. */
  takeDown(): void {
    this.#decided = true;
    this.#state = 'down';
    this.#against = 0;
  }
}
