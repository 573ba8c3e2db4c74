/**
 * Whose message it is: the keys by which messages are kept in order.
 *
 *     PID-3  patient identifier list, CX repeating (HL7 v2.5.1 chapters 3 and 2A)
 *            CX.1 id  CX.4 assigning authority  CX.5 identifier type code (MR, PI, …)
 *     MRG-1  prior patient identifier list, CX repeating
 *     MRG-2  prior alternate patient id   MRG-3  prior patient account number
 *     MRG-4  prior patient id             MRG-5  prior visit number
 *
 * A key is `CX.1^CX.4` as the bytes stand, one character a byte. Keys are made for comparing, not for showing: they
 * are patient data.
 */
import type { Message } from './cursor.ts';
import { latin1, partStart, seek } from './parts.ts';
import { BHS, FHS, MSH, segmentCode } from './segments.ts';

/** Which repetition of PID-3 names the patient. */
export interface PatientRule {
  /** The first repetition whose CX.5 is one of these, else the first that has an id. Default MR, PI. */
  readonly types?: readonly string[];
  /** This repetition, counted from 1, whatever its type. */
  readonly repetition?: number;
}

/** The key that counts instead of this one, or this one. */
export type Resolve = (key: string) => string;
/** Finds all that a key stands for, one after another: who counts now first, the key itself last. */
export type Chain = (key: string) => readonly string[];

/** How a message is to be kept in order. */
export interface Ordering {
  /**
   * Messages that share a key go one after another. Empty only when `wholeVip`. The first is the patient's own key; one
   * that stands for another key comes behind that.
   */
  readonly keys: string[];
  /** The message waits for all work on its keys, and all work on its keys waits for it: several patients take part. */
  readonly barrier: boolean;
  /** A barrier over everything of its VIP: a batch, or patients that cannot be read. */
  readonly wholeVip: boolean;
}

const PID = segmentCode('PID');
const MRG = segmentCode('MRG');
const PID_FIELDS = [3];
const MRG_FIELDS = [1, 2, 3, 4, 5];
const USUAL_TYPES = ['MR', 'PI'];
/** A message of more patients than this is a barrier over the whole VIP. */
const MAX_KEYS = 256;

/** No field contains a CR, so no patient's key begins like this. */
const SENDER_MARK = '\rsender ';
const BLANK = 0x20;
const TO_BE_DELETED = '""';
const WHOLE_VIP: Ordering = Object.freeze({ keys: [], barrier: true, wholeVip: true });

/**
 * The patient's key: that of the first PID segment, or undefined when the message names no patient.
 */
export function patientKey(message: Message, rule: PatientRule = {}): string | undefined {
  const at = message.findSegment(PID);
  return at < 0 ? undefined : patientKeyAt(message, at, rule);
}

/** The key of the patient of the PID segment at `at`; undefined when it names none. */
export function patientKeyAt(message: Message, at: number, rule: PatientRule): string | undefined {
  return keyIn(message, message.fieldStart(at, 3), rule);
}

/** The keys of all ids in field `number` of the segment at `at`: CX, repeating. */
export function identifierKeys(message: Message, at: number, number: number): string[] {
  return keysIn(message, message.fieldStart(at, number));
}

/** Who sends: MSH-3 and MSH-4, as `application^facility`, one character a byte. */
export function senderOf(message: Message): string {
  return `${message.header(3)}^${message.header(4)}`;
}

/** The key of a message without a patient. No patient's key begins like it. */
export function senderKey(message: Message): string {
  return `${SENDER_MARK}${senderOf(message)}`;
}

/** Is it the key of a sender, because its message names no patient? */
export function isSenderKey(key: string): boolean {
  return key.startsWith(SENDER_MARK);
}

/**
 * By which keys a message is kept in order, in one pass over its segments. `chain`: when some keys stand for others; then a
 * message has them all, so that it also keeps its order with those that came when this was not so.
 */
export function orderingOf(message: Message, rule: PatientRule = {}, chain?: Chain): Ordering {
  if (message.problem !== undefined || message.batch) return WHOLE_VIP;
  let patient = -1;
  let several = false;
  for (let at = message.nextSegment(message.firstSegment); at >= 0; at = message.nextSegment(at)) {
    const code = message.segmentCode(at);
    if (code === PID) {
      if (patient < 0) patient = at;
      else several = true;
    } else if (code === MRG) several = true;
    // Several messages in one frame: a batch that nobody says is one.
    else if (code === MSH || code === BHS || code === FHS) return WHOLE_VIP;
  }
  if (several) return barrierOf(message, rule, chain);
  const key = patient < 0 ? undefined : patientKeyAt(message, patient, rule);
  const keys = key !== undefined && chain ? [...chain(key)] : [key ?? senderKey(message)];
  return { keys, barrier: false, wholeVip: false };
}

/** Several patients: every id of each, whatever its type, because the messages to wait for may go by any of them. */
function barrierOf(message: Message, rule: PatientRule, chain: Chain = (key) => [key]): Ordering {
  const keys = new Set<string>();
  const add = (key: string) => {
    for (const one of chain(key)) keys.add(one);
  };
  const own = patientKey(message, rule);
  if (own !== undefined) add(own);
  const authority = own?.includes('^') ? own.slice(own.indexOf('^')) : '';
  for (let at = message.firstSegment; at >= 0; at = message.nextSegment(at)) {
    const code = message.segmentCode(at);
    if (code !== PID && code !== MRG) continue;
    let readable = false;
    for (const number of code === PID ? PID_FIELDS : MRG_FIELDS) {
      for (const key of identifierKeys(message, at, number)) {
        readable = true;
        add(key);
        // A prior id often comes without the authority that the surviving one has.
        if (code === MRG && !key.includes('^')) add(key + authority);
      }
    }
    if (!readable || keys.size > MAX_KEYS) return WHOLE_VIP;
  }
  return { keys: [...keys], barrier: true, wholeVip: false };
}

/** The key of the repetition that the rule means, in the field that begins at `start`. */
function keyIn(message: Message, start: number, rule: PatientRule): string | undefined {
  if (start < 0) return undefined;
  const { layout, repetitionSeparator } = message;
  const end = message.fieldEnd(start);
  if (rule.repetition !== undefined) {
    const from = partStart(layout, repetitionSeparator, rule.repetition, start, end);
    return from < 0 ? undefined : keyOf(message, from, seek(layout, repetitionSeparator, from, end));
  }
  const types = rule.types ?? USUAL_TYPES;
  let first: string | undefined;
  for (let from = start; from <= end; ) {
    const to = seek(layout, repetitionSeparator, from, end);
    const key = keyOf(message, from, to);
    if (key !== undefined && types.includes(component(message, 5, from, to))) return key;
    first ??= key;
    from = to + 1;
  }
  return first;
}

/** The keys of all repetitions of the field that begins at `start`. */
function keysIn(message: Message, start: number): string[] {
  const keys: string[] = [];
  if (start < 0) return keys;
  const end = message.fieldEnd(start);
  for (let from = start; from <= end && keys.length <= MAX_KEYS; ) {
    const to = seek(message.layout, message.repetitionSeparator, from, end);
    const key = keyOf(message, from, to);
    if (key !== undefined) keys.push(key);
    from = to + 1;
  }
  return keys;
}

/** The key of the CX from `from` to `to`; undefined when it has no id. */
function keyOf(message: Message, from: number, to: number): string | undefined {
  const id = component(message, 1, from, to);
  if (id === '' || id === TO_BE_DELETED) return undefined;
  const authority = component(message, 4, from, to);
  return authority === '' || authority === TO_BE_DELETED ? id : `${id}^${authority}`;
}

function component(message: Message, number: number, from: number, to: number): string {
  const { bytes, layout, componentSeparator } = message;
  let start = partStart(layout, componentSeparator, number, from, to);
  if (start < 0) return '';
  let end = seek(layout, componentSeparator, start, to);
  while (start < end && bytes[start] === BLANK) start++;
  while (start < end && bytes[end - 1] === BLANK) end--;
  return latin1(bytes, start, end);
}
