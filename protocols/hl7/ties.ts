/**
 * What ties a message to others, beside its patient (HL7 v2.5.1 2.10).
 *
 *     MSH-13  sequence number: the message is one of a stream "between two applications", whose receiver has stored the
 *             number of the last one (2.10.1): MSH-3 to MSH-6 name the stream
 *     DSC-1   continuation pointer: the message is a fragment, the next one follows (2.10.2); DSC is the last segment
 *     MSH-14  the same pointer, in the fragment that follows
 *     DSC-2   continuation style: I is the continuation of a query (chapter 5), no fragment (table 0398)
 *
 *     MSH|…|123|     …|DSC|p1        MSH|…|124|p1 …|DSC|p2        MSH|…|125|p2 …
 */
import type { Message } from './cursor.ts';
import { segmentCode } from './segments.ts';

/** Keys, for comparing and not for showing: pointers may be made of patient data. No patient's key is like one. */
export interface Ties {
  /** The stream it is one of. */
  readonly stream: string | undefined;
  /** Shared with the fragment before it. */
  readonly before: string | undefined;
  /** Shared with the fragment that follows. */
  readonly after: string | undefined;
}

const DSC = segmentCode('DSC');
const CR = 0x0d;
const LF = 0x0a;
const TO_BE_DELETED = '""';
const INTERACTIVE = 'I';

/** Undefined: it stands alone, as nearly all do. */
export function tiesOf(message: Message): Ties | undefined {
  if (message.problem !== undefined || message.batch) return undefined;
  const hasNumber = isValued(message.header(13));
  const pointer = message.header(14);
  const next = pointerToNext(message);
  if (!hasNumber && !isValued(pointer) && !isValued(next)) return undefined;
  const sender = `${message.header(3)}^${message.header(4)}`;
  const keyOf = (its: string) => (isValued(its) ? `\rcontinued ${sender} ${its}` : undefined);
  return {
    stream: hasNumber ? `\rstream ${sender}^${message.header(5)}^${message.header(6)}` : undefined,
    before: keyOf(pointer),
    after: keyOf(next),
  };
}

/** DSC-1, when the message ends with a DSC segment; else ''. */
function pointerToNext(message: Message): string {
  const { bytes, lineEnd } = message;
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === CR || bytes[end - 1] === LF)) end--;
  const at = bytes.lastIndexOf(lineEnd, end - 1) + 1;
  // A line that ends with CRLF, of which CR counts.
  const start = bytes[at] === LF ? at + 1 : at;
  if (start >= end || message.segmentCode(start) !== DSC) return '';
  return message.fieldLatin1(start, 2) === INTERACTIVE ? '' : message.fieldLatin1(start, 1);
}

function isValued(field: string): boolean {
  return field !== '' && field !== TO_BE_DELETED;
}
