import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Duplicates, fingerprintOf, type Sight } from '../../../src/frontends/hl7/duplicates.ts';

const MINUTES = 60_000;
const ACCEPTED = Buffer.from('MSH|^~\\&|RIS|HOSPITAL|LAB|WARD|||ACK|1|P|2.5.1\rMSA|AA|4711\r');

interface Bench {
  readonly duplicates: Duplicates<string>;
  readonly clock: { time: number };
  /** A message of LAB^WARD with this control id and body came; `first` names what is in flight. */
  readonly see: (controlId: string, body: string, first?: string) => Sight<string> | undefined;
}

function bench({ ms = 10 * MINUTES, entries = 1000 } = {}): Bench {
  const clock = { time: 5000 };
  const duplicates = new Duplicates<string>({ ms, entries }, () => clock.time);
  const see = (controlId: string, body: string, first = 'first') =>
    duplicates.see('LAB^WARD', controlId, fingerprintOf(Buffer.from(body)), first);
  return { duplicates, clock, see };
}

/** The number of a message that was not in the table. */
function numberOf(sight: Sight<string> | undefined): number {
  if (sight?.kind !== 'new' && sight?.kind !== 'changed') throw new Error(`it is ${sight?.kind}`);
  return sight.number;
}

test('a repetition is known while the first is in flight, and gets its answer afterwards', () => {
  const { duplicates, see } = bench();
  const number = numberOf(see('4711', 'a', 'the first'));
  expect(see('4711', 'a', 'the second')).toEqual({ kind: 'in flight', first: 'the first' });
  duplicates.accepted(number, ACCEPTED);
  expect(see('4711', 'a')).toEqual({ kind: 'answered', answer: ACCEPTED });
  expect(see('4711', 'a')).toEqual({ kind: 'answered', answer: ACCEPTED });
});

test('every byte of an answer comes back', () => {
  const { duplicates, see } = bench();
  const answer = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  duplicates.accepted(numberOf(see('4711', 'a')), answer);
  expect(see('4711', 'a')).toEqual({ kind: 'answered', answer });
});

test('what was refused or not delivered is a new message when it comes again', () => {
  const { duplicates, see } = bench();
  duplicates.forget(numberOf(see('4711', 'a')));
  expect(see('4711', 'a')?.kind).toBe('new');
  expect(see('4711', 'a')?.kind).toBe('in flight');
});

test('repeated control ids with other bodies are new messages, and known as such', () => {
  const { duplicates, see } = bench();
  const first = numberOf(see('4711', 'a', 'a'));
  const second = see('4711', 'b', 'b');
  expect(second?.kind).toBe('changed');
  duplicates.accepted(first, ACCEPTED);
  expect(see('4711', 'b')).toEqual({ kind: 'in flight', first: 'b' });
  duplicates.accepted(numberOf(second), ACCEPTED);
  expect(see('4711', 'b')?.kind).toBe('answered');
  expect(see('4711', 'a')?.kind).toBe('changed');
});

test('a message with no control id is never a repetition', () => {
  const { see } = bench();
  expect(see('', 'a')).toBeUndefined();
  expect(see('', 'a')).toBeUndefined();
});

test('the control ids of other senders do not matter', () => {
  const { duplicates, see } = bench();
  see('4711', 'a');
  expect(duplicates.see('LAB^WARD2', '4711', fingerprintOf(Buffer.from('b')), '')?.kind).toBe('new');
});

test('a repetition is a new message when its time is over', () => {
  const { clock, duplicates, see } = bench({ ms: MINUTES });
  duplicates.accepted(numberOf(see('4711', 'a')), ACCEPTED);
  clock.time += MINUTES - 1;
  expect(see('4711', 'a')?.kind).toBe('answered');
  clock.time += 1;
  expect(see('4711', 'a')?.kind).toBe('new');
});

test('the latest entries are remembered, and no more', () => {
  const { duplicates, see } = bench({ entries: 100 });
  for (let id = 0; id < 1000; id++) duplicates.accepted(numberOf(see(`${id}`, 'a')), ACCEPTED);
  for (let id = 900; id < 1000; id++) expect(see(`${id}`, 'a')?.kind).toBe('answered');
  expect(see('899', 'a')?.kind).toBe('new');
  expect(see('900', 'a')?.kind).toBe('new');
});

test('a message that is not remembered any more may still be decided', () => {
  const { duplicates, see } = bench({ entries: 2 });
  const forgotten = numberOf(see('1', 'a'));
  for (const id of ['2', '3', '4']) see(id, 'a', id);
  duplicates.accepted(forgotten, ACCEPTED);
  expect(see('3', 'a')).toEqual({ kind: 'in flight', first: '3' });
  expect(see('4', 'a')).toEqual({ kind: 'in flight', first: '4' });
});

test('a long answer is not kept: its message is new when it comes again', () => {
  const { duplicates, see } = bench();
  duplicates.accepted(numberOf(see('1', 'a')), Buffer.alloc(4096));
  duplicates.accepted(numberOf(see('2', 'a')), Buffer.alloc(4097));
  expect(see('1', 'a')?.kind).toBe('answered');
  expect(see('2', 'a')?.kind).toBe('new');
});

test('answers take a fixed room: those of the oldest go first', () => {
  const { duplicates, see } = bench({ entries: 64 });
  for (let id = 0; id < 8; id++) duplicates.accepted(numberOf(see(`${id}`, 'a')), Buffer.alloc(3000, id));
  const kinds = Array.from({ length: 8 }, (_, id) => see(`${id}`, 'a', 'again')?.kind);
  expect(kinds).toEqual(['new', 'new', 'new', 'answered', 'answered', 'answered', 'answered', 'answered']);
});

test('with another number of entries it begins anew, and what is in hand may still be decided', () => {
  const { duplicates, see } = bench();
  const before = numberOf(see('1', 'a'));
  duplicates.reconfigure({ ms: MINUTES, entries: 10 });
  const after = numberOf(see('1', 'a'));
  duplicates.accepted(before, ACCEPTED);
  expect(see('1', 'a')?.kind).toBe('in flight');
  duplicates.accepted(after, ACCEPTED);
  expect(see('1', 'a')?.kind).toBe('answered');
});

test('another time counts for what is in the table', () => {
  const { clock, duplicates, see } = bench();
  duplicates.accepted(numberOf(see('1', 'a')), ACCEPTED);
  clock.time += 2 * MINUTES;
  duplicates.reconfigure({ ms: 3 * MINUTES, entries: 1000 });
  expect(see('1', 'a')?.kind).toBe('answered');
  duplicates.reconfigure({ ms: MINUTES, entries: 1000 });
  expect(see('1', 'a')?.kind).toBe('new');
});

test('switched off and on, it begins anew', () => {
  const { duplicates, see } = bench();
  duplicates.accepted(numberOf(see('1', 'a')), ACCEPTED);
  expect(duplicates.isOn).toBe(true);
  duplicates.reconfigure({ ms: 0, entries: 1000 });
  expect(duplicates.isOn).toBe(false);
  duplicates.reconfigure({ ms: MINUTES, entries: 1000 });
  expect(see('1', 'a')?.kind).toBe('new');
});

test('what the process before stored is known until its time is over', () => {
  const { clock, duplicates, see } = bench({ ms: MINUTES });
  for (const [body, age] of [
    ['a', 0],
    ['b', 30_000],
  ] as const) {
    duplicates.recall(Buffer.from(fingerprintOf(Buffer.from(body)), 'latin1'), age);
  }
  expect(see('1', 'a')).toEqual({ kind: 'stored' });
  expect(see('2', 'b')).toEqual({ kind: 'stored' });
  expect(see('3', 'c')?.kind).toBe('new');
  clock.time += 30_000;
  expect(see('1', 'a')?.kind).toBe('stored');
  expect(see('2', 'b')?.kind).toBe('new');
  clock.time += 30_000;
  expect(see('1', 'a')?.kind).toBe('new');
});

test('the fingerprint is the SHA-256 of the message', () => {
  // FIPS 180-4, example "abc".
  const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  expect(Buffer.from(fingerprintOf(Buffer.from('abc')), 'latin1').toString('hex')).toBe(expected);
});

/** What the table says, from a list of all messages that came. */
class Reference {
  readonly came: { id: string; body: string; at: number; decided: 'no' | 'accepted' | 'forgotten' }[] = [];
  readonly #entries: number;
  readonly #ms: number;

  constructor(entries: number, ms: number) {
    this.#entries = entries;
    this.#ms = ms;
  }

  see(id: string, body: string, now: number): Sight<number>['kind'] {
    const known = this.came.slice(-this.#entries).filter((one) => one.id === id && now - one.at < this.#ms);
    const before = known.at(-1);
    if (before?.body === body && before.decided === 'no') return 'in flight';
    if (before?.body === body && before.decided === 'accepted') return 'answered';
    this.came.push({ id, body, at: now, decided: 'no' });
    return before && before.body !== body ? 'changed' : 'new';
  }
}

test('the table agrees with a list of all messages, over any row of events', () => {
  const event = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ id: fc.constantFrom('1', '2', '3', '4'), body: fc.constantFrom('a', 'b') }),
    },
    { weight: 2, arbitrary: fc.record({ decide: fc.nat(), isAccepted: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ pass: fc.integer({ min: 0, max: 60 }) }) },
  );
  const row = fc.array(event, { maxLength: 60 });
  const settings = fc.record({ ms: fc.constantFrom(50, 1000), entries: fc.integer({ min: 1, max: 6 }) });
  fc.assert(
    fc.property(settings, row, ({ ms, entries }, events) => {
      let time = 1000;
      const duplicates = new Duplicates<number>({ ms, entries }, () => time);
      const reference = new Reference(entries, ms);
      const numbers: number[] = [];
      for (const one of events) {
        if ('pass' in one) {
          time += one.pass;
        } else if ('decide' in one) {
          const index = one.decide % Math.max(numbers.length, 1);
          const message = reference.came[index];
          if (message?.decided !== 'no') continue;
          message.decided = one.isAccepted ? 'accepted' : 'forgotten';
          if (one.isAccepted) duplicates.accepted(numbers[index]!, Buffer.from(`${index}`));
          else duplicates.forget(numbers[index]!);
        } else {
          const fingerprint = fingerprintOf(Buffer.from(one.body));
          const expected = reference.see(one.id, one.body, time);
          const sight = duplicates.see('LAB^WARD', one.id, fingerprint, numbers.length)!;
          expect(sight.kind).toBe(expected);
          if ('number' in sight) numbers.push(sight.number);
          const latest = reference.came.findLastIndex(({ id }) => id === one.id);
          if (sight.kind === 'in flight') expect(sight.first).toBe(latest);
          if (sight.kind === 'answered') expect(sight.answer.toString()).toBe(`${latest}`);
        }
      }
    }),
    { numRuns: 500 },
  );
});
