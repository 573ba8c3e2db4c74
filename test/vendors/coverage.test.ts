/** The files beside this one are the vendors' tables, whole: each row is in exactly one of them. */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { vendorTables } from './table.ts';

test('95 of 95 rows', () => {
  const tables = vendorTables();
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.test.ts'));
  const profiles = files.map((name) => name.replace('.test.ts', '')).filter((name) => tables.has(name));
  expect(profiles.sort()).toEqual([...tables.keys()].sort());
  const rows = [...tables].flatMap(([profile, all]) =>
    all.map(({ ref, name }) => `${profile} ${ref} ${name}`),
  );
  expect(new Set(rows).size).toBe(95);
  console.log(`${rows.length} of 95 rows`);
});
