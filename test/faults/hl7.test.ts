/** Must show, in its short form, relay mode: `npm run faults -- hl7` is the long one. */
import { describe, expect, test } from 'vitest';
import { MOST_GROWN } from './hl7.ts';
import { LIMIT, runAway } from './hl7-away.ts';
import { runHuge } from './hl7-huge.ts';
import { runKills } from './hl7-kills.ts';
import { runLate } from './hl7-late.ts';
import { runMerges } from './hl7-merge.ts';
import { runStall } from './hl7-stall.ts';

const SEED = 5;
const RIGHT = { lost: [], altered: [], wrong: [], inversions: [], unmarked: [], errors: [], exitCode: 0 };
const IN_ORDER = { ...RIGHT, overlaps: [] };

console.log(`HL7 faults, relay mode: seed ${SEED}`);

describe('relay mode', { timeout: 120_000 }, () => {
  test('kill -9 of the balancer and of receivers under load from 32 senders: 0 acknowledged messages lost, 0 inversions for a patient, duplicates marked', async () => {
    const options = { delivery: 'relay', balancerKills: 3, receiverKills: 4, seed: SEED } as const;
    const result = await runKills({ ...options, print: () => {} });
    expect(result).toMatchObject({ ...IN_ORDER, balancerKills: 3, receiverKills: 4, refusals: {} });
    expect(result.acknowledged).toBe(result.sent);
  });

  test.each([
    { ackMatch: 'position', pipeline: 1 },
    { ackMatch: 'strict', pipeline: 4 },
  ] as const)(
    'one answer in a hundred after the time-out: 0 matched wrongly (ackMatch: $ackMatch, pipeline: $pipeline)',
    async (way) => {
      const result = await runLate({ ...way, messages: 4000, seed: SEED });
      expect(result).toMatchObject({ ...RIGHT, acknowledged: 4000 });
      expect(result.late).toBeGreaterThan(20);
      expect(result.marked).toBeGreaterThan(0);
    },
  );

  test("one patient's receiver path stalled: nobody else waits for its end", async () => {
    const result = await runStall({ delivery: 'relay', stall: 3000, seed: SEED });
    expect(result).toMatchObject({ ...IN_ORDER, heldUp: [] });
    expect(result.during.count).toBeGreaterThan(0);
  });

  test('A40 between messages of both patients with random timing over 2 servers: order held', async () => {
    const result = await runMerges({ delivery: 'relay', merges: 100, seed: SEED });
    expect(result).toMatchObject({ ...IN_ORDER, duplicates: 0 });
    expect(result.acknowledged).toBe(result.sent);
  });

  test('frames of 50 MiB at once, slow receivers: memory within the figure, every byte as it was', async () => {
    const result = await runHuge({ delivery: 'relay', frames: 6, seed: SEED });
    expect(result).toMatchObject({ ...IN_ORDER, acknowledged: 6 });
    expect(result.grown).toBeLessThan(MOST_GROWN);
  });

  test("a receiver away, `close`: the senders' own queues hold, nothing lost, no burst beyond the receiver's limit", async () => {
    const result = await runAway({ delivery: 'relay', away: 2000, rate: 300, seed: SEED });
    expect(result).toMatchObject({ ...IN_ORDER, refusals: {} });
    expect(result.acknowledged).toBe(result.sent);
    expect(result.lostConnections).toBeGreaterThan(0);
    expect(result.mostInHand).toBeLessThanOrEqual(LIMIT);
  });
});
