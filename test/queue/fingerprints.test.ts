/** Fingerprints go from thread to thread in three arrays. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packFingerprints, unpackFingerprints } from '../../src/queue/fingerprints.ts';

test('what is unpacked is what was packed, whatever the lengths', () => {
  const remembered = fc.record({ at: fc.nat(), fingerprint: fc.uint8Array({ maxLength: 40 }) });
  fc.assert(
    fc.property(fc.array(remembered), (all) => {
      const unpacked = [...unpackFingerprints(packFingerprints(all))];
      expect(unpacked.map(({ at, fingerprint }) => ({ at, fingerprint: [...fingerprint] }))).toEqual(
        all.map(({ at, fingerprint }) => ({ at, fingerprint: [...fingerprint] })),
      );
    }),
  );
});
