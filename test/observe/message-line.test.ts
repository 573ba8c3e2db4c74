import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MessageEvent } from '../../src/observe/events.ts';
import { messageLine } from '../../src/observe/message-line.ts';

const text = fc.string({ unit: 'binary' });
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
  ms: fc.nat().map((tenths) => tenths / 10),
});

test('property: a line is one line of JSON that says what the event says, in the order of the event', () => {
  fc.assert(
    fc.property(event, (one) => {
      const line = messageLine(one, one.reason, one.detail);
      expect(line.indexOf('\n')).toBe(line.length - 1);
      const { level, time, msg, ...said } = JSON.parse(line);
      expect({ level, msg }).toEqual({ level: 'info', msg: 'message' });
      expect(new Date(time).toISOString()).toBe(time);
      expect(JSON.stringify(said)).toBe(JSON.stringify(one));
    }),
  );
});
