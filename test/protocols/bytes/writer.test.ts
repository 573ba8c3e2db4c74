import { describe, expect, test } from 'vitest';
import { ByteWriter } from '../../../protocols/bytes/writer.ts';

describe('ByteWriter', () => {
  test('big-endian fields in order', () => {
    const bytes = new ByteWriter()
      .uint8(1)
      .uint16(0x0203)
      .uint32(0xfffefdfc)
      .text('Ä')
      .bytes(Buffer.from([9]))
      .finish();
    expect(bytes.toString('hex')).toBe('010203fffefdfcc409');
  });

  test('a sized part has its length before it, nested ones too', () => {
    const bytes = new ByteWriter()
      .sized((outer) => outer.uint8(7).sized((inner) => inner.text('ab')))
      .finish();
    expect(bytes.toString('hex')).toBe('00050700026162');
  });

  test('a part that is too long for its length field is an error, not a wrong length', () => {
    expect(() => new ByteWriter().sized((part) => part.bytes(Buffer.alloc(65536)))).toThrow(RangeError);
  });

  test('empty', () => {
    expect(
      new ByteWriter()
        .sized(() => {})
        .finish()
        .toString('hex'),
    ).toBe('0000');
  });
});
