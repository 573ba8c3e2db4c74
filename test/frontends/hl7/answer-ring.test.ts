import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AnswerRing } from '../../../src/frontends/hl7/answer-ring.ts';

test('an answer is there, whole, or it is not: the latest ones are', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 50 }), (answers) => {
      const ring = new AnswerRing(100);
      const put: { at: number; bytes: Buffer }[] = [];
      for (const answer of answers) {
        const bytes = Buffer.from(answer);
        put.push({ at: ring.put(bytes), bytes });
        let behind = 0;
        for (const one of put.toReversed()) {
          behind += one.bytes.length;
          const found = ring.get(one.at, one.bytes.length);
          // Up to 39 bytes are left free at its end.
          if (behind <= 60) expect(found).toEqual(one.bytes);
          else if (found) expect(found).toEqual(one.bytes);
        }
      }
    }),
  );
});
