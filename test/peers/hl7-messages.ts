/** Invented HL7 v2 messages for tests. Nobody in them exists. */

export interface MessageOptions {
  readonly controlId: string;
  readonly type?: string;
  readonly event?: string;
  /** PID-3.1; its assigning authority is HOSP, its type MR. `null`: no PID segment. */
  readonly patient?: string | null;
  readonly sendingApp?: string;
  readonly sendingFacility?: string;
  /** MSH-15 and MSH-16: enhanced mode. */
  readonly acceptAcknowledgement?: string;
  readonly applicationAcknowledgement?: string;
  /** Segments behind PID, without their CR. */
  readonly segments?: readonly string[];
  /** The message becomes at least this long, by a ZZZ segment at its end. */
  readonly length?: number;
}

export function hl7Message(options: MessageOptions): Buffer {
  const { controlId, type = 'ADT', event = 'A01', patient = 'INV0001', length = 0 } = options;
  const header = [
    'MSH|^~\\&',
    options.sendingApp ?? 'TESTAPP',
    options.sendingFacility ?? 'TESTFAC',
    'RIS|HOSPITAL|20260101120000|',
    `${type}^${event}`,
    controlId,
    'P|2.5.1||',
    options.acceptAcknowledgement ?? '',
    options.applicationAcknowledgement ?? '',
  ].join('|');
  const segments = [header, `EVN|${event}|20260101120000`];
  if (patient !== null) segments.push(`PID|1||${patient}^^^HOSP^MR||INVENTED^PERSON^^^||19000101|O`);
  segments.push(...(options.segments ?? []));
  let text = `${segments.join('\r')}\r`;
  if (text.length < length) text += `ZZZ|${'x'.repeat(Math.max(0, length - text.length - 5))}\r`;
  return Buffer.from(text, 'latin1');
}

/** `count` messages of about `length` bytes over `patients` patients in turn; control ids `${prefix}1`, `${prefix}2`, … */
export function hl7Messages(count: number, patients: number, prefix = 'M', length = 0): Buffer[] {
  return Array.from({ length: count }, (_, index) =>
    hl7Message({
      controlId: `${prefix}${index + 1}`,
      patient: `INV${String((index % patients) + 1).padStart(4, '0')}`,
      length,
    }),
  );
}

/** The field `number` of the first segment `segment` (`MSH`, 10 is the control id); '' when there is none. */
export function fieldOf(message: Buffer, segment: string, number: number): string {
  const text = message.toString('latin1');
  const separator = text[text.indexOf('MSH') + 3] ?? '|';
  const line = text
    .split(/[\r\n]+/)
    // Blanks or a byte order mark may stand before the first.
    .find((one) => one.includes(segment) && one.replace(/^[^A-Z]+/, '').startsWith(segment));
  return line?.split(separator)[segment === 'MSH' ? number - 1 : number] ?? '';
}

/** An acknowledgement of `message`: MSA-1 `code`, MSA-2 its control id or `controlId`. */
export function acknowledgementOf(
  message: Buffer,
  code = 'AA',
  controlId = fieldOf(message, 'MSH', 10),
): Buffer {
  const application = fieldOf(message, 'MSH', 3);
  const facility = fieldOf(message, 'MSH', 4);
  return Buffer.from(
    `MSH|^~\\&|TESTRECEIVER|TEST|${application}|${facility}|20260101120001||ACK|A${controlId}|P|2.5.1\r` +
      `MSA|${code}|${controlId}\r`,
    'latin1',
  );
}
