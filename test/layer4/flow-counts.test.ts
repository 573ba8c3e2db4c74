import { expect, test } from 'vitest';
import { FlowCounts, type FlowsByMark, type Tallies } from '../../src/layer4/flow-counts.ts';
import { onEvent } from '../../src/observe/events.ts';
import { createGate } from '../peers/waiting.ts';

const NOTHING: Tallies = new Map();

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
  expect(counts.flowsOf(1, NOTHING)).toBeUndefined();
  await counts.refresh(NOTHING);
  expect([counts.flowsOf(1, NOTHING), counts.flowsOf(2, NOTHING)]).toEqual([5, 0]);
  fake.time = 999;
  await counts.refresh(NOTHING);
  expect(fake.counted).toBe(1);
  fake.time = 1000;
  await counts.refresh(NOTHING);
  expect(fake.counted).toBe(2);
});

test('more often while flows of a server are awaited, at once when that begins, not when there are none', async () => {
  const { fake, counts } = fixture();
  await counts.refresh(NOTHING);
  counts.expire();
  await counts.refresh(NOTHING, [1]);
  expect(fake.counted).toBe(2);
  fake.time = 10 + 199;
  await counts.refresh(NOTHING, [1]);
  expect(fake.counted).toBe(2);
  fake.time = 10 + 200;
  fake.flows = new Map();
  await counts.refresh(NOTHING, [1]);
  expect(fake.counted).toBe(3);
  fake.time = 210 + 999;
  await counts.refresh(NOTHING, [1]);
  expect(fake.counted).toBe(3);
});

test('between two counts counters tell what began and what ended', async () => {
  const { fake, counts } = fixture();
  await counts.refresh(new Map([[1, { began: 100, ended: 90 }]]));
  expect(counts.flowsOf(1, new Map([[1, { began: 104, ended: 97 }]]))).toBe(2);
  expect(counts.flowsOf(1, new Map([[1, { began: 100, ended: 99 }]]))).toBe(0);
  expect(counts.flowsOf(2, new Map([[2, { began: 3, ended: 0 }]]))).toBe(3);
  // One that is closing is none to wait for, but its server is still needed.
  fake.flows = new Map([[1, 0]]);
  counts.expire();
  const tallies = new Map([
    [1, { began: 110, ended: 110 }],
    [2, { began: 3, ended: 3 }],
  ]);
  await counts.refresh(tallies);
  expect(counts.flowsOf(1, tallies)).toBe(0);
  expect([counts.isUnused(1, tallies), counts.isUnused(2, tallies)]).toEqual([false, true]);
  expect(counts.isUnused(2, new Map([[2, { began: 4, ended: 4 }]]))).toBe(false);
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
  await counts.refresh(NOTHING);
  expect(counts.flowsOf(1, NOTHING)).toBeUndefined();
  const later = counts.refresh(NOTHING);
  gate.open();
  await later;
  expect(counts.flowsOf(1, NOTHING)).toBe(7);
});

test('what begins to drain while flows are counted is counted anew', async () => {
  const gates = [createGate(), createGate()];
  let counted = 0;
  const counts = new FlowCounts({
    now: () => 0,
    count: async () => {
      const flows = new Map([[1, 7 + counted]]);
      await gates[counted++]!.opened;
      return flows;
    },
  });
  const first = counts.refresh(NOTHING);
  counts.expire();
  gates[0]!.open();
  await first;
  gates[1]!.open();
  await counts.refresh(NOTHING);
  expect([counted, counts.flowsOf(1, NOTHING)]).toEqual([2, 8]);
});

test('a count that fails is said, and tried again', async () => {
  const told: string[] = [];
  const stop = onEvent('notice', ({ message }) => told.push(message));
  let isBroken = true;
  const counts = new FlowCounts({
    now: () => 0,
    count: async () => {
      if (isBroken) throw new Error('broken');
      return new Map();
    },
  });
  await counts.refresh(NOTHING);
  expect(told).toEqual(['flows of layer 4 VIPs could not be counted']);
  expect(counts.flowsOf(1, NOTHING)).toBeUndefined();
  isBroken = false;
  await counts.refresh(NOTHING);
  expect(counts.flowsOf(1, NOTHING)).toBe(0);
  stop();
});
