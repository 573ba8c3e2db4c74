/**
 * The messages that are on their way on one connection, in the order in which they are written: one, or several where
 * the server allows that. A streamed message and a batch go alone: the one may break off, the other may be answered by a
 * batch that names nobody (HL7 v2.5.1 2.10.3.4).
 */
import {
  type Acknowledgement,
  type AcknowledgementMatch,
  matches,
} from '../../../protocols/hl7/acknowledgement.ts';
import type { Delivery } from './delivery.ts';
import { Flight, type FlightHost } from './flight.ts';
import type { OutboundOptions } from './outbound.ts';

export class Flights {
  /** So many at once. */
  readonly most: number;
  readonly #host: FlightHost;
  readonly #match: AcknowledgementMatch;
  /** In release 2 nothing new is sent before what was sent is committed. */
  readonly #mustCommit: boolean;
  #aloft: Flight[] = [];
  /** Free to be used again. */
  readonly #landed: Flight[] = [];
  /** MSH-10 of the messages that were answered last. */
  readonly #answered: string[] = [];
  #answeredAt = 0;

  constructor(host: FlightHost, { ackMatch, pipeline = 1, release2 = false }: OutboundOptions) {
    this.#host = host;
    this.#match = ackMatch;
    this.#mustCommit = release2;
    // What is matched by its position must be the only one.
    this.most = ackMatch === 'position' ? 1 : pipeline;
  }

  get length(): number {
    return this.#aloft.length;
  }

  /** The one that was sent first. */
  get first(): Flight | undefined {
    return this.#aloft[0];
  }

  /** The one that was sent first of those that the server surely has. */
  get firstWhole(): Flight | undefined {
    return this.#aloft.find(({ written }) => written === 'whole');
  }

  /** The one whose commit acknowledgement is awaited, in release 2. */
  get uncommitted(): Flight | undefined {
    return this.#aloft.find(({ delivery }) => !delivery!.committed);
  }

  /** Clock time by which the next answer must be there. */
  get due(): number {
    let due = Infinity;
    for (const flight of this.#aloft) if (flight.due < due) due = flight.due;
    return due;
  }

  at(index: number): Flight {
    return this.#aloft[index]!;
  }

  /** May this message go now? Its answer must not be taken for that of another which is on its way. */
  takes(delivery: Delivery): boolean {
    const { length } = this.#aloft;
    if (length === 0) return true;
    if (length >= this.most || goesAlone(delivery)) return false;
    const key = answerKey(delivery.controlId, this.#match);
    return this.#aloft.every(
      ({ delivery: other }) =>
        !goesAlone(other!) &&
        answerKey(other!.controlId, this.#match) !== key &&
        (!this.#mustCommit || other!.committed),
    );
  }

  add(): Flight {
    const flight = this.#landed.pop() ?? new Flight(this.#host);
    this.#aloft.push(flight);
    return flight;
  }

  of(delivery: Delivery): Flight | undefined {
    return this.#aloft.find((flight) => flight.delivery === delivery);
  }

  overdue(now: number): Flight | undefined {
    return this.#aloft.find(({ due }) => due <= now);
  }

  /** The message that the server can have, and that `answer` belongs to. */
  answeredBy(answer: Acknowledgement | undefined): Flight | undefined {
    for (const flight of this.#aloft) {
      if (flight.isHandedOver && this.#belongs(answer, flight.delivery!)) return flight;
    }
    return undefined;
  }

  /** It is done. */
  remove(flight: Flight): void {
    if (this.#aloft.length === 1) this.#aloft.pop();
    else this.#aloft.splice(this.#aloft.indexOf(flight), 1);
    // What is not whole is still being written from its buffer.
    if (flight.written === 'whole') this.#landed.push(flight);
  }

  removeAll(): Flight[] {
    const all = this.#aloft;
    this.#aloft = [];
    return all;
  }

  /** Does the answer name this message? */
  isAbout(answer: Acknowledgement | undefined, { controlId }: Delivery): boolean {
    return (
      answer !== undefined && answerKey(answer.controlId, this.#match) === answerKey(controlId, this.#match)
    );
  }

  /** Remembers the last of them, as many as may be on their way. */
  wasAnswered({ controlId }: Delivery): void {
    this.#answered[this.#answeredAt] = answerKey(controlId, this.#match);
    this.#answeredAt = (this.#answeredAt + 1) % this.most;
  }

  /** Does it answer once more what was answered a moment ago? */
  isAnsweredAlready({ controlId }: Acknowledgement): boolean {
    return this.#answered.includes(answerKey(controlId, this.#match));
  }

  #belongs(answer: Acknowledgement | undefined, { batch, controlId }: Delivery): boolean {
    // The answer to a batch may be a batch without a single MSA: all is well (HL7 v2.5.1 2.10.3.4).
    if (batch) return true;
    if (answer === undefined || !matches(answer, controlId, this.#match)) return false;
    // By its position too an answer belongs to nobody when it names who was answered a moment ago.
    const named = answer.controlId;
    return (
      this.#match !== 'position' || named === '' || named === controlId || !this.isAnsweredAlready(answer)
    );
  }
}

/** What an answer has in common with the message it belongs to, and with no other. */
export function answerKey(controlId: string, match: AcknowledgementMatch): string {
  return match === 'prefix20' ? controlId.slice(0, 20).trim() : controlId;
}

/** Nothing else may be on its way on the same connection. */
function goesAlone({ stream, batch }: Delivery): boolean {
  return batch || stream !== undefined;
}

/** Why an answer belongs to none of them. */
export function mismatch(answer: Acknowledgement | undefined): string {
  if (!answer) return 'the server answered without MSA';
  return answer.controlId === '' ? 'the answer has no MSA-2' : 'MSA-2 of the answer is not the MSH-10';
}
