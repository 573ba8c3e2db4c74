import { expect, test } from 'vitest';
import { Tables } from '../../src/tables/tables.ts';

const limits = { ttl: 1000, size: 10 };

test('tables are made once by name, and take over new limits with their entries kept', () => {
  let now = 1_000_000;
  const tables = new Tables(() => now);
  const table = tables.open('vip V', limits);
  table.confirm(table.claim('k', 'a'), true);
  expect(tables.open('vip V', { ttl: 50, size: 10 })).toBe(table);
  expect(tables.get('vip V')).toBe(table);
  table.confirm(table.claim('l', 'a'), true);
  now += 60;
  expect([table.serverOf('k'), table.serverOf('l')]).toEqual(['a', undefined]);
});

test('those that no configuration names any more are forgotten', () => {
  const tables = new Tables(() => 1);
  for (const name of ['vip V', 'pool P', 'share S']) tables.open(name, limits);
  tables.keep(['share S', 'vip V', 'vip W']);
  expect([...tables].map(([name]) => name)).toEqual(['vip V', 'share S']);
  expect(tables.get('pool P')).toBeUndefined();
});
