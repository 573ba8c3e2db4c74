import { expect, test } from 'vitest';
import { latin1, partStart, seek } from '../../../protocols/hl7/parts.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

test.each([0, 1, 63, 64, 65, 200])('a byte %i bytes away is found, and not beyond the end', (distance) => {
  const bytes = bytesOf(`${'x'.repeat(distance)}|xx|`);
  expect(seek(bytes, 0x7c, 0, bytes.length)).toBe(distance);
  expect(seek(bytes, 0x7c, 0, distance + 1)).toBe(distance);
  expect(seek(bytes, 0x7c, 0, distance)).toBe(distance);
  expect(seek(bytes, 0x7c, 0, distance >> 1)).toBe(distance >> 1);
  expect(seek(bytes, 0x5e, 0, bytes.length)).toBe(bytes.length);
});

test('a separator that the message does not have is nowhere', () => {
  const bytes = Buffer.alloc(200, 0xff);
  expect(seek(bytes, -1, 0, 200)).toBe(200);
  expect(partStart(bytes, -1, 1, 0, 200)).toBe(0);
  expect(partStart(bytes, -1, 2, 0, 200)).toBe(-1);
});

test('parts, long and short, empty ones too', () => {
  const bytes = bytesOf(`a^^${'b'.repeat(100)}^|^`);
  const end = bytes.indexOf(0x7c);
  expect([1, 2, 3, 4, 5].map((part) => partStart(bytes, 0x5e, part, 0, end))).toEqual([0, 2, 3, 104, -1]);
});

test.each([0, 3, 12, 13, 100])('%i bytes as a string', (length) => {
  const text = 'a\0\xe4\xff'.repeat(25).slice(0, length);
  expect(latin1(bytesOf(`--${text}--`), 2, 2 + length)).toBe(text);
});
