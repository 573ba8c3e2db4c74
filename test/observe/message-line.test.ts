import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import type { MessageEvent } from '../../src/observe/events.ts';
import { MessageLine } from '../../src/observe/message-line.ts';

const text = fc.string({ unit: 'binary' });
const number = fc.oneof(
  fc.nat().map((tenths) => tenths / 10),
  fc.constantFrom(0, 9, 10, 99.9, 100, 1e9, 123_456_789_012, -1, 0.25),
);
const event: fc.Arbitrary<MessageEvent> = fc.record({
  vip: text,
  client: text,
  type: text,
  event: text,
  controlId: text,
  sender: text,
  pool: fc.option(text, { nil: undefined }),
  server: fc.option(text, { nil: undefined }),
  rule: fc.option(text, { nil: undefined }),
  reason: fc.option(text, { nil: undefined }),
  attempts: fc.nat(),
  acknowledgement: fc.option(text, { nil: undefined }),
  outcome: text,
  detail: fc.option(text, { nil: undefined }),
  bytes: fc.nat(),
  ms: number,
});

function textOf(line: MessageLine): string {
  const target = Buffer.alloc(3 + line.most);
  return target.toString('latin1', 3, line.put(target, 3));
}

/** Lines much like those before them, and others. */
const row = fc
  .array(fc.tuple(event, fc.array(fc.record({ controlId: text, bytes: number, ms: number }))))
  .map((all) => all.flatMap(([one, others]) => [one, ...others.map((other) => ({ ...one, ...other }))]));

test('property: a line is one line of JSON that says what the event says, in the order of the event', () => {
  fc.assert(
    fc.property(row, (messages) => {
      const lines = new MessageLine();
      for (const one of messages) {
        const line = textOf(lines.of(one, one.reason, one.detail));
        expect(line.indexOf('\n')).toBe(line.length - 1);
        const { level, time, msg, ...said } = JSON.parse(line);
        expect({ level, msg }).toEqual({ level: 'info', msg: 'message' });
        expect(new Date(time).toISOString()).toBe(time);
        expect(JSON.stringify(said)).toBe(JSON.stringify(one));
      }
    }),
  );
});

test('the time is that of the line', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  const lines = new MessageLine();
  const [one] = fc.sample(event, { numRuns: 1, seed: 1 });
  const times = [0, 0, 1, 999].map((pause) => {
    vi.setSystemTime(Date.now() + pause);
    const said = JSON.parse(textOf(lines.of(one!, undefined, undefined))).time;
    return [said, new Date().toISOString()];
  });
  vi.useRealTimers();
  for (const [said, expected] of times) expect(said).toBe(expected);
});
