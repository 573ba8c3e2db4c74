/**
 * The invented message that both HL7 generators know: its control id and its patient number are digits at fixed
 * places, so that neither side has to read it. In enhanced mode it asks for a commit acknowledgement and nothing else
 * (MSH-15 AL, MSH-16 NE).
 */

const DIGITS = 10;
const ENHANCED = '|||AL|NE';
const SEGMENTS = [
  `MSH|^~\\&|BENCH|WARD|RIS|HOSPITAL|20260101120000||ADT^A08^ADT_A01|${'0'.repeat(DIGITS)}|P|2.5.1`,
  'EVN|A08|20260101120000',
  'PID|1||INV00000^^^HOSP^MR||INVENTED^PERSON^^^||19000101|O|||1 NO STREET^^NOWHERE^^00000',
  'PV1|1|I|WARD^1^1^HOSP||||0001^INVENTED^DOCTOR|||MED||||1|||0001^INVENTED^DOCTOR|IP',
];

export type Mode = 'original' | 'enhanced';

/** A message of `length` bytes in its MLLP frame. */
export function benchFrame(length: number, mode: Mode = 'original'): Buffer {
  const text = `${segmentsOf(mode).join('\r')}\r`;
  const filler = `OBX|1|TX|||${'x'.repeat(length - text.length - 12)}\r`;
  return Buffer.from(`\x0b${text}${filler}\x1c\r`, 'latin1');
}

function segmentsOf(mode: Mode): string[] {
  const [header, ...others] = SEGMENTS;
  return [mode === 'enhanced' ? `${header}${ENHANCED}` : header!, ...others];
}

/** Where MSH-10 begins in the frame, and how long it is. */
export const CONTROL_ID = { at: 1 + SEGMENTS[0]!.indexOf('0'.repeat(DIGITS)), length: DIGITS } as const;
/** Where the patient's number begins in the frame, and how long it is. */
export function patientIn(mode: Mode): { readonly at: number; readonly length: number } {
  const [header, event, patient] = segmentsOf(mode);
  return { at: 1 + `${header}\r${event}\r`.length + patient!.indexOf('00000'), length: 5 };
}

const ANSWER = `\x0bMSH|^~\\&|RIS|HOSPITAL|BENCH|WARD|20260101120000||ACK^A08^ACK|1|P|2.5.1\rMSA|AA|${'0'.repeat(DIGITS)}\r\x1c\r`;

/** The receiver's answer in its frame. */
export const ANSWER_FRAME = Buffer.from(ANSWER, 'latin1');
/** Where MSA-2 begins in the answer's frame. */
export const ANSWERED_ID_AT = ANSWER.indexOf('MSA|AA|') + 7;
/** What comes before MSA-2 in any answer: MSA, and a code of two letters. */
export const ACKNOWLEDGED = Buffer.from('\rMSA|');

/** Writes `value` as `length` digits at `at`. */
export function writeDigits(bytes: Buffer, at: number, length: number, value: number): void {
  let rest = value;
  for (let place = at + length - 1; place >= at; place -= 1) {
    bytes[place] = 0x30 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

export function readDigits(bytes: Buffer, at: number, length: number): number {
  let value = 0;
  for (let place = at; place < at + length; place += 1) value = value * 10 + bytes[place]! - 0x30;
  return value;
}
