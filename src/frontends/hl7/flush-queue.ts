/**
 * Whoever has bytes to write says so, and is asked for them once, when everything that arrived in this turn of the
 * event loop has been read: many frames for one socket become one system call.
 */

export interface Flushable {
  flush(): void;
}

export class FlushQueue {
  #asked: Flushable[] = [];
  #spare: Flushable[] = [];

  /** `writer` has something to write. Callers see to it that they ask once at a time. */
  add(writer: Flushable): void {
    if (this.#asked.push(writer) === 1) setImmediate(this.#run);
  }

  readonly #run = (): void => {
    const asked = this.#asked;
    this.#asked = this.#spare;
    for (const writer of asked) writer.flush();
    asked.length = 0;
    this.#spare = asked;
  };
}
