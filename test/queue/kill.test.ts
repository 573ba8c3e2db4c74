/** A process with a queue is killed with SIGKILL, again and again, while it stores and delivers. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { within } from '../peers/waiting.ts';
import { scratchFolder } from './scratch.ts';

const KILLS = 30;
const PROGRAM = fileURLToPath(new URL('killed-process.ts', import.meta.url));

// Processes start and the disk is asked to flush, one after another: that takes the time it takes.
test(`killed ${KILLS} times: nothing acknowledged is lost, no patient's order is changed, repetitions are marked`, async () => {
  const folder = scratchFolder();
  const ledger = join(folder, 'ledger');
  const linesOf = () => readFileSync(ledger, 'utf8').split('\n').slice(0, -1);
  const run = async (...rest: (string | number)[]) => {
    const child = spawn(process.execPath, [PROGRAM, join(folder, 'queue'), ledger, ...rest.map(String)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const [code, signal] = (await within(once(child, 'close'), 'the end of a process')) as [number, string];
    return signal ?? code;
  };

  for (let kill = 0; kill < KILLS; kill++) {
    // Numbers that were used once are not used again, whether they were stored or not.
    expect(await run(kill * 100_000, 20 + ((kill * 37) % 400), (kill * 613) % 4000)).toBe('SIGKILL');
  }
  expect(await run(0, Infinity, 0)).toBe(0);

  const lines = linesOf().map((line) => line.split(' '));
  const stored = lines.filter(([what]) => what === 'stored').map(([, number]) => Number(number));
  const delivered = lines.filter(([what]) => what === 'delivered');
  const numbers = delivered.map(([, number]) => Number(number));
  const seen = new Set(numbers);
  expect(stored.length).toBeGreaterThan(KILLS);
  expect(stored.filter((number) => !seen.has(number))).toEqual([]);

  const latest = new Map<string, number>();
  const faults: string[] = [];
  let repeated = 0;
  for (const [index, [, , keys, mark]] of delivered.entries()) {
    const number = numbers[index]!;
    for (const key of keys!.split(',')) {
      const before = latest.get(key) ?? -1;
      if (number < before) faults.push(`${number} after ${before}`);
      if (number === before && mark !== 'maybe-twice') faults.push(`${number} again, and not marked`);
      latest.set(key, number);
    }
    if (numbers.indexOf(number) < index) repeated++;
  }
  expect(faults).toEqual([]);
  // Each kill repeats what was in hand, at most.
  expect(repeated).toBeLessThanOrEqual(KILLS * 16);
  expect(repeated).toBeGreaterThan(0);
}, 300_000);
