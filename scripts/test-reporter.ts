/** Counts tests for scripts/test.js: how many passed, failed and were skipped, and why. */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** Why tests were skipped → how many. */
  readonly reasons: Record<string, number>;
}

/** Writes the counts to `file`, as JSON, at the end of a run. */
export function countingReporter(file: string): Reporter {
  return {
    onTestRunEnd(modules, unhandledErrors) {
      const counts: Counts = { passed: 0, failed: unhandledErrors.length, skipped: 0, reasons: {} };
      for (const module of modules) countModule(module, counts);
      writeFileSync(file, JSON.stringify(counts));
    },
  };
}

function countModule(module: TestModule, counts: Counts): void {
  // A file or a suite that broke outside its tests: a hook, an import.
  counts.failed += module.errors().length;
  for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
  for (const test of module.children.allTests()) countTest(test, counts);
}

function countTest(test: TestCase, counts: Counts): void {
  const result = test.result();
  if (result.state === 'passed') counts.passed++;
  else if (result.state === 'failed') counts.failed++;
  else {
    counts.skipped++;
    const note = result.state === 'skipped' ? result.note : undefined;
    const reason = note ?? /\((needs .*?)\)/.exec(test.fullName)?.[1] ?? test.fullName;
    counts.reasons[reason] = (counts.reasons[reason] ?? 0) + 1;
  }
}
