/**
 * The invented message that both HL7 generators know: its control id and its patient number are digits at fixed
 * places, so that neither side has to read it.
 */

const DIGITS = 10;
const SEGMENTS = [
  `MSH|^~\\&|BENCH|WARD|RIS|HOSPITAL|20260101120000||ADT^A08^ADT_A01|${'0'.repeat(DIGITS)}|P|2.5.1`,
  'EVN|A08|20260101120000',
  'PID|1||INV00000^^^HOSP^MR||INVENTED^PERSON^^^||19000101|O|||1 NO STREET^^NOWHERE^^00000',
  'PV1|1|I|WARD^1^1^HOSP||||0001^INVENTED^DOCTOR|||MED||||1|||0001^INVENTED^DOCTOR|IP',
];

/** A message of `length` bytes in its MLLP frame. */
export function benchFrame(length: number): Buffer {
  const text = `${SEGMENTS.join('\r')}\r`;
  const filler = `OBX|1|TX|||${'x'.repeat(length - text.length - 12)}\r`;
  return Buffer.from(`\x0b${text}${filler}\x1c\r`, 'latin1');
}

/** Where MSH-10 begins in the frame, and how long it is. */
export const CONTROL_ID = { at: 1 + SEGMENTS[0]!.indexOf('0'.repeat(DIGITS)), length: DIGITS } as const;
/** Where the patient's number begins in the frame, and how long it is. */
export const PATIENT = {
  at: 1 + SEGMENTS.slice(0, 2).join('\r').length + 1 + SEGMENTS[2]!.indexOf('00000'),
  length: 5,
} as const;

const ANSWER = `\x0bMSH|^~\\&|RIS|HOSPITAL|BENCH|WARD|20260101120000||ACK^A08^ACK|1|P|2.5.1\rMSA|AA|${'0'.repeat(DIGITS)}\r\x1c\r`;

/** The answer in its frame. */
export const ANSWER_FRAME = Buffer.from(ANSWER, 'latin1');
/** Where MSA-2 begins in the answer's frame. */
export const ANSWERED_ID_AT = ANSWER.indexOf('MSA|AA|') + 7;

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
