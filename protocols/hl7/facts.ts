/**
 * What an HL7 message says about itself, by the names of the contract: each is worked out when a rule asks for it.
 */
import type { Facts, FactValue } from '../facts.ts';
import type { Message } from './cursor.ts';
import { type FieldPath, fieldPath, parseFieldPath } from './field-path.ts';
import { ACCESSION, ORDER_PRIORITY } from './orders.ts';
import { type PatientRule, patientKey, type Resolve } from './patient.ts';
import { isHeader, MSH } from './segments.ts';

export interface MessageFactOptions {
  readonly patient?: PatientRule;
  /** Where the accession number is, the first that has a value. Default IPC-1, OBR-18, OBR-3.1. */
  readonly accession?: readonly FieldPath[];
}

const EVENT_TYPE_CODE = fieldPath('EVN-1');
const NAMESPACE = fieldPath('MSH-3[1].1');
const UNIVERSAL_ID = fieldPath('MSH-3[1].2');
/** What HL7 has for a field without a value (v2.5.1 2.5.3.4). */
const NULL = '""';

type Reader = (message: Message, options: MessageFactOptions, resolve: Resolve | undefined) => FactValue;

const READERS = new Map<string, Reader>([
  ['type', (message) => ofMsh(message, 9, 1)],
  // Before v2.2 only EVN-1 names the event.
  ['event', (message) => ofMsh(message, 9, 2) ?? message.text(EVENT_TYPE_CODE)],
  ['structure', (message) => ofMsh(message, 9, 3)],
  ['sendingApp', (message) => hierarchicDesignator(message, 3)],
  ['sendingApps', sendingApplications],
  ['sendingFacility', (message) => hierarchicDesignator(message, 4)],
  ['receivingApp', (message) => hierarchicDesignator(message, 5)],
  ['receivingFacility', (message) => hierarchicDesignator(message, 6)],
  ['controlId', (message) => valued(message.headerText(message.batch ? 11 : 10))],
  ['processingId', (message) => ofMsh(message, 11, 1)],
  ['version', (message) => ofMsh(message, 12, 1)],
  ['patient', (message, options, resolve) => patientFact(message, options.patient, resolve)],
  ['accession', (message, options) => firstOf(message, options.accession ?? ACCESSION)],
  ['orderPriority', (message) => firstOf(message, ORDER_PRIORITY)],
]);

/** Paths that rules asked for, read once. Names come from the configuration, so that they are few; the cap is for the rest. */
const PATHS = new Map<string, FieldPath | undefined>();
const MAX_PATHS = 1000;

/**
 * The facts of a message, with those that its connection gives (`client`, `port`, `vip`, `tlsSubject`, …). They are
 * read from the message's bytes whenever they are asked for: only while these are valid. A field's fact has every
 * value that it has in the message: all segments of its name, all repetitions. `resolve`: when keys of some patients
 * stand for those of others; the patient's own key and id are behind those then.
 */
export function messageFacts(
  message: Message,
  extra: Readonly<Record<string, FactValue>> = {},
  options: MessageFactOptions = {},
  resolve?: Resolve,
): Facts {
  return {
    get(name) {
      const reader = READERS.get(name);
      if (reader !== undefined) return reader(message, options, resolve);
      if (Object.hasOwn(extra, name)) return extra[name];
      const path = pathOf(name);
      return path && several(message.texts(path));
    },
  };
}

function pathOf(name: string): FieldPath | undefined {
  if (PATHS.has(name)) return PATHS.get(name);
  const parsed = parseFieldPath(name);
  const path = typeof parsed === 'string' ? undefined : parsed;
  if (PATHS.size < MAX_PATHS) PATHS.set(name, path);
  return path;
}

function valued(text: string): string | undefined {
  return text === '' ? undefined : text;
}

function several(texts: readonly string[]): FactValue {
  return texts.length > 1 ? texts : texts[0];
}

/** A component of MSH; in a batch, which begins with FHS or BHS, of its first message's. */
function ofMsh(message: Message, field: number, component: number): string | undefined {
  if (!message.batch) return valued(message.headerText(field, component));
  return message.text({ segment: 'MSH', segmentCode: MSH, field, repetition: 0, component, subcomponent: 0 });
}

/** HD (HL7 v2.5.1 chapter 2A): the namespace id, or the universal id where only that is given. */
function hierarchicDesignator(message: Message, number: number): string | undefined {
  return valued(message.headerText(number, 1)) ?? valued(message.headerText(number, 2));
}

/**
 * The sending application of each header in the frame: FHS-3, BHS-3, MSH-3. A batch may have one for each message, and so
 * may a frame with several messages that is none. One that names nobody is `""`.
 */
function sendingApplications(message: Message): readonly string[] {
  const found: string[] = [];
  for (let at = message.firstSegment; at >= 0; at = message.nextSegment(at)) {
    if (!isHeader(message.segmentCode(at))) continue;
    const [name = message.textsAt(at, UNIVERSAL_ID, 1)[0]] = message.textsAt(at, NAMESPACE, 1);
    found.push(name ?? NULL);
  }
  return found;
}

/** The patient's key and the bare id, so that a rule may name either; a persistence key is the first. */
function patientFact(message: Message, rule?: PatientRule, resolve?: Resolve): FactValue {
  const key = patientKey(message, rule);
  if (key === undefined) return undefined;
  const counts = resolve?.(key) ?? key;
  return several(counts === key ? withId(key) : [...withId(counts), ...withId(key)]);
}

function withId(key: string): readonly string[] {
  const end = key.indexOf('^');
  return end < 0 ? [key] : [key, key.slice(0, end)];
}

/** The values at the first of some paths that has any. */
function firstOf(message: Message, paths: readonly FieldPath[]): FactValue {
  for (const path of paths) {
    const texts = message.texts(path).filter((text) => text !== '""');
    if (texts.length > 0) return several(texts);
  }
  return undefined;
}
