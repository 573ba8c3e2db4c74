/**
 * Command sets: what a DIMSE message asks or answers. Always Implicit VR Little Endian (PS3.7 6.3.1), the elements of
 * group 0000 in ascending order (PS3.7 Annex E):
 *
 *     offset  length
 *          0       2  group, 0000H   } little endian
 *          2       2  element        }
 *          4       4  value length   }
 *          8          value, of even length
 */

import { trimmedText } from './items.ts';
import { invalid } from './pdu-fault.ts';
import { hex16 } from './status.ts';

/** Command field (0000,0100), requests: PS3.7 Table E.1-1. A response is its request with the highest bit set. */
export const COMMAND = {
  C_STORE: 0x0001,
  C_GET: 0x0010,
  C_FIND: 0x0020,
  C_MOVE: 0x0021,
  C_ECHO: 0x0030,
  N_EVENT_REPORT: 0x0100,
  N_GET: 0x0110,
  N_SET: 0x0120,
  N_ACTION: 0x0130,
  N_CREATE: 0x0140,
  N_DELETE: 0x0150,
  C_CANCEL: 0x0fff,
} as const;

export const RESPONSE_BIT = 0x8000;

/** Priority (0000,0700). */
export const PRIORITY = { MEDIUM: 0, HIGH: 1, LOW: 2 } as const;

/** Command data set type (0000,0800): this value is "no data set", every other one is "a data set follows". */
const NO_DATA_SET = 0x0101;
const DATA_SET = 0x0001;

export interface Command {
  readonly commandField: number;
  readonly messageId: number | undefined;
  readonly messageIdRespondedTo: number | undefined;
  readonly affectedSopClass: string | undefined;
  readonly requestedSopClass: string | undefined;
  readonly affectedSopInstance: string | undefined;
  readonly requestedSopInstance: string | undefined;
  readonly priority: number | undefined;
  readonly status: number | undefined;
  readonly moveDestination: string | undefined;
  readonly moveOriginatorAe: string | undefined;
  readonly moveOriginatorMessageId: number | undefined;
  readonly eventTypeId: number | undefined;
  readonly actionTypeId: number | undefined;
  readonly remainingSubOperations: number | undefined;
  readonly completedSubOperations: number | undefined;
  readonly failedSubOperations: number | undefined;
  readonly warningSubOperations: number | undefined;
  /** A data set follows the command. */
  readonly hasDataSet: boolean;
}

/** What is absent is not written. */
export type CommandToWrite = Partial<Command> &
  Pick<Command, 'commandField'> & {
    /** Why it went wrong, in ASCII: 64 characters of it are written. Never read: a peer's may carry patient data. */
    readonly errorComment?: string | undefined;
  };

export interface DecodeOptions {
  /**
   * Whoever acts on a command set, and hands it on, has to read in it what the next one reads: a group length that is
   * not the set's, values of odd length, elements that are not in ascending order or not of the group, and numbers of
   * other than two bytes are faults. Without it only what cannot be read at all is one.
   */
  readonly strict?: boolean;
}

type Vr = 'UI' | 'US' | 'AE' | 'LO';
type Name = Exclude<keyof Command, 'hasDataSet'> | 'dataSetType';
type Draft = { -readonly [Key in keyof Command]: Command[Key] } & { dataSetType: number | undefined };

interface CommandElement<ElementName> {
  readonly element: number;
  readonly name: ElementName;
  readonly vr: Vr;
}

/**
 * The elements that are read, in the order of their tags. Not among them: error comment and offending elements, which
 * may carry patient data.
 */
const ELEMENTS: readonly CommandElement<Name>[] = [
  { element: 0x0002, name: 'affectedSopClass', vr: 'UI' },
  { element: 0x0003, name: 'requestedSopClass', vr: 'UI' },
  { element: 0x0100, name: 'commandField', vr: 'US' },
  { element: 0x0110, name: 'messageId', vr: 'US' },
  { element: 0x0120, name: 'messageIdRespondedTo', vr: 'US' },
  { element: 0x0600, name: 'moveDestination', vr: 'AE' },
  { element: 0x0700, name: 'priority', vr: 'US' },
  { element: 0x0800, name: 'dataSetType', vr: 'US' },
  { element: 0x0900, name: 'status', vr: 'US' },
  { element: 0x1000, name: 'affectedSopInstance', vr: 'UI' },
  { element: 0x1001, name: 'requestedSopInstance', vr: 'UI' },
  { element: 0x1002, name: 'eventTypeId', vr: 'US' },
  { element: 0x1008, name: 'actionTypeId', vr: 'US' },
  { element: 0x1020, name: 'remainingSubOperations', vr: 'US' },
  { element: 0x1021, name: 'completedSubOperations', vr: 'US' },
  { element: 0x1022, name: 'failedSubOperations', vr: 'US' },
  { element: 0x1023, name: 'warningSubOperations', vr: 'US' },
  { element: 0x1030, name: 'moveOriginatorAe', vr: 'AE' },
  { element: 0x1031, name: 'moveOriginatorMessageId', vr: 'US' },
];

/** Those that are written, in the order of their tags. */
const WRITTEN: readonly CommandElement<Name | 'errorComment'>[] = [
  ...ELEMENTS,
  { element: 0x0902, name: 'errorComment', vr: 'LO' } as const,
].sort((one, other) => one.element - other.element);
/** Characters of an LO (PS3.5 Table 6.2-1). */
const LONGEST_COMMENT = 64;

const BY_ELEMENT = new Map(ELEMENTS.map((known) => [known.element, known]));
const ELEMENT_HEADER_LENGTH = 8;
const GROUP_LENGTH = 0x0000;

/** Reads a whole command set. Keeps nothing of `bytes`. Throws PduFault when it is malformed. */
export function decodeCommand(bytes: Buffer, options: DecodeOptions = {}): Command {
  if (options.strict) checkStrictly(bytes);
  const draft = emptyDraft();
  let field: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < ELEMENT_HEADER_LENGTH) throw invalid('an element of a command set is cut off');
    const value = at + ELEMENT_HEADER_LENGTH;
    const length = bytes.readUInt32LE(at + 4);
    if (length > bytes.length - value) throw invalid('an element of a command set is longer than the set');
    const known = bytes.readUInt16LE(at) === 0 ? BY_ELEMENT.get(bytes.readUInt16LE(at + 2)) : undefined;
    if (known?.vr === 'US') {
      if (length >= 2) draft[known.name as 'status'] = bytes.readUInt16LE(value);
      if (known.name === 'commandField') field = draft.commandField;
    } else if (known) {
      draft[known.name as 'moveDestination'] = trimmedText(bytes, value, value + length) || undefined;
    }
    at = value + length;
  }
  if (field === undefined) throw invalid('a command set has no command field');
  draft.hasDataSet = draft.dataSetType !== undefined && draft.dataSetType !== NO_DATA_SET;
  return draft;
}

/** Throws PduFault where the set breaks PS3.7 6.3.1 or Annex E; what decodeCommand finds is left to it. */
function checkStrictly(bytes: Buffer): void {
  let last = -1;
  for (let at = 0; bytes.length - at >= ELEMENT_HEADER_LENGTH; ) {
    const element = bytes.readUInt16LE(at + 2);
    const length = bytes.readUInt32LE(at + 4);
    const value = at + ELEMENT_HEADER_LENGTH;
    if (bytes.readUInt16LE(at) !== 0) throw invalid('a command set has an element of another group');
    if (element <= last) throw invalid('the elements of a command set are not in ascending order');
    if (length % 2 !== 0) throw invalid('an element of a command set has an odd length');
    if (length > bytes.length - value) return;
    if (
      element === GROUP_LENGTH &&
      !(length === 4 && bytes.readUInt32LE(value) === bytes.length - value - 4)
    ) {
      throw invalid('the group length of a command set is not its length');
    }
    // An optional one may be empty (PS3.5 7.4.5).
    if (BY_ELEMENT.get(element)?.vr === 'US' && length !== 2 && length !== 0) {
      throw invalid('a number in a command set has not two bytes');
    }
    last = element;
    at = value + length;
  }
}

/** A whole command set, group length included. */
export function encodeCommand(command: CommandToWrite): Buffer {
  const values = {
    ...command,
    errorComment: command.errorComment?.slice(0, LONGEST_COMMENT),
    dataSetType: command.hasDataSet ? DATA_SET : NO_DATA_SET,
  };
  const parts: Buffer[] = [];
  for (const { element, name, vr } of WRITTEN) {
    const value = values[name];
    if (typeof value === 'number') parts.push(encodeElement(element, uint16(value)));
    else if (value !== undefined) parts.push(encodeElement(element, paddedText(value, vr)));
  }
  const elements = Buffer.concat(parts);
  const groupLength = Buffer.alloc(4);
  groupLength.writeUInt32LE(elements.length);
  return Buffer.concat([encodeElement(GROUP_LENGTH, groupLength), elements]);
}

export function isResponse(commandField: number): boolean {
  return (commandField & RESPONSE_BIT) !== 0;
}

const OPERATIONS: ReadonlyMap<number, string> = new Map(
  Object.entries(COMMAND).map(([name, field]) => [field, name.replaceAll('_', '-')]),
);

/** The operation that a command field belongs to, request or response: `C-STORE`; undefined when there is none. */
export function operationName(commandField: number): string | undefined {
  return OPERATIONS.get(commandField & ~RESPONSE_BIT);
}

/** `C-STORE-RQ`, `C-STORE-RSP`, or `command NNNNH` for one that the standard does not have. */
export function commandName(commandField: number): string {
  const operation = operationName(commandField);
  if (operation === undefined) return `command ${hex16(commandField)}H`;
  return `${operation}-${isResponse(commandField) ? 'RSP' : 'RQ'}`;
}

function emptyDraft(): Draft {
  return {
    commandField: 0,
    messageId: undefined,
    messageIdRespondedTo: undefined,
    affectedSopClass: undefined,
    requestedSopClass: undefined,
    affectedSopInstance: undefined,
    requestedSopInstance: undefined,
    priority: undefined,
    status: undefined,
    moveDestination: undefined,
    moveOriginatorAe: undefined,
    moveOriginatorMessageId: undefined,
    eventTypeId: undefined,
    actionTypeId: undefined,
    remainingSubOperations: undefined,
    completedSubOperations: undefined,
    failedSubOperations: undefined,
    warningSubOperations: undefined,
    hasDataSet: false,
    dataSetType: undefined,
  };
}

function encodeElement(element: number, value: Buffer): Buffer {
  const header = Buffer.alloc(ELEMENT_HEADER_LENGTH);
  header.writeUInt16LE(element, 2);
  header.writeUInt32LE(value.length, 4);
  return Buffer.concat([header, value]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

/** To an even length: UIDs with a NUL, the rest with a space (PS3.5 6.2). */
function paddedText(text: string, vr: Vr): Buffer {
  return Buffer.from(text.length % 2 === 0 ? text : text + (vr === 'UI' ? '\0' : ' '), 'latin1');
}
