/** Must show, in its short form: `npm run faults -- changes` is the long one. */
import { expect, test } from 'vitest';
import { describeWith } from '../peers/processes.ts';
import { runChanges } from './changes.ts';

describeWith(
  ['dcmtk', 'nginx-light', 'wrk', 'nghttp2-client', 'openssl'],
  'under load of all four protocols',
  () => {
    test('random reloads, weights, drains, certificates: 0 failed requests, 0 cut associations, 0 lost messages', {
      timeout: 180_000,
    }, async () => {
      const result = await runChanges({ changes: 12, seed: 7, pause: 400, print: () => {} });
      expect(result.loads.filter(({ failures }) => failures.length > 0)).toEqual([]);
      expect(result.loads.filter(({ done }) => done === 0)).toEqual([]);
      expect(result).toMatchObject({
        cutAssociations: 0,
        lostMessages: 0,
        doubledMessages: 0,
        errors: [],
        exitCode: 0,
      });
      expect(result.changes).toHaveLength(12);
    });
  },
);
