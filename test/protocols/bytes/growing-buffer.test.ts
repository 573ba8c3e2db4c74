import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GrowingBuffer } from '../../../protocols/bytes/growing-buffer.ts';

describe('GrowingBuffer', () => {
  test('holds what was appended, in pieces of any size', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 10 }), (parts) => {
        const buffer = new GrowingBuffer();
        for (const part of parts) buffer.append(part, 0, part.length);
        expect(buffer.view()).toEqual(Buffer.concat(parts));
        expect(buffer.length).toBe(buffer.view().length);
      }),
    );
  });

  test('appends a part of its source', () => {
    const buffer = new GrowingBuffer();
    buffer.append(Buffer.from('abcdefghijklmnopqrstuvwxyz'), 1, 3);
    buffer.append(Buffer.from('abcdefghijklmnopqrstuvwxyz'), 3, 26);
    expect(buffer.view().toString()).toBe('bcdefghijklmnopqrstuvwxyz');
  });

  test('take hands over the bytes and starts anew; clear keeps the memory', () => {
    const buffer = new GrowingBuffer();
    buffer.append(Buffer.from('first'), 0, 5);
    const first = buffer.take();
    buffer.append(Buffer.from('second'), 0, 6);
    expect(first.toString()).toBe('first');
    const before = buffer.view().byteOffset;
    buffer.clear();
    expect(buffer.length).toBe(0);
    buffer.append(Buffer.from('third'), 0, 5);
    expect(buffer.view().toString()).toBe('third');
    expect(buffer.view().byteOffset).toBe(before);
  });

  test('memory grows with what arrived: at most twice that, and a first kilobyte', () => {
    const buffer = new GrowingBuffer();
    const byte = Buffer.alloc(1);
    for (let length = 1; length <= 20_000; length++) {
      buffer.append(byte, 0, 1);
      expect(buffer.view().buffer.byteLength).toBeLessThanOrEqual(Math.max(1024, 2 * length));
    }
  });
});
