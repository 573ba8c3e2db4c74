/**
 * MLLP read the slow and plain way, from all bytes at once, to check the push decoder against; and what both of them
 * report, in one form that does not depend on where the bytes were cut.
 */
import { MllpDecoder, type MllpDecoderOptions } from '../../../protocols/hl7/mllp-decoder.ts';

/** `frame …` in hexadecimal, `skipped` and `dropped` with a byte count, `overlong`. */
export type Report = string[];

export function referenceReports(bytes: Buffer, maxFrame = Infinity, maxGarbage = Infinity): Report {
  const reports: Report = [];
  /** From here on a start block may still come of what the bytes end with. */
  const tail = bytes.toString('latin1', Math.max(0, bytes.lastIndexOf(0x0b)));
  const decided = bytes.length - (/^.(MS?|FH?|BH?)?$/s.test(tail) ? tail.length : 0);
  let content: number[] | undefined;
  let skipped = 0;
  let garbage = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    const after = bytes[i + 1];
    const startsMessage = byte === 0x0b && /^(MSH|FHS|BHS)/.test(bytes.toString('latin1', i + 1, i + 4));
    if (!content) {
      if (byte === 0x0b) content = [];
      else skipped++;
      if (!content && ++garbage > maxGarbage) return [...reports, 'overlong'];
      if (content && skipped > 0) reports.push(`skipped ${skipped}`);
      if (content) skipped = 0;
    } else if (startsMessage) {
      reports.push(`dropped ${content.length}`);
      content = [];
    } else if (byte === 0x1c && (after === 0x0d || after === 0x0b || after === undefined)) {
      reports.push(`frame ${Buffer.from(content).toString('hex')}`);
      content = undefined;
      garbage = 0;
      if (after === 0x0d) i++;
    } else {
      content.push(byte);
    }
    if (content && content.length > maxFrame && i < decided) return [...reports, 'overlong'];
  }
  if (content) reports.push(`dropped ${content.length}`);
  if (skipped > 0) reports.push(`skipped ${skipped}`);
  return reports;
}

/** What the push decoder reports when it gets the chunks, and then the end of the stream. */
export function decoderReports(chunks: Iterable<Buffer>, options?: MllpDecoderOptions): Report {
  const reports: Report = [];
  let skipped = 0;
  const settle = (): void => {
    if (skipped > 0) reports.push(`skipped ${skipped}`);
    skipped = 0;
  };
  const report = (text: string): void => {
    settle();
    reports.push(text);
  };
  const skip = (byteCount: number): void => {
    skipped += byteCount;
  };
  let wasInFrame = false;
  const decoder = new MllpDecoder(
    {
      frame: (content) => report(`frame ${content.toString('hex')}`),
      dropped: (reason, byteCount) =>
        reason === 'no start block' ? skip(byteCount) : report(`dropped ${byteCount}`),
      garbage: skip,
      overlong(_byteCount, what) {
        // How much was skipped until then depends on the cuts.
        if (what === 'garbage') skipped = 0;
        report('overlong');
      },
    },
    options,
  );
  for (const chunk of chunks) {
    // A buffer of its own that is spoilt afterwards: the decoder may keep nothing of what it is given.
    const lent = Buffer.from(chunk);
    decoder.push(lent);
    lent.fill(0xee);
    if (decoder.inFrame && !wasInFrame) settle();
    wasInFrame = decoder.inFrame;
  }
  decoder.end();
  settle();
  return reports;
}

/** `bytes` one at a time. */
export function* oneByOne(bytes: Buffer): Generator<Buffer> {
  for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
}

/** `bytes` cut at `cuts` (any numbers, in any order). */
export function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const inside = cuts.filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b);
  const edges = [0, ...inside, bytes.length];
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}
