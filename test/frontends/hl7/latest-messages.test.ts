import { expect, test } from 'vitest';
import { LatestMessages } from '../../../src/frontends/hl7/latest-messages.ts';

const ANSWER = Buffer.from('MSA|AA|4711');

test.each([
  ['from the beginning', 0],
  ['over the largest number', 2 ** 31 - 50],
  ['over -1', -50],
])('the latest hundred are found, %s', (_, start) => {
  const latest = new LatestMessages<number>(100, start - 100);
  for (let id = 0; id < 300; id++) {
    expect(latest.find('LAB^WARD', `${id}`, 0)).toBeUndefined();
    const number = latest.add('-'.repeat(32), 1, id);
    if (id % 2 === 0) latest.decide(number, ANSWER);
  }
  for (let id = 0; id < 300; id++) {
    const number = latest.find('LAB^WARD', `${id}`, 0);
    if (id < 200) {
      expect(number).toBeUndefined();
      continue;
    }
    expect(latest.first(number!)).toBe(id % 2 === 0 ? undefined : id);
    expect(latest.answer(number!)).toEqual(id % 2 === 0 ? ANSWER : undefined);
  }
});

test('a number of the table before means nothing', () => {
  const before = new LatestMessages<number>(100, 0);
  const numbers = Array.from({ length: 100 }, (_, id) => {
    before.find('LAB^WARD', `${id}`, 0);
    return before.add('-'.repeat(32), 1, id);
  });
  const after = new LatestMessages<number>(10, before.next);
  for (let id = 0; id < 10; id++) {
    after.find('LAB^WARD', `${id}`, 0);
    after.add('-'.repeat(32), 1, id);
  }
  for (const number of numbers) after.decide(number, ANSWER);
  for (let id = 0; id < 10; id++) expect(after.first(after.find('LAB^WARD', `${id}`, 0)!)).toBe(id);
});
