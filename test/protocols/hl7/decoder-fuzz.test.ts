/**
 * The short form of the fuzzing; `GANTRY_FUZZ_CHUNKS=1000000` makes it the long one, `GANTRY_FUZZ_SEED` another one.
 */
import { expect, test } from 'vitest';
import { fuzzDecoder } from './decoder-fuzz.ts';

const { GANTRY_FUZZ_CHUNKS: chunks = 30_000, GANTRY_FUZZ_SEED: seed = 1 } = process.env;

test('mutated chunks: the decoder reports what the reference decoder reports', () => {
  const counts = fuzzDecoder({ chunks: Number(chunks), seed: Number(seed) });
  expect(counts.chunks).toBeGreaterThanOrEqual(Number(chunks));
  expect(Object.keys(counts.reports).sort()).toEqual(['dropped', 'frame', 'overlong', 'skipped', 'stream']);
}, 600_000);
