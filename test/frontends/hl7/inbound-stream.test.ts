import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { InboundStream } from '../../../src/frontends/hl7/inbound-stream.ts';

test('a stream that was shortened keeps how it begins and nothing else, and goes on', () => {
  const beginning = Buffer.alloc(256 * 1024, 'MSH|^~\\&|invented\rOBX|');
  const stream = new InboundStream(beginning, () => {});
  const told: string[] = [];
  const reader = {
    part: (bytes: Buffer) => told.push(String(bytes)),
    end: () => told.push('end'),
    broken: (why: string) => told.push(why),
  };
  stream.shorten(17);
  expect(String(stream.beginning)).toBe('MSH|^~\\&|invented');
  // Its memory is free.
  expect(beginning.length).toBe(0);
  expect(stream.rewind()).toBe(false);
  stream.next(reader);
  stream.add(Buffer.from('part'));
  expect(stream.rewind()).toBe(false);
  stream.next(reader);
  stream.end();
  expect(told).toEqual(['part', 'end']);
});

test('a beginning that shares its memory with others is left as it is', () => {
  const shared = Buffer.alloc(64 * 1024, 'MSH|');
  const stream = new InboundStream(shared.subarray(0, 100), () => {});
  stream.shorten(4);
  expect(String(stream.beginning)).toBe('MSH|');
  expect(shared.length).toBe(64 * 1024);
});
