import fc from 'fast-check';
import { expect, test } from 'vitest';
import { connectionLine } from '../../src/observe/connection-line.ts';
import type { ConnectionEvent } from '../../src/observe/events.ts';

const text = fc.string({ unit: 'binary' });
const maybe = fc.option(text, { nil: undefined });
const event: fc.Arbitrary<ConnectionEvent> = fc.record({
  vip: text,
  client: text,
  port: fc.nat(65_535),
  pool: maybe,
  server: maybe,
  rule: maybe,
  reason: maybe,
  attempts: fc.nat(),
  bytes: fc.record({ toServer: fc.nat(), toClient: fc.nat() }),
  ms: fc.nat().map((tenths) => tenths / 10),
  end: fc.constantFrom('closed', 'reset', 'cut', 'refused'),
  detail: maybe,
});

test('property: a line is one line of JSON that says what the event says, in the order of the event', () => {
  fc.assert(
    fc.property(event, (one) => {
      const line = connectionLine(one, one.reason, one.detail);
      expect(line).toMatch(/^[ -~]*\n$/);
      const { level, time, msg, ...said } = JSON.parse(line);
      expect({ level, msg }).toEqual({ level: 'info', msg: 'connection' });
      expect(new Date(time).toISOString()).toBe(time);
      expect(JSON.stringify(said)).toBe(JSON.stringify(one));
    }),
  );
});
