import { defineConfig } from 'vitest/config';
import { countingReporter } from './scripts/test-reporter.ts';

/** Where scripts/test.js wants the counts. */
const counts = process.env.GANTRY_TEST_COUNTS;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Peers are real processes on a small machine: a test that waits for an event may wait long, but never for ever.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
    reporters: counts === undefined ? ['default'] : ['default', countingReporter(counts)],
  },
});
