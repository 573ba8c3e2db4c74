/** Connections to a server that failed one after the other. */

/** More clients need not be told apart: by then the server has been taken down, or is the last one. */
const MOST_SUSPECTS = 100;

export class FailedDials {
  readonly #suspects = new Set<string>();
  #count = 0;

  /** How many speak against the server. */
  get count(): number {
    return this.#count;
  }

  /** `suspect`: a client that may be to blame for it as well as the server; each one counts once. */
  add(suspect: string | undefined): void {
    if (suspect === undefined) this.#count++;
    else if (!this.#suspects.has(suspect) && this.#suspects.size < MOST_SUSPECTS) {
      this.#suspects.add(suspect);
      this.#count++;
    }
  }

  /** The server is no longer in doubt, or it is down. */
  forget(): void {
    if (this.#count === 0) return;
    this.#count = 0;
    this.#suspects.clear();
  }
}
