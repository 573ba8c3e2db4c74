import { expect, test } from 'vitest';
import { FlowCounts, type FlowsByMark } from '../../src/layer4/flow-counts.ts';
import { createGate } from '../peers/waiting.ts';

/** A clock that only counting moves on, by 10 ms each. */
function fixture() {
  const fake = { time: 0, counted: 0, flows: new Map([[1, 5]]) as FlowsByMark };
  const counts = new FlowCounts({
    now: () => fake.time,
    count: async () => {
      fake.counted++;
      fake.time += 10;
      return fake.flows;
    },
  });
  return { fake, counts };
}

test('flows are counted for a hundredth of the time', async () => {
  const { fake, counts } = fixture();
  expect((await counts.latest([]))?.get(1)).toBe(5);
  fake.time = 999;
  await counts.latest([]);
  expect(fake.counted).toBe(1);
  fake.time = 1000;
  await counts.latest([]);
  expect(fake.counted).toBe(2);
});

test('more often while flows of a server are awaited, at once when that begins, not when there are none', async () => {
  const { fake, counts } = fixture();
  await counts.latest([]);
  counts.expire();
  await counts.latest([1]);
  expect(fake.counted).toBe(2);
  fake.time = 10 + 199;
  await counts.latest([1]);
  expect(fake.counted).toBe(2);
  fake.time = 10 + 200;
  fake.flows = new Map();
  await counts.latest([1]);
  expect(fake.counted).toBe(3);
  fake.time = 210 + 999;
  expect((await counts.latest([1]))?.size).toBe(0);
  expect(fake.counted).toBe(3);
});

test('a count that takes long is not waited for', async () => {
  const gate = createGate();
  const counts = new FlowCounts({
    now: () => 0,
    count: async () => {
      await gate.opened;
      return new Map([[1, 7]]);
    },
  });
  expect(await counts.latest([])).toBeUndefined();
  const later = counts.latest([]);
  gate.open();
  expect((await later)?.get(1)).toBe(7);
});

test('a count that fails is tried again', async () => {
  let isBroken = true;
  const counts = new FlowCounts({
    now: () => 0,
    count: async () => {
      if (isBroken) throw new Error('broken');
      return new Map();
    },
  });
  await expect(counts.latest([])).rejects.toThrow('broken');
  isBroken = false;
  expect(await counts.latest([])).toEqual(new Map());
});
