import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createInflate } from '../../../src/frontends/dicom/inflate.ts';

const MIB = 1024 * 1024;

/** Bytes that do not compress, the same each time. */
function noise(length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash('sha256').update(String(index)).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

test('a beginning gives the beginning of what was deflated', () => {
  const whole = noise(20_000);
  const stream = deflateRawSync(whole);
  const inflate = createInflate();
  expect(inflate(stream)).toEqual(whole);
  const part = inflate(stream.subarray(0, 10_000))!;
  expect(part.length).toBeGreaterThan(8000);
  expect(part).toEqual(whole.subarray(0, part.length));
  expect(inflate(stream.subarray(0, 1))).toEqual(Buffer.alloc(0));
});

test('no stream, and one that breaks', () => {
  const inflate = createInflate();
  expect(inflate(Buffer.alloc(100, 0xff))).toBeUndefined();
});

test('what stands before millions of zeros is found, and most of them are not inflated', () => {
  const front = noise(9 * 1024);
  const stream = deflateRawSync(Buffer.concat([front, Buffer.alloc(32 * MIB)]));
  const inflated = createInflate()(stream)!;
  expect(inflated.subarray(0, front.length)).toEqual(front);
  expect(inflated.length).toBeGreaterThanOrEqual(4 * MIB);
  expect(inflated.length).toBeLessThanOrEqual(8 * MIB);
});
