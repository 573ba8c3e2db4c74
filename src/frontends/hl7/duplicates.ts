/**
 * Repetitions. A sender that heard no answer sends its message again, as it was (HL7 v2.5.1 2.9.2, 2.9.3): then the
 * sender (MSH-3, MSH-4), the control id (MSH-10) and all other bytes are the same, and a server must not get it twice.
 *
 *     the same bytes, and the first is in flight       both get its answer
 *     the same bytes, and the first was accepted       its answer again
 *     the same bytes, and the first was not            a new message
 *     the same sender and control id, other bytes      a new message; somebody uses control ids twice
 *     no control id                                    a new message, always
 */
import { hash } from 'node:crypto';
import { LatestMessages } from './latest-messages.ts';

/**
 * SHA-256 of a message as it came, one character a byte. Two messages must never count as one, since the second would
 * be lost: so it is a hash for which nobody finds two.
 */
export type Fingerprint = string;

export function fingerprintOf(content: Buffer): Fingerprint {
  return hash('sha256', content, 'binary');
}

export interface DuplicatesSettings {
  /** Milliseconds for which repetitions are recognised; 0: never. */
  readonly ms: number;
  /** Messages remembered, at most. */
  readonly entries: number;
}

/** What is known of a message that comes. */
export type Sight<InFlight> =
  /** It is not in the table; with `changed`, another one of its control id is. By `number` say what becomes of it. */
  | { readonly kind: 'new' | 'changed'; readonly number: number }
  | { readonly kind: 'in flight'; readonly first: InFlight }
  /** As the sender of the first got it. */
  | { readonly kind: 'answered'; readonly answer: Buffer }
  /** It was stored by the process before this one. */
  | { readonly kind: 'stored' };

export class Duplicates<InFlight> {
  readonly #now: () => number;
  #settings: DuplicatesSettings;
  #latest: LatestMessages<InFlight>;
  /** Messages that the process before this one stored, and until when that counts. */
  readonly #stored = new Map<Fingerprint, number>();
  #storedUntil = 0;

  constructor(settings: DuplicatesSettings, now: () => number) {
    this.#settings = settings;
    this.#now = now;
    this.#latest = new LatestMessages(this.isOn ? settings.entries : 0, 0);
  }

  /** False: there is nothing to be seen, and no fingerprint to be made. */
  get isOn(): boolean {
    return this.#settings.ms > 0;
  }

  /** With another number of entries it begins anew. */
  reconfigure(settings: DuplicatesSettings): void {
    this.#settings = settings;
    const entries = this.isOn ? settings.entries : 0;
    if (entries !== this.#latest.entries) this.#latest = new LatestMessages(entries, this.#latest.next);
    if (!this.isOn) this.#stored.clear();
  }

  /** A message of `source` (MSH-3, MSH-4) came. Undefined: it has no control id, and nothing is known of it. */
  see(
    source: string,
    controlId: string,
    fingerprint: Fingerprint,
    first: InFlight,
  ): Sight<InFlight> | undefined {
    if (controlId === '') return undefined;
    const latest = this.#latest;
    const now = this.#now();
    if (this.#stored.size > 0 && this.#wasStored(fingerprint, now)) return { kind: 'stored' };
    const before = latest.find(source, controlId, now - this.#settings.ms);
    const isSame = before !== undefined && latest.fingerprint(before) === fingerprint;
    if (isSame) {
      const inFlight = latest.first(before);
      if (inFlight !== undefined) return { kind: 'in flight', first: inFlight };
      const answer = latest.answer(before);
      if (answer) return { kind: 'answered', answer };
    }
    const number = latest.add(fingerprint, now, first);
    return { kind: before !== undefined && !isSame ? 'changed' : 'new', number };
  }

  /** The message was accepted with this answer, which is copied. */
  accepted(number: number, answer: Buffer): void {
    this.#latest.decide(number, answer);
  }

  /** It was refused, or not delivered: when it comes again, it is a new message. */
  forget(number: number): void {
    this.#latest.decide(number, undefined);
  }

  /** A message with this fingerprint, one byte a character, was stored `age` milliseconds ago. */
  recall(fingerprint: Uint8Array, age: number): void {
    const until = this.#now() + this.#settings.ms - age;
    this.#stored.set(Buffer.from(fingerprint).toString('latin1'), until);
    this.#storedUntil = Math.max(this.#storedUntil, until);
  }

  #wasStored(fingerprint: Fingerprint, now: number): boolean {
    if (now >= this.#storedUntil) this.#stored.clear();
    const until = this.#stored.get(fingerprint);
    return until !== undefined && now < until;
  }
}
