/** Must show, in its short form, store mode: `npm run faults -- hl7 --delivery store` is the long one. */
import { describe, expect, test } from 'vitest';
import { MOST_GROWN } from './hl7.ts';
import { LIMIT, runAway } from './hl7-away.ts';
import { runHuge } from './hl7-huge.ts';
import { runKills } from './hl7-kills.ts';
import { runMerges, runMergesOverKill } from './hl7-merge.ts';
import { runStall } from './hl7-stall.ts';

const SEED = 6;
const RIGHT = {
  lost: [],
  altered: [],
  wrong: [],
  inversions: [],
  overlaps: [],
  unmarked: [],
  errors: [],
  exitCode: 0,
};

console.log(`HL7 faults, store mode: seed ${SEED}`);

describe('store mode', { timeout: 120_000 }, () => {
  test('kill -9 of the balancer and of receivers under load from 32 senders: 0 acknowledged messages lost, 0 inversions for a patient, duplicates marked', async () => {
    const options = { delivery: 'store', balancerKills: 3, receiverKills: 4, seed: SEED } as const;
    const result = await runKills({ ...options, print: () => {} });
    expect(result).toMatchObject({ ...RIGHT, balancerKills: 3, receiverKills: 4, refusals: {} });
    expect(result.acknowledged).toBe(result.sent);
  });

  test("one patient's receiver path stalled: nobody else waits for its end", async () => {
    const result = await runStall({ delivery: 'store', stall: 3000, seed: SEED });
    expect(result).toMatchObject({ ...RIGHT, heldUp: [] });
    expect(result.during.count).toBeGreaterThan(0);
  });

  test('A40 between messages of both patients with random timing over 2 servers: order held', async () => {
    const result = await runMerges({ delivery: 'store', merges: 100, seed: SEED });
    expect(result).toMatchObject({ ...RIGHT, duplicates: 0 });
    expect(result.acknowledged).toBe(result.sent);
  });

  test('the same with a kill -9 of the balancer behind each merge, before anything is delivered', async () => {
    const result = await runMergesOverKill({ merges: 20, seed: SEED });
    expect(result).toMatchObject(RIGHT);
    expect(result.acknowledged).toBe(result.sent);
  });

  test('frames of 50 MiB at once, slow receivers: memory within the figure, every byte as it was', async () => {
    const result = await runHuge({ delivery: 'store', frames: 5, seed: SEED });
    expect(result).toMatchObject({ ...RIGHT, acknowledged: 5 });
    expect(result.grown).toBeLessThan(MOST_GROWN);
  });

  test("a receiver away: senders unhurt, backlog drained in order, no burst beyond the receiver's limit", async () => {
    const result = await runAway({ delivery: 'store', away: 2000, rate: 300, seed: SEED });
    expect(result).toMatchObject({ ...RIGHT, refusals: {}, lostConnections: 0 });
    expect(result.acknowledged).toBe(result.sent);
    expect(result.backlog).toBeGreaterThan(0);
    expect(result.mostInHand).toBeLessThanOrEqual(LIMIT);
  });
});
