/**
 * Acknowledgements: reading a server's, matching it to its message, and building our own.
 *
 *     MSH  as the message's, sender and receiver exchanged, MSH-9 ACK          HL7 v2.5.1 chapter 2
 *     MSA  MSA-1 acknowledgement code, MSA-2 the message's MSH-10, MSA-3 text
 *     ERR  from v2.5: ERR-2 where, ERR-3 what (table 0357), ERR-4 severity
 *          before:    ERR-1 where and what                                     HL7 v2.3.1 chapter 2
 */
import { type Message, type MessageProblem, openMessage } from './cursor.ts';
import { type FieldPath, fieldPath } from './field-path.ts';
import { segmentCode } from './segments.ts';
import { type Delimiters, escapeText, USUAL_DELIMITERS } from './text.ts';

/** HL7 table 0008: application accept, error, reject; commit accept, error, reject. */
const CODES = ['AA', 'AE', 'AR', 'CA', 'CE', 'CR'] as const;

export type AcknowledgementCode = (typeof CODES)[number];

const BY_TEXT: ReadonlyMap<string, AcknowledgementCode> = new Map(CODES.map((code) => [code, code]));

/** A server's answer. */
export interface Acknowledgement {
  /** MSA-1; undefined when the server wrote something that is not in the table. */
  readonly code: AcknowledgementCode | undefined;
  /** MSA-2: MSH-10 of the message it answers, one character a byte, blanks around it removed. */
  readonly controlId: string;
}

const MSA = segmentCode('MSA');
const SFT = segmentCode('SFT');
const UAC = segmentCode('UAC');

/** Reads an answer; undefined when it is none: not HL7, or without MSA. Keeps nothing of `bytes`. */
export function readAcknowledgement(bytes: Buffer): Acknowledgement | undefined {
  return acknowledgementIn(openMessage(bytes));
}

/** As `readAcknowledgement`, of a message that is already open: what a sender sent may be an answer too. */
export function acknowledgementIn(message: Message): Acknowledgement | undefined {
  const at = message.findSegment(MSA);
  if (at < 0) return undefined;
  const written = message.fieldLatin1(at, 1);
  return {
    code: BY_TEXT.get(written) ?? BY_TEXT.get(written.trim().toUpperCase()),
    controlId: message.fieldLatin1(at, 2).trim(),
  };
}

/** Is the message itself an answer? MSA follows MSH, behind SFT and UAC (HL7 v2.5.1 2.14.1). */
export function isAcknowledgement(message: Message): boolean {
  if (message.problem !== undefined || message.batch) return false;
  let at = message.nextSegment(message.firstSegment);
  while (at >= 0 && (message.segmentCode(at) === SFT || message.segmentCode(at) === UAC)) {
    at = message.nextSegment(at);
  }
  return (at >= 0 && message.segmentCode(at) === MSA) || message.header(9, 1) === 'ACK';
}

/** AA or CA. */
export function isPositive(code: string | undefined): boolean {
  return code === 'AA' || code === 'CA';
}

/** CA, CE or CR: the answer of the receiving side, not yet of its application. */
export function isCommit(code: AcknowledgementCode | undefined): boolean {
  return code === 'CA' || code === 'CE' || code === 'CR';
}

/** AA, AE or AR: the answer of the application. */
export function isOfApplication(code: string | undefined): boolean {
  return code === 'AA' || code === 'AE' || code === 'AR';
}

/** How an answer is known to belong to the message in flight (`hl7.ackMatch`). */
export type AcknowledgementMatch = 'strict' | 'prefix20' | 'position';

/**
 * Does the answer belong to the message whose MSH-10 is `controlId` (as `message.header(10)` gives it)?
 * `strict`: MSA-2 is MSH-10. `prefix20`: or its first 20 characters. `position`: always, for receivers that leave
 * MSA-2 empty; only with one message outstanding.
 */
export function matches(answer: Acknowledgement, controlId: string, mode: AcknowledgementMatch): boolean {
  if (mode === 'position') return true;
  const wanted = controlId.trim();
  return (
    answer.controlId === wanted || (mode === 'prefix20' && answer.controlId === wanted.slice(0, 20).trim())
  );
}

/** HL7 table 0155: when an answer is wanted - always, never, on error or reject, on success. */
export type AcknowledgementCondition = 'AL' | 'NE' | 'ER' | 'SU';

/** Which answers the sender wants (HL7 v2.5.1 2.9.2, 2.9.3). */
export interface AcknowledgementMode {
  /** MSH-15 or MSH-16 has a value. Otherwise one answer, AA, AE or AR: as if accept were NE and application AL. */
  readonly enhanced: boolean;
  /** MSH-15: CA, CE, CR. */
  readonly accept: AcknowledgementCondition;
  /** MSH-16: AA, AE, AR. */
  readonly application: AcknowledgementCondition;
}

const ORIGINAL: AcknowledgementMode = Object.freeze({ enhanced: false, accept: 'NE', application: 'AL' });

export function acknowledgementMode(message: Message): AcknowledgementMode {
  const accept = message.header(15).trim();
  const application = message.header(16).trim();
  if (accept === '' && application === '') return ORIGINAL;
  return { enhanced: true, accept: condition(accept), application: condition(application) };
}

/** Is an answer that says yes, or no, sent under this condition? */
export function isSent(when: AcknowledgementCondition, positive: boolean): boolean {
  return when === 'AL' || (when === 'SU' && positive) || (when === 'ER' && !positive);
}

/** A value that the table does not have is taken as AL: better to wait for an answer than to miss it. */
function condition(text: string): AcknowledgementCondition {
  if (text === '') return 'NE';
  return text === 'NE' || text === 'ER' || text === 'SU' ? text : 'AL';
}

/** HL7 table 0357, message error condition codes. */
export const ERROR_CONDITIONS = {
  100: 'Segment sequence error',
  101: 'Required field missing',
  102: 'Data type error',
  103: 'Table value not found',
  200: 'Unsupported message type',
  201: 'Unsupported event code',
  202: 'Unsupported processing id',
  203: 'Unsupported version id',
  204: 'Unknown key identifier',
  205: 'Duplicate key identifier',
  206: 'Application record locked',
  207: 'Application internal error',
} as const;

export type ErrorCondition = keyof typeof ERROR_CONDITIONS;

/** What to say in ERR about a message that cannot be read. */
export const PROBLEM_ERRORS: Readonly<Record<MessageProblem, AnswerError>> = {
  'no MSH segment': { condition: 100 },
  'MSH-1 is not a delimiter': { condition: 102, field: fieldPath('MSH-1') },
  'MSH-2 is not a row of delimiters': { condition: 102, field: fieldPath('MSH-2') },
  'MSH is too long': { condition: 102 },
};

export interface Answer {
  readonly code: AcknowledgementCode;
  /** MSA-3: a sentence without patient data; cut to 80 characters. */
  readonly text?: string;
  /** Without it there is no ERR segment. */
  readonly error?: AnswerError;
}

/** What is wrong and, when it is a field, where. */
export interface AnswerError {
  readonly condition: ErrorCondition;
  readonly field?: FieldPath;
}

const LONGEST_TEXT = 80;
const USUAL_VERSION = '2.5';

/**
 * Builds our own answer to `message`, with its delimiters, version, processing id and character set, CR after each
 * segment; MSH-10 and MSA-2 are its MSH-10 (in a batch, its batch control id). To a message that cannot be read it is
 * a general answer with an empty MSA-2. `clock` gives milliseconds since 1970.
 */
export function buildAcknowledgement(message: Message, answer: Answer, clock: () => number): Buffer {
  const delimiters = message.problem === undefined ? message : USUAL_DELIMITERS;
  const separator = String.fromCharCode(delimiters.fieldSeparator);
  const component = String.fromCharCode(delimiters.componentSeparator);
  const version = (message.batch ? '' : message.header(12, 1)) || USUAL_VERSION;
  const controlId = message.header(message.batch ? 11 : 10);
  const time = timestamp(clock());

  const event = message.batch ? '' : message.header(9, 2);
  const type = [
    'ACK',
    ...(event === '' ? [] : [event]),
    ...(event !== '' && atLeast(version, '2.3.1') ? ['ACK'] : []),
  ];
  const own = (number: number) => (message.batch ? '' : message.header(number));

  // MSH-1 is the separator itself: element n of `header` is MSH-(n + 1).
  const header = ['MSH', message.header(2) || '^~\\&', message.header(5), message.header(6)];
  header.push(
    message.header(3),
    message.header(4),
    time,
    '',
    type.join(component),
    controlId || `G${time.slice(0, 14)}`,
  );
  header.push(own(11) || 'P', own(12) || USUAL_VERSION);
  const characterSet = own(18);
  if (characterSet !== '') header.push('', '', '', '', '', characterSet);

  const segments = [header, ['MSA', answer.code, controlId]];
  if (answer.text !== undefined) segments[1]!.push(shortened(answer.text, delimiters));
  if (answer.error !== undefined) segments.push(errorSegment(answer.error, version, delimiters));
  return Buffer.from(segments.map((fields) => `${fields.join(separator)}\r`).join(''), 'latin1');
}

function errorSegment({ condition, field }: AnswerError, version: string, delimiters: Delimiters): string[] {
  const component = String.fromCharCode(delimiters.componentSeparator);
  const coded = [String(condition), escapeText(ERROR_CONDITIONS[condition], delimiters), 'HL70357'];
  const where = field === undefined ? [] : [field.segment, '1', String(field.field)];
  if (atLeast(version, '2.5')) {
    if (field !== undefined && (field.repetition || field.component) > 0)
      where.push(String(field.repetition || 1));
    if (field !== undefined && field.component > 0) where.push(String(field.component));
    return ['ERR', '', where.join(component), coded.join(component), 'E'];
  }
  // ELD: the code is its fourth component, a CE whose parts are sub-components.
  const { subcomponentSeparator } = delimiters;
  const code = subcomponentSeparator < 0 ? coded[0]! : coded.join(String.fromCharCode(subcomponentSeparator));
  return ['ERR', [where[0] ?? '', where[1] ?? '', where[2] ?? '', code].join(component)];
}

/** MSA-3: printable ASCII, delimiters escaped, 80 characters at most. */
function shortened(text: string, delimiters: Delimiters): string {
  let kept = text.replace(/[^ -~]/g, ' ').slice(0, LONGEST_TEXT);
  let escaped = escapeText(kept, delimiters);
  while (escaped.length > LONGEST_TEXT) {
    kept = kept.slice(0, -1);
    escaped = escapeText(kept, delimiters);
  }
  return escaped;
}

/** TS, HL7 v2.5.1 chapter 2A: `YYYYMMDDHHMMSS+ZZZZ`. */
export function timestamp(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace(/[-T:]/g, '')}+0000`;
}

/** Compares versions by their numbers: 2.3.1 is before 2.5. */
function atLeast(version: string, least: string): boolean {
  const numbers = version.split('.').map(Number);
  for (const [i, wanted] of least.split('.').map(Number).entries()) {
    const number = numbers[i] ?? 0;
    if (number !== wanted) return number > wanted;
  }
  return true;
}
