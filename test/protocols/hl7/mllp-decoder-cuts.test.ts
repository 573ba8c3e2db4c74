/** The MLLP decoder against the reference decoder: the same reports, wherever the bytes are cut. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAt, decoderReports, oneByOne, referenceReports } from './reference-decoder.ts';

const MESSAGE = 'MSH|^~\\&|INVENTED\rPID|1||INV0001\r';
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('as the reference decoder', () => {
  /** Every rule at once. */
  const tangle = latin1(
    `\r\n\x0b${MESSAGE}\x1c\r\0\x0b\x1c\x0b\x0bMSH|\x0bMS\x0bMSH|\x1c\x1cx\x1c\x0b\x0bFHS|\x0bBHS|y\x1c\rMSH|z\x0b\x1cMSH\x1c\r\x0bMSH|\x1c`,
  );

  test('the tangle itself', () => {
    expect(referenceReports(tangle)).toEqual([
      'skipped 2',
      `frame ${latin1(MESSAGE).toString('hex')}`,
      'skipped 1',
      'frame ',
      'dropped 0',
      `dropped ${'MSH|\x0bMS'.length}`,
      `frame ${latin1('MSH|\x1c\x1cx').toString('hex')}`,
      'dropped 0',
      'dropped 4',
      `frame ${latin1('BHS|y').toString('hex')}`,
      'skipped 5',
      `frame ${latin1('\x1cMSH').toString('hex')}`,
      `frame ${latin1('MSH|').toString('hex')}`,
    ]);
  });

  test('every prefix, whole and one byte at a time', () => {
    for (let length = 0; length <= tangle.length; length++) {
      const prefix = tangle.subarray(0, length);
      const expected = referenceReports(prefix);
      expect(decoderReports([prefix])).toEqual(expected);
      expect(decoderReports(oneByOne(prefix))).toEqual(expected);
    }
  });

  test('every cut in two, and in three', () => {
    const expected = referenceReports(tangle);
    for (let first = 0; first < tangle.length; first++) {
      for (let second = first; second < tangle.length; second += 3) {
        expect(decoderReports(cutAt(tangle, [first, second]))).toEqual(expected);
      }
    }
  });

  test('every single-byte corruption', () => {
    for (let at = 0; at < tangle.length; at++) {
      for (const byte of [0x0b, 0x1c, 0x0d, 0x4d, 0x00]) {
        const corrupt = Buffer.from(tangle);
        corrupt[at] = byte;
        const expected = referenceReports(corrupt);
        expect(decoderReports([corrupt])).toEqual(expected);
        expect(decoderReports([corrupt], {}, true)).toEqual(expected);
        expect(decoderReports(oneByOne(corrupt))).toEqual(expected);
      }
    }
  });

  const bytes = fc
    .array(fc.constantFrom(0x0b, 0x1c, 0x0d, 0x0a, 0x4d, 0x53, 0x48, 0x46, 0x42, 0x00, 0x78), {
      maxLength: 120,
    })
    .map((array) => Buffer.from(array));
  const cuts = fc.array(fc.nat(120), { maxLength: 20 });

  test('any bytes, cut anywhere', () => {
    fc.assert(
      fc.property(bytes, cuts, (input, places) => {
        expect(decoderReports(cutAt(input, places))).toEqual(referenceReports(input));
      }),
      { numRuns: 2000 },
    );
  });

  test('any bytes, cut anywhere, with a small cap on garbage', () => {
    fc.assert(
      fc.property(bytes, cuts, fc.integer({ min: 1, max: 10 }), (input, places, maxGarbage) => {
        const expected = referenceReports(input, { maxGarbage });
        expect(decoderReports(cutAt(input, places), { maxGarbage })).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('any bytes, cut anywhere, with long frames handed out as they come', () => {
    fc.assert(
      fc.property(bytes, cuts, fc.nat(20), fc.boolean(), (input, places, streamAbove, pauses) => {
        const expected = referenceReports(input, { streamAbove });
        expect(decoderReports(cutAt(input, places), { streamAbove }, pauses)).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });

  test('any bytes, cut anywhere, with a small cap on frames', () => {
    fc.assert(
      fc.property(bytes, cuts, fc.integer({ min: 4, max: 20 }), (input, places, maxFrame) => {
        const expected = referenceReports(input, { maxFrame });
        expect(decoderReports(cutAt(input, places), { maxFrame })).toEqual(expected);
      }),
      { numRuns: 2000 },
    );
  });
});
