/** Pieces of all bodies that are on their way to the disk: so many may be, whoever has more waits. */

/** 8 MiB: half of them in the transaction that the disk works on, half in the next one. */
const MOST_UNDER_WAY = 32;

export class Traffic {
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  get isJammed(): boolean {
    return this.#underWay >= MOST_UNDER_WAY;
  }

  /** A piece sets out. */
  depart(): void {
    this.#underWay++;
  }

  /** A piece arrived, or was lost. */
  arrived(): void {
    this.#underWay--;
    while (!this.isJammed && this.#waiting.length > 0) this.#waiting.shift()!();
  }

  /** `goOn` is called once, in turn, when there is room. */
  wait(goOn: () => void): void {
    this.#waiting.push(goOn);
  }
}
