import { expect, test } from 'vitest';
import { encodeFrame, frameLength, writeFrame } from '../../../protocols/hl7/mllp.ts';

test('a frame is 0B, content, 1C 0D', () => {
  expect(encodeFrame(Buffer.from('MSH|'))).toEqual(Buffer.from('\x0bMSH|\x1c\r'));
  expect(encodeFrame(Buffer.alloc(0))).toEqual(Buffer.from('\x0b\x1c\r'));
  expect(frameLength(4)).toBe(7);
});

test('frames are written one behind the other into one buffer', () => {
  const target = Buffer.alloc(14);
  const after = writeFrame(target, 0, Buffer.from('MSH|'));
  expect(after).toBe(7);
  expect(writeFrame(target, after, Buffer.from('MSA|'), { startBlock: 2, endBlock: 3 })).toBe(14);
  expect(target.toString('latin1')).toBe('\x0bMSH|\x1c\r\x02MSA|\x03\r');
});
