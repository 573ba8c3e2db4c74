import fc from 'fast-check';
import { expect, it, test } from 'vitest';
import { formatAddress, parseAddress } from '../../../protocols/proxy-protocol/address.ts';
import { V1_LONGEST } from '../../../protocols/proxy-protocol/proxy-protocol.ts';
import { createProxyHeaderReader } from '../../../protocols/proxy-protocol/read.ts';
import { writeProxyHeader } from '../../../protocols/proxy-protocol/write.ts';
import { ENDS, TCP4, v2 } from './headers.ts';

const V6 = { host: '2001:db8::7', port: 443 };

it('writes version 1', () => {
  const write = (source: string, destination: string) =>
    writeProxyHeader(1, {
      source: { host: source, port: 1 },
      destination: { host: destination, port: 65_535 },
    });
  expect(String(write('192.0.2.1', '198.51.100.7'))).toBe('PROXY TCP4 192.0.2.1 198.51.100.7 1 65535\r\n');
  expect(String(write('fe80::1%eth0', '::'))).toBe('PROXY TCP6 fe80::1 :: 1 65535\r\n');
  expect(String(write('192.0.2.1', '2001:DB8::7'))).toBe(
    'PROXY TCP6 ::ffff:192.0.2.1 2001:db8::7 1 65535\r\n',
  );
});

it('writes version 2', () => {
  expect(writeProxyHeader(2, ENDS)).toEqual(v2(0x21, 0x11, TCP4));
  const mixed = writeProxyHeader(2, { ...ENDS, destination: V6 });
  const addresses = `${'0'.repeat(20)}ffffc0000201${'20010db8000000000000000000000007'}`;
  expect(mixed).toEqual(v2(0x21, 0x21, Buffer.from(`${addresses}c82401bb`, 'hex')));
});

it.each([[undefined], [{ source: { host: '', port: 0 }, destination: V6 }]])(
  'says that we connect for ourselves when there is no client with an address',
  (connection) => {
    expect(String(writeProxyHeader(1, connection))).toBe('PROXY UNKNOWN\r\n');
    expect(writeProxyHeader(2, connection)).toEqual(v2(0x20, 0, Buffer.alloc(0)));
  },
);

test('what is written is read again, within the longest line', () => {
  const endpoint = fc.record({ host: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.nat(0xffff) });
  const version = fc.constantFrom(1 as const, 2 as const);
  const canonical = ({ host, port }: { host: string; port: number }) => ({
    host: formatAddress(parseAddress(host)!),
    port,
  });
  fc.assert(
    fc.property(version, endpoint, endpoint, (which, source, destination) => {
      const header = writeProxyHeader(which, { source, destination });
      if (which === 1) expect(header.length).toBeLessThanOrEqual(V1_LONGEST);
      expect(createProxyHeaderReader().push(header)).toEqual({
        header: { version: which, source: canonical(source), destination: canonical(destination) },
        rest: Buffer.alloc(0),
      });
    }),
  );
});
