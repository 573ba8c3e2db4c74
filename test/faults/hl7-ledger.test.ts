/** What the HL7 runs go by when they judge: invented ledgers with one fault each. */
import { describe, expect, test } from 'vitest';
import { type Arrival, judge, SentLedger } from './hl7-ledger.ts';

const HASH = 'ab';

/** A ledger in which these were sent, in this order, for one patient, and acknowledged. */
function sentLedger(...controlIds: readonly string[]): SentLedger {
  const ledger = new SentLedger();
  for (const controlId of controlIds) ledger.acknowledge(ledger.note(controlId, ['INV1'], HASH), '');
  return ledger;
}

/** They came one after the other, each answered before the next. */
function arrivalsOf(...controlIds: readonly string[]): Arrival[] {
  return controlIds.map((controlId, index) => ({
    token: `one-${index}`,
    controlId,
    hash: HASH,
    at: index * 10,
    inHand: 1,
    answeredAt: index * 10 + 5,
  }));
}

const FINE = { lost: [], altered: [], wrong: [], inversions: [], overlaps: [], duplicates: 0, unmarked: [] };

describe('what is good', () => {
  test('every message once, in order', () => {
    expect(judge(sentLedger('A', 'B', 'C'), arrivalsOf('A', 'B', 'C'), new Set())).toMatchObject(FINE);
  });

  test('a repetition directly behind the first, marked in the log', () => {
    const marks = new Set(['A']);
    expect(judge(sentLedger('A', 'B'), arrivalsOf('A', 'A', 'B'), marks)).toMatchObject({
      ...FINE,
      duplicates: 1,
      marked: 1,
    });
  });

  test('a repetition by the sender, who had lost its connection', () => {
    const ledger = sentLedger('A', 'B');
    ledger.messages.get('A')!.sends = 2;
    expect(judge(ledger, arrivalsOf('A', 'A', 'B'), new Set())).toMatchObject({
      ...FINE,
      duplicates: 1,
      resent: 1,
    });
  });
});

describe('what is not', () => {
  test('acknowledged and nowhere', () => {
    expect(judge(sentLedger('A', 'B'), arrivalsOf('A'), new Set()).lost).toEqual(['B']);
  });

  test('other bytes', () => {
    const [arrival] = arrivalsOf('A');
    expect(judge(sentLedger('A'), [{ ...arrival!, hash: 'cd' }], new Set()).altered).toEqual(['A']);
  });

  test('the answer of another message', () => {
    const ledger = sentLedger('A', 'B');
    ledger.messages.get('A')!.token = 'one-1';
    expect(judge(ledger, arrivalsOf('A', 'B'), new Set()).wrong).toEqual(['A']);
  });

  test('a later message first', () => {
    expect(judge(sentLedger('A', 'B'), arrivalsOf('B', 'A'), new Set()).inversions).toEqual(['A']);
  });

  test('a repetition behind a later message', () => {
    const marks = new Set(['A']);
    expect(judge(sentLedger('A', 'B'), arrivalsOf('A', 'B', 'A'), marks).inversions).toEqual(['A']);
  });

  test('a message while the one before it is not answered', () => {
    const [first, second] = arrivalsOf('A', 'B');
    const arrivals = [{ ...first!, answeredAt: 12 }, second!];
    expect(judge(sentLedger('A', 'B'), arrivals, new Set()).overlaps).toEqual(['B']);
  });

  test('a repetition that nobody marked', () => {
    const { unmarked } = judge(sentLedger('A'), arrivalsOf('A', 'A'), new Set());
    expect(unmarked).toHaveLength(1);
    expect(unmarked[0]).toMatch(/^A: one-0 at .* s, one-1 at .* s$/);
  });
});
