/** Must show, in its short form: `npm run faults -- study` is the long one. */
import { expect, test } from 'vitest';
import { describeWith } from '../peers/processes.ts';
import { runStudies } from './study.ts';

const SHORT = { instances: 96, studies: 8, kills: 3, seed: 11, rate: 2 ** 20, print: () => {} };
const CLEAN = { failures: [], lost: [], cut: 0, left: 0, errors: [], exitCode: 0 };

describeWith(
  ['dcmtk'],
  'servers killed with -9 while storescu, dcmsend and dcmjs-dimse store studies',
  () => {
    test('shared storage: 0 failures at the senders, 0 reported success that is on no disk, studies whole after their re-pin', {
      timeout: 120_000,
    }, async () => {
      const result = await runStudies({ ...SHORT, route: 'shared' });
      expect(result).toMatchObject({
        failures: [],
        refused: 0,
        lost: [],
        moved: [],
        errors: [],
        exitCode: 0,
      });
      expect(result.stored).toEqual({ storescu: 32, dcmsend: 32, 'dcmjs-dimse': 32 });
      expect(result.kills).toBe(SHORT.kills);
    });

    test('separate storage: 0xA700, not loss and not a split study', { timeout: 120_000 }, async () => {
      const result = await runStudies({ ...SHORT, route: 'separate' });
      expect(result).toMatchObject({ ...CLEAN, split: 0 });
      expect(result.stored).toEqual({ storescu: 32, dcmsend: 32, 'dcmjs-dimse': 32 });
      expect(result.kills).toBe(SHORT.kills);
      expect(result.refused).toBeGreaterThan(0);
    });
  },
);
