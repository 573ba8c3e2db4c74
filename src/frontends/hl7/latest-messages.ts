/**
 * The latest messages, for those who look for repetitions. Made for fifty thousand a second: typed arrays, of which the
 * garbage collector knows nothing (with objects in a Map it is four times as dear).
 *
 *     place       0      1      2      3         Messages are numbered, and each takes the place of the oldest.
 *     number      8      5      6      7         Those whose keys fall together are a chain, the latest first: each
 *     earlier     6      2      -      4         has the number of the one before. A number that is too old ends the
 *                                                chain, so that nothing is ever taken out: here 8, 6 and 7 | 5.
 */
import { randomInt } from 'node:crypto';
import { AnswerRing } from './answer-ring.ts';
import type { Fingerprint } from './duplicates.ts';

const FINGERPRINT_BYTES = 32;
/** Bytes. A message whose answer is longer is not remembered. */
const LONGEST_ANSWER = 4096;
/** Bytes of answers that are kept, for each entry: acknowledgements have 100 to 200. */
const ANSWER_BYTES = 256;
const MOST_ANSWER_BYTES = 64 * 1024 * 1024;

export class LatestMessages<InFlight> {
  readonly entries: number;
  /** The number of the message that is added next: 32 bits, as all of them, so that in the end they begin anew. */
  next: number;
  readonly #seed = randomInt(2 ** 32) | 0;
  /** By the key's hash: the latest number of the chain. */
  readonly #chains: Int32Array;
  // By place, a power of two of them.
  readonly #earlier: Int32Array;
  readonly #keys: Int32Array;
  readonly #times: Float64Array;
  readonly #fingerprints: Buffer;
  readonly #first: (InFlight | undefined)[];
  readonly #answerAt: Float64Array;
  readonly #answerLength: Int32Array;
  readonly #answers: AnswerRing;
  /** The key that was looked for last. */
  #key = 0;
  #otherKey = 0;

  /** `start`: the next number of the table before. All that it gave are too old for this one. */
  constructor(entries: number, start: number) {
    const places = 2 ** Math.ceil(Math.log2(entries + 1));
    this.entries = entries;
    this.next = (start + entries) | 0;
    this.#chains = new Int32Array(places).fill(start - 1);
    this.#earlier = new Int32Array(places);
    this.#keys = new Int32Array(2 * places);
    this.#times = new Float64Array(places);
    this.#fingerprints = Buffer.alloc(FINGERPRINT_BYTES * places);
    this.#first = new Array<InFlight | undefined>(places).fill(undefined);
    this.#answerAt = new Float64Array(places);
    this.#answerLength = new Int32Array(places);
    const answerBytes = Math.min(ANSWER_BYTES * entries, MOST_ANSWER_BYTES);
    this.#answers = new AnswerRing(Math.max(answerBytes, LONGEST_ANSWER));
  }

  /** The latest message with this key that came after `since`; undefined: there is none. */
  find(source: string, controlId: string, since: number): number | undefined {
    this.#key = this.#seed;
    this.#otherKey = ~this.#seed;
    this.#mix(source);
    this.#mix(controlId);
    const keys = this.#keys;
    let number = this.#chains[this.#key & (this.#chains.length - 1)]!;
    while (this.#has(number)) {
      const place = this.#placeOf(number);
      if (this.#times[place]! <= since) return undefined;
      if (keys[2 * place] === this.#key && keys[2 * place + 1] === this.#otherKey) return number;
      number = this.#earlier[place]!;
    }
    return undefined;
  }

  /** Adds a message with the key that was looked for last. */
  add(fingerprint: Fingerprint, now: number, first: InFlight): number {
    const number = this.next;
    this.next = (number + 1) | 0;
    const place = this.#placeOf(number);
    const chain = this.#key & (this.#chains.length - 1);
    this.#earlier[place] = this.#chains[chain]!;
    this.#chains[chain] = number;
    this.#keys[2 * place] = this.#key;
    this.#keys[2 * place + 1] = this.#otherKey;
    this.#times[place] = now;
    this.#fingerprints.write(fingerprint, FINGERPRINT_BYTES * place, 'latin1');
    this.#first[place] = first;
    this.#answerLength[place] = -1;
    return number;
  }

  decide(number: number, answer: Buffer | undefined): void {
    if (!this.#has(number)) return;
    const place = this.#placeOf(number);
    this.#first[place] = undefined;
    if (!answer || answer.length > LONGEST_ANSWER) return;
    this.#answerAt[place] = this.#answers.put(answer);
    this.#answerLength[place] = answer.length;
  }

  fingerprint(number: number): Fingerprint {
    const start = FINGERPRINT_BYTES * this.#placeOf(number);
    return this.#fingerprints.toString('latin1', start, start + FINGERPRINT_BYTES);
  }

  first(number: number): InFlight | undefined {
    return this.#first[this.#placeOf(number)];
  }

  answer(number: number): Buffer | undefined {
    const place = this.#placeOf(number);
    const length = this.#answerLength[place]!;
    return length < 0 ? undefined : this.#answers.get(this.#answerAt[place]!, length);
  }

  #placeOf(number: number): number {
    return number & (this.#earlier.length - 1);
  }

  /** Is it not older than the table remembers? */
  #has(number: number): boolean {
    return (this.next - 1 - number) >>> 0 < this.entries;
  }

  /** Both parts of the key depend on every character, and in another way each time the process runs. */
  #mix(text: string): void {
    let key = this.#key;
    let otherKey = this.#otherKey;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      key = Math.imul(key ^ code, 0x5bd1e995);
      key ^= key >>> 15;
      otherKey = Math.imul(otherKey ^ code, 0x27d4eb2d);
      otherKey ^= otherKey >>> 13;
    }
    this.#key = key;
    this.#otherKey = otherKey;
  }
}
