/**
 * What an HL7 message says about itself, by the names of the contract: each is worked out when a rule asks for it.
 */
import type { Facts, FactValue } from '../facts.ts';
import type { Message } from './cursor.ts';
import { type FieldPath, fieldPath, parseFieldPath } from './field-path.ts';
import { ACCESSION, ORDER_PRIORITY } from './orders.ts';
import { type PatientRule, patientKey } from './patient.ts';
import { MSH } from './segments.ts';

export interface MessageFactOptions {
  readonly patient?: PatientRule;
  /** Where the accession number is, the first that has a value. Default IPC-1, OBR-18, OBR-3.1. */
  readonly accession?: readonly FieldPath[];
}

const EVENT_TYPE_CODE = fieldPath('EVN-1');

type Reader = (message: Message, options: MessageFactOptions) => FactValue;

const READERS = new Map<string, Reader>([
  ['type', (message) => ofMsh(message, 9, 1)],
  // Before v2.2 only EVN-1 names the event.
  ['event', (message) => ofMsh(message, 9, 2) ?? message.text(EVENT_TYPE_CODE)],
  ['structure', (message) => ofMsh(message, 9, 3)],
  ['sendingApp', (message) => hierarchicDesignator(message, 3)],
  ['sendingFacility', (message) => hierarchicDesignator(message, 4)],
  ['receivingApp', (message) => hierarchicDesignator(message, 5)],
  ['receivingFacility', (message) => hierarchicDesignator(message, 6)],
  ['controlId', (message) => valued(message.headerText(message.batch ? 11 : 10))],
  ['processingId', (message) => ofMsh(message, 11, 1)],
  ['version', (message) => ofMsh(message, 12, 1)],
  ['patient', (message, options) => patientFact(message, options.patient)],
  ['accession', (message, options) => firstOf(message, options.accession ?? ACCESSION)],
  ['orderPriority', (message) => firstOf(message, ORDER_PRIORITY)],
]);

/** Paths that rules asked for, read once. Names come from the configuration, so that they are few; the cap is for the rest. */
const PATHS = new Map<string, FieldPath | undefined>();
const MAX_PATHS = 1000;

/**
 * The facts of a message, with those that its connection gives (`client`, `port`, `vip`, `tlsSubject`, …). They are
 * read from the message's bytes whenever they are asked for: only while these are valid. A field's fact has every
 * value that it has in the message: all segments of its name, all repetitions.
 */
export function messageFacts(
  message: Message,
  extra: Readonly<Record<string, FactValue>> = {},
  options: MessageFactOptions = {},
): Facts {
  return {
    get(name) {
      const reader = READERS.get(name);
      if (reader !== undefined) return reader(message, options);
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

/** The patient's key and the bare id, so that a rule may name either; a persistence key is the first. */
function patientFact(message: Message, rule?: PatientRule): FactValue {
  const key = patientKey(message, rule);
  const end = key?.indexOf('^') ?? -1;
  return key === undefined || end < 0 ? key : [key, key.slice(0, end)];
}

/** The values at the first of some paths that has any. */
function firstOf(message: Message, paths: readonly FieldPath[]): FactValue {
  for (const path of paths) {
    const texts = message.texts(path).filter((text) => text !== '""');
    if (texts.length > 0) return several(texts);
  }
  return undefined;
}
