import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RequestEvent } from '../../src/observe/events.ts';
import { createKeyedHash } from '../../src/observe/privacy.ts';
import { requestLine } from '../../src/observe/request-line.ts';

const hash = createKeyedHash(Buffer.alloc(32, 7));
const text = fc.string({ unit: 'binary' });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const event: fc.Arbitrary<RequestEvent> = fc.record({
  vip: text,
  client: text,
  id: text,
  method: text,
  host: maybe(text),
  path: maybe(text),
  version: text,
  status: maybe(fc.integer({ min: 100, max: 599 })),
  pool: maybe(text),
  server: maybe(text),
  rule: maybe(text),
  reason: maybe(text),
  attempts: fc.nat(),
  bytes: fc.record({ toServer: fc.nat(), toClient: fc.nat() }),
  ms: fc.nat().map((tenths) => tenths / 10),
  detail: maybe(text),
});

test('property: a line is one line of JSON that says what the event says, the path as a keyed hash', () => {
  fc.assert(
    fc.property(event, (one) => {
      const line = requestLine(one, one.reason, one.detail, hash);
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(line).toMatch(/^[ -~]*\n$/);
      const { level, time, msg, ...said } = JSON.parse(line);
      expect({ level, msg }).toEqual({ level: 'info', msg: 'request' });
      expect(new Date(time).toISOString()).toBe(time);
      const path = one.path === undefined ? undefined : `hash:${hash(one.path)}`;
      expect(JSON.stringify(said)).toBe(JSON.stringify({ ...one, path }));
    }),
  );
});

test('no path gets into a line: the same path is the same hash, and another is another', () => {
  const base: RequestEvent = {
    vip: 'PORTAL',
    client: '192.0.2.7:40000',
    id: 'abc-1',
    method: 'GET',
    host: 'portal.example',
    path: '/patients/INVENTED-0001/studies',
    version: '1.1',
    status: 200,
    pool: 'web',
    server: 'web-1',
    rule: 'routes[1]',
    reason: 'least busy',
    attempts: 1,
    bytes: { toServer: 0, toClient: 5 },
    ms: 1.5,
    detail: undefined,
  };
  const line = (path: string) => requestLine({ ...base, path }, undefined, undefined, hash);
  const shown = (path: string) => (JSON.parse(line(path)) as { path: string }).path;
  expect(line('/patients/INVENTED-0001/studies')).not.toMatch(/patients|INVENTED/);
  expect(shown('/patients/INVENTED-0001/studies')).toMatch(/^hash:[0-9a-f]{16}$/);
  expect(shown('/patients/INVENTED-0001/studies')).toBe(shown('/patients/INVENTED-0001/studies'));
  expect(shown('/patients/INVENTED-0002/studies')).not.toBe(shown('/patients/INVENTED-0001/studies'));
});
