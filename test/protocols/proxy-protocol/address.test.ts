import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { formatAddress, mapped, parseAddress } from '../../../protocols/proxy-protocol/address.ts';

const hex = (text: string) => Buffer.from(parseAddress(text) ?? []).toString('hex');

describe('addresses', () => {
  it.each([
    ['192.0.2.1', 'c0000201'],
    ['0.0.0.0', '00000000'],
    ['::', '0'.repeat(32)],
    ['::1', `${'0'.repeat(31)}1`],
    ['2001:db8::7', '20010db8000000000000000000000007'],
    ['2001:DB8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
    ['1::', '0001'.padEnd(32, '0')],
    ['fe80::1%eth0', 'fe80'.padEnd(31, '0').concat('1')],
    ['::ffff:192.0.2.1', `${'0'.repeat(20)}ffffc0000201`],
    ['64:ff9b::192.0.2.1', '0064ff9b0000000000000000c0000201'],
  ])('%s', (text, bytes) => {
    expect(hex(text)).toBe(bytes);
  });

  it.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    ' 1.2.3.4',
    ':',
    ':::',
    '1:2',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    '::1.2.3',
    '1.2.3.4::',
    '::g',
  ])('"%s" is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
    expect(isIP(text)).toBe(0);
  });

  it('shows IPv4 in IPv6 clothes as what it is', () => {
    expect(formatAddress(mapped(parseAddress('192.0.2.1')!))).toBe('192.0.2.1');
  });
});

test('every IPv6 address is written as RFC 5952 says, and read again', () => {
  const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const bytes = Uint8Array.from(groups.flatMap((one) => [one >>> 8, one & 0xff]));
      const text = formatAddress(bytes);
      // As the URL standard writes it, which follows RFC 5952 but for IPv4 inside.
      if (text.includes(':')) {
        expect(`[${text}]`).toBe(
          new URL(`http://[${groups.map((one) => one.toString(16)).join(':')}]`).hostname,
        );
      }
      expect(mapped(parseAddress(text)!)).toEqual(bytes);
    }),
  );
});

test('whatever is read as an address is one for Node too', () => {
  const text = fc.string({ unit: fc.constantFrom(...Array.from('0123456789abf:.')), maxLength: 24 });
  fc.assert(
    fc.property(text, (one) => {
      expect(parseAddress(one)?.length).toBe({ 0: undefined, 4: 4, 6: 16 }[isIP(one)]);
    }),
    { numRuns: 2000 },
  );
});
