/**
 * The imaging orders of a message: how urgent each is, and by what its images will be known.
 *
 *     ORM^O01             {[ORC] {OBR}} [ZDS]               HL7 v2.5.1 chapter 4; ZDS is IHE's (RAD TF-2 4.4, RAD-4)
 *     OMG^O19  OML^O21…   {ORC [TQ1] OBR}
 *     OMI^O23             {ORC [TQ1] OBR {IPC}}
 *
 *     ORC-1      order control, table 0119         TQ1-9      priority, since v2.5
 *     ORC-5      order status, table 0038          ORC-7.6    priority, before; so is OBR-27.6
 *     IPC-1      accession number                  ZDS-1      Study Instance UID, a reference pointer
 *     IPC-3      Study Instance UID
 *
 * An order begins with an ORC, or with an OBR that has none of its own; what stands before the first OBR of an ORC is
 * for all of them. A single ZDS ends the message and is for all its orders. In a batch each MSH begins anew.
 */
import type { Message } from './cursor.ts';
import { type FieldPath, fieldPath } from './field-path.ts';
import { MSH, segmentCode } from './segments.ts';

/** urgent: STAT or ASAP. routine: another priority. withdrawn: cancelled, discontinued or replaced. */
export type Urgency = 'urgent' | 'routine' | 'withdrawn';

export interface Order {
  readonly urgency: Urgency;
  readonly accessions: readonly string[];
  /** Study Instance UIDs. */
  readonly studies: readonly string[];
}

/** Where the accession number is, the first that has a value, unless configured (contract, `hl7.accession`). */
export const ACCESSION: readonly FieldPath[] = ['IPC-1.1', 'OBR-18.1', 'OBR-3.1'].map(fieldPath);
/** TQ1 came with v2.5; before, the priority is a component of the order's or the request's timing. */
export const ORDER_PRIORITY: readonly FieldPath[] = ['TQ1-9.1', 'ORC-7.6', 'OBR-27.6'].map(fieldPath);

const ORDER_TYPES: ReadonlySet<string> = new Set(['ORM', 'OMG', 'OMI', 'OML']);
/** Table 0485; and the words, which many write instead. */
const URGENT: ReadonlySet<string> = new Set(['S', 'A', 'STAT', 'ASAP']);
/** Table 0119: cancelled, discontinued, replaced, asked for or done; not accepted. */
const WITHDRAWING: ReadonlySet<string> = new Set('CA OC CR DC OD DR RP RU RQ UA'.split(' '));
/** Table 0038: cancelled, discontinued, replaced. */
const WITHDRAWN: ReadonlySet<string> = new Set(['CA', 'DC', 'RP']);
/** Table 0119: results of earlier orders, which come along with a new one. */
const PREVIOUS = 'PR';

const ORC = segmentCode('ORC');
const OBR = segmentCode('OBR');
const MESSAGE_TYPE = fieldPath('MSH-9.1');
const ORDER_CONTROL = [fieldPath('ORC-1')];
const ORDER_STATUS = [fieldPath('ORC-5')];
const STUDY = ['IPC-3.1', 'ZDS-1.1'].map(fieldPath);
const STUDY_OF_ALL = [fieldPath('ZDS-1.1')];

/**
 * What is looked at of one message, so that none takes long: so many segments, of so many bytes, and so many repetitions
 * of a field. What is beyond is passed over.
 */
const MOST_SEGMENTS = 512;
const LONGEST_SEGMENT = 8192;
const MOST_REPETITIONS = 8;

/**
 * The orders of an order message (ORM, OMG, OMI, OML) that say how urgent they are, or that they are withdrawn; none of
 * any other. `accession`: where the accession number is.
 */
export function ordersIn(message: Message, accession: readonly FieldPath[] = ACCESSION): Order[] {
  if (!message.batch && !ORDER_TYPES.has(message.header(9, 1))) return [];
  const orders: Order[] = [];
  const paths = [...ORDER_CONTROL, ...ORDER_PRIORITY, ...STUDY, ...accession];
  const wanted = new Set(paths.map((path) => path.segmentCode));
  const reader = new OrderReader(message, accession);
  let isOfOrders = false;
  let count = 0;
  for (let at = message.firstSegment; at >= 0 && count < MOST_SEGMENTS; at = message.nextSegment(at)) {
    const code = message.segmentCode(at);
    if (code === MSH) {
      orders.push(...reader.end());
      isOfOrders = ORDER_TYPES.has(message.textsAt(at, MESSAGE_TYPE, 1)[0] ?? '');
    } else if (isOfOrders && wanted.has(code) && message.segmentEnd(at) - at <= LONGEST_SEGMENT) {
      count++;
      reader.add(at, code);
    }
  }
  orders.push(...reader.end());
  return orders;
}

/** Takes the segments of one message and makes orders of them. Segments are kept by where they begin. */
class OrderReader {
  readonly #message: Message;
  readonly #accession: readonly FieldPath[];
  /** Before the first order: what they have in common (PID, PV1). */
  #common: number[] = [];
  /** From the ORC to its first OBR. */
  #ofOrc: number[] = [];
  /** From the OBR on. */
  #ofObr: number[] = [];
  #orders: number[][] = [];

  constructor(message: Message, accession: readonly FieldPath[]) {
    this.#message = message;
    this.#accession = accession;
  }

  /** `code`: that of the segment. */
  add(at: number, code: number): void {
    if (code === ORC) {
      this.#endOrder();
      this.#ofOrc = [at];
    } else if (code === OBR) {
      if (this.#ofObr.length > 0) this.#orders.push([...this.#ofOrc, ...this.#ofObr]);
      this.#ofObr = [at];
    } else {
      const [common, ofOrc, ofObr] = [this.#common, this.#ofOrc, this.#ofObr];
      (ofObr.length > 0 ? ofObr : ofOrc.length > 0 ? ofOrc : common).push(at);
    }
  }

  /** The message is over: its orders. */
  end(): Order[] {
    this.#endOrder();
    const [orders, common] = [this.#orders, this.#common];
    this.#orders = [];
    this.#common = [];
    const all = [...new Set(orders.flat())];
    const ofAll = this.#texts(all, STUDY_OF_ALL);
    return orders.flatMap((segments) => this.#order(segments, common, ofAll.length === 1 ? ofAll : []));
  }

  #endOrder(): void {
    if (this.#ofOrc.length + this.#ofObr.length > 0) this.#orders.push([...this.#ofOrc, ...this.#ofObr]);
    this.#ofOrc = [];
    this.#ofObr = [];
  }

  #order(segments: readonly number[], common: readonly number[], ofAll: readonly string[]): Order[] {
    const urgency = this.#urgency(segments);
    if (!urgency) return [];
    const accessions = this.#texts([...segments, ...common], this.#accession);
    const studies = [...new Set([...this.#texts(segments, STUDY), ...ofAll])];
    return accessions.length + studies.length > 0 ? [{ urgency, accessions, studies }] : [];
  }

  #urgency(segments: readonly number[]): Urgency | undefined {
    const [control = ''] = this.#texts(segments, ORDER_CONTROL);
    if (control === PREVIOUS) return undefined;
    const [status = ''] = this.#texts(segments, ORDER_STATUS);
    if (WITHDRAWING.has(control) || WITHDRAWN.has(status)) return 'withdrawn';
    const priorities = this.#texts(segments, ORDER_PRIORITY);
    if (priorities.length === 0) return undefined;
    return priorities.some((priority) => URGENT.has(priority.toUpperCase())) ? 'urgent' : 'routine';
  }

  /** The values at the first of some paths that has any, in these segments. */
  #texts(segments: readonly number[], paths: readonly FieldPath[]): string[] {
    const message = this.#message;
    for (const path of paths) {
      const texts = segments
        .filter((at) => message.segmentCode(at) === path.segmentCode)
        .flatMap((at) => message.textsAt(at, path, MOST_REPETITIONS))
        .map((text) => text.trim())
        .filter((text) => text !== '' && text !== '""');
      if (texts.length > 0) return texts;
    }
    return [];
  }
}
