import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { InboundStream } from '../../../src/frontends/hl7/inbound-stream.ts';

test('a stream that was shortened keeps how it begins and nothing else, and goes on', () => {
  const stream = new InboundStream(Buffer.from('MSH|^~\\&|invented\rOBX|'), () => {});
  const told: string[] = [];
  const reader = {
    part: (bytes: Buffer) => told.push(String(bytes)),
    end: () => told.push('end'),
    broken: (why: string) => told.push(why),
  };
  stream.shorten(17);
  expect(String(stream.beginning)).toBe('MSH|^~\\&|invented');
  expect(stream.beginning.buffer.byteLength).toBeLessThan(256 * 1024);
  expect(stream.rewind()).toBe(false);
  stream.next(reader);
  stream.add(Buffer.from('part'));
  expect(stream.rewind()).toBe(false);
  stream.next(reader);
  stream.end();
  expect(told).toEqual(['part', 'end']);
});
