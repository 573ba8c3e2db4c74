/** The HL7 messages of a file, as people keep them: with or without framing, in batches, with any line ends. */
import { END_BLOCK, START_BLOCK } from '../../protocols/hl7/mllp.ts';

const START = String.fromCharCode(START_BLOCK);
const END = String.fromCharCode(END_BLOCK);
const BATCH_SEGMENT = /^(FHS|BHS|BTS|FTS)\W/;
/** What opens a batch → what closes it (HL7 v2.5.1 2.10.3). */
const CLOSED_BY: Readonly<Record<string, string>> = { FHS: 'FTS', BHS: 'BTS' };

/**
 * The messages of a file: each begins with an MSH segment. Framing is left out, and so are the headers and trailers of
 * batches, unless `wholeBatches`: then each batch is one. Line ends become carriage returns. All other bytes stay as
 * they are.
 */
export function messagesIn(file: Buffer, wholeBatches = false): Buffer[] {
  const segments = file
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .replace(new RegExp(`${START}(?=MSH|FHS|BHS)`, 'g'), '\r')
    .replaceAll(`${END}\r`, '\r')
    .split(/[\r\n]+/)
    .filter((segment) => segment !== '' && segment !== END);
  const messages: string[][] = [];
  /** What closes the batch that is open. */
  let closing: string | undefined;
  for (const segment of segments) {
    const name = BATCH_SEGMENT.exec(segment)?.[1];
    if (!wholeBatches && name) continue;
    const opens = name === 'FHS' || (name === 'BHS' && closing !== 'FTS');
    if (opens || (segment.startsWith('MSH') && closing === undefined)) {
      messages.push([segment]);
      closing = opens ? CLOSED_BY[name] : undefined;
    } else {
      messages.at(-1)?.push(segment);
      if (name !== undefined && name === closing) closing = undefined;
    }
  }
  return messages.map((lines) => Buffer.from(`${lines.join('\r')}\r`, 'latin1'));
}
