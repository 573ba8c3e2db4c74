/**
 * MLLP read the slow and plain way, from all bytes at once, to check the push decoder against; and what both of them
 * report, in one form that does not depend on where the bytes were cut.
 */
import assert from 'node:assert/strict';
import { MllpDecoder, type MllpDecoderOptions } from '../../../protocols/hl7/mllp-decoder.ts';

/** `frame …` and `stream …` (a long frame) in hexadecimal, `skipped` and `dropped` with a byte count, `overlong`. */
export type Report = string[];

export type Limits = Pick<MllpDecoderOptions, 'maxFrame' | 'maxGarbage' | 'streamAbove'>;

export function referenceReports(bytes: Buffer, limits: Limits = {}): Report {
  const { maxFrame = Infinity, maxGarbage = Infinity, streamAbove = Infinity } = limits;
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
      const what = content.length > streamAbove ? 'stream' : 'frame';
      reports.push(`${what} ${Buffer.from(content).toString('hex')}`);
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

/**
 * What the push decoder reports when it gets the chunks, and then the end of the stream. `pauses`: it is paused at
 * everything that it tells, and resumed.
 */
export function decoderReports(
  chunks: Iterable<Buffer>,
  options?: MllpDecoderOptions,
  pauses = false,
): Report {
  const reports: Report = [];
  let skipped = 0;
  const settle = (): void => {
    if (skipped > 0) reports.push(`skipped ${skipped}`);
    skipped = 0;
  };
  const pause = (): void => {
    if (!pauses) return;
    assert.ok(!decoder.paused, 'a paused decoder tells nothing');
    decoder.pause();
  };
  const report = (text: string): void => {
    settle();
    reports.push(text);
    pause();
  };
  const skip = (byteCount: number): void => {
    skipped += byteCount;
  };
  let wasInFrame = false;
  const { maxFrame = Infinity, streamAbove = Infinity } = options ?? {};
  const mostHeld = Math.max(4096, Math.min(maxFrame, streamAbove) + 3);
  /** The long frame in hand. */
  let beginning: Buffer | undefined;
  let parts: Buffer[] = [];
  let partsLength = 0;
  /** Parts of one chunk, which the sink may keep until the next. */
  let lentParts: [lent: Buffer, asItWas: Buffer][] = [];
  const decoder = new MllpDecoder(
    {
      frame(content) {
        assert.ok(!beginning && content.length <= streamAbove, 'a long frame is handed out as it comes');
        report(`frame ${content.toString('hex')}`);
      },
      began(bytes) {
        assert.ok(!beginning && bytes.length >= streamAbove && bytes.length <= streamAbove + 3);
        beginning = bytes;
      },
      part(bytes) {
        assert.ok(beginning && bytes.length > 0);
        const asItWas = Buffer.from(bytes);
        lentParts.push([bytes, asItWas]);
        parts.push(asItWas);
        partsLength += bytes.length;
      },
      whole() {
        report(`stream ${Buffer.concat([beginning!, ...parts]).toString('hex')}`);
        forget();
      },
      dropped(reason, byteCount) {
        if (reason === 'no start block') {
          skip(byteCount);
          return;
        }
        assert.ok(byteCount >= (beginning?.length ?? 0) + partsLength, 'what was handed out counts');
        forget();
        report(`dropped ${byteCount}`);
      },
      garbage: skip,
      overlong(byteCount, what) {
        // How much was skipped until then depends on the cuts.
        if (what === 'garbage') skipped = 0;
        else assert.ok(byteCount > maxFrame && (beginning?.length ?? 0) + partsLength <= maxFrame);
        forget();
        report('overlong');
      },
    },
    options,
  );
  const forget = (): void => {
    beginning = undefined;
    parts = [];
    partsLength = 0;
  };
  for (const chunk of chunks) {
    // A buffer of its own that is spoilt afterwards: the decoder may keep nothing of what it is given.
    const lent = Buffer.from(chunk);
    decoder.push(lent);
    while (decoder.paused) decoder.resume();
    for (const [part, asItWas] of lentParts)
      assert.ok(part.equals(asItWas), 'a part is valid while the chunk is');
    lentParts = [];
    assert.ok(decoder.bytesHeld <= mostHeld, 'no more is held than the caps allow');
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
