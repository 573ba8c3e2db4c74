import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { crc32c } from '../../../protocols/proxy-protocol/crc32c.ts';
import { ProxyHeaderFault } from '../../../protocols/proxy-protocol/proxy-protocol.ts';
import { createProxyHeaderReader } from '../../../protocols/proxy-protocol/read.ts';
import { writeProxyHeader } from '../../../protocols/proxy-protocol/write.ts';
import { ENDS, readChunks, TCP4, tlv, v2, withChecksum } from './headers.ts';

const LINE = 'PROXY TCP4 192.0.2.1 198.51.100.7 51236 443\r\n';
const NOBODY = { source: undefined, destination: undefined };
const PAYLOAD = Buffer.from('GET / HTTP/1.1\r\n');

function read(bytes: Buffer | string) {
  const found = createProxyHeaderReader().push(Buffer.from(bytes as string, 'latin1'));
  return found && { ...found.header, rest: found.rest.toString('latin1') };
}

describe('version 1', () => {
  it.each([
    ['IPv4', LINE, ENDS],
    [
      'IPv6',
      'PROXY TCP6 2001:db8::1 2001:DB8:0::7 1 65535\r\n',
      { source: { host: '2001:db8::1', port: 1 }, destination: { host: '2001:db8::7', port: 65_535 } },
    ],
    ['UNKNOWN', 'PROXY UNKNOWN\r\n', NOBODY],
    ['UNKNOWN with anything', `PROXY UNKNOWN ${'f'.repeat(91)}\r\n`, NOBODY],
    ['IPv4 in IPv6 clothes', 'PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 51236 443\r\n', ENDS],
  ])('%s', (_, line, ends) => {
    expect(read(`${line}rest`)).toEqual({ version: 1, ...ends, rest: 'rest' });
  });

  it.each([
    ['no CR', LINE.replace('\r', ''), 'the line does not end with CR LF'],
    ['107 bytes and no end', `PROXY UNKNOWN ${'f'.repeat(93)}`, 'the line has more than 107 bytes'],
    ['an end at byte 108', `PROXY UNKNOWN ${'f'.repeat(92)}\r\n`, 'the line has more than 107 bytes'],
    ['another family', LINE.replace('TCP4', 'UDP4'), 'the family is neither TCP4, TCP6 nor UNKNOWN'],
    ['lower case', LINE.replace('TCP4', 'tcp4'), 'the family is neither TCP4, TCP6 nor UNKNOWN'],
    ['an address of the other family', LINE.replace('TCP4', 'TCP6'), 'an address is not of the family'],
    ['a name', LINE.replace('192.0.2.1', 'client'), 'an address is not of the family'],
    ['a zone', 'PROXY TCP6 fe80::1%lo ::1 1 2\r\n', 'an address is not of the family'],
    ['two spaces', LINE.replace('TCP4 ', 'TCP4  '), 'has too many fields'],
    ['a field too many', LINE.replace('\r', ' 1\r'), 'has too many fields'],
    ['a field too few', LINE.replace(' 443', ''), 'a port is no number up to 65535'],
    ['port 65536', LINE.replace('443', '65536'), 'a port is no number up to 65535'],
    ['a negative port', LINE.replace('443', '-1'), 'a port is no number up to 65535'],
  ])('%s is malformed', (_, line, what) => {
    expect(() => read(line)).toThrow(what);
  });
});

describe('version 2', () => {
  it.each([
    ['IPv4', v2(0x21, 0x11, TCP4), ENDS],
    ['IPv4, datagrams', v2(0x21, 0x12, TCP4), ENDS],
    [
      'IPv6',
      v2(0x21, 0x21, Buffer.from(`20010db8${'0'.repeat(23)}1${'0'.repeat(31)}1c82401bb`, 'hex')),
      { source: { host: '2001:db8::1', port: 51_236 }, destination: { host: '::1', port: 443 } },
    ],
    ['unix sockets', v2(0x21, 0x31, Buffer.alloc(216, '/x')), NOBODY],
    ['unspecified', v2(0x21, 0x00, Buffer.alloc(0)), NOBODY],
    ['unspecified, with bytes', v2(0x21, 0x00, tlv(4, Buffer.alloc(9))), NOBODY],
    ['LOCAL', v2(0x20, 0x00, Buffer.alloc(0)), NOBODY],
    ['LOCAL with what is to be ignored', v2(0x20, 0x99, Buffer.alloc(50, 0xff)), NOBODY],
    ['TLVs', v2(0x21, 0x11, Buffer.concat([TCP4, tlv(1, PAYLOAD), tlv(0xe0, Buffer.alloc(300))])), ENDS],
    ['the longest', v2(0x21, 0x11, Buffer.concat([TCP4, tlv(4, Buffer.alloc(16 * 1024 - 31))])), ENDS],
    ['a checksum', withChecksum(tlv(1, PAYLOAD)), ENDS],
  ])('%s', (_, header, ends) => {
    const found = read(Buffer.concat([header, PAYLOAD]));
    expect(found).toEqual({ version: 2, ...ends, rest: PAYLOAD.toString() });
  });

  it.each([
    ['version 3', v2(0x31, 0x11, TCP4), 'the version is not 2'],
    ['an unknown command', v2(0x22, 0x11, TCP4), 'the command is neither LOCAL nor PROXY'],
    ['an unknown family', v2(0x21, 0x41, TCP4), 'the address family is unknown'],
    ['IPv4 without a transport', v2(0x21, 0x10, TCP4), 'the address family is unknown'],
    ['a lying length: no room for addresses', v2(0x21, 0x11, TCP4, 11), 'no room for the addresses'],
    ['a lying length: over the cap', v2(0x21, 0x11, TCP4, 16 * 1024 - 15), 'more than 16368'],
    [
      'a lying length: half a TLV',
      v2(0x21, 0x11, Buffer.concat([TCP4, tlv(1, PAYLOAD)]), 20),
      'a TLV is longer',
    ],
    ['half a TLV header', v2(0x21, 0x11, Buffer.concat([TCP4, Buffer.of(4, 0)])), 'a TLV is longer'],
    ['a wrong checksum', withChecksum(tlv(1, PAYLOAD), 1), 'the checksum is wrong'],
    [
      'a checksum of three bytes',
      v2(0x21, 0x11, Buffer.concat([TCP4, tlv(3, Buffer.alloc(3))])),
      'the checksum is wrong',
    ],
  ])('%s is malformed', (_, header, what) => {
    expect(() => read(header)).toThrow(what);
  });
});

describe('what is no PROXY header', () => {
  it.each([
    ['a TLS ClientHello', Buffer.of(0x16, 3, 1), 'tls'],
    ['HTTP', 'GET / HTTP/1.1\r\n', 'other'],
    ['POST, which begins alike', 'POST', 'other'],
    ['DICOM', Buffer.of(1, 0, 0), 'other'],
    ['a signature with a wrong end', v2(0x21, 0x11, TCP4).fill(0, 11, 12), 'other'],
  ])('%s', (_, bytes, kind) => {
    expect(() => read(bytes)).toThrow(ProxyHeaderFault);
    expect(() => read(bytes)).toThrow(expect.objectContaining({ kind }));
  });

  it('is told at the first byte that cannot be right', () => {
    const reader = createProxyHeaderReader();
    expect(reader.push(Buffer.from('P'))).toBeUndefined();
    expect(reader.push(Buffer.from('RO'))).toBeUndefined();
    expect(() => reader.push(Buffer.from('B'))).toThrow('its first bytes are no PROXY protocol header');
  });

  it('is refused by its announced length before anything of it is kept', () => {
    expect(() => read(v2(0x21, 0x11, Buffer.alloc(0), 0xffff))).toThrow('65535 bytes are announced');
  });
});

const endpoint = fc.record({ host: fc.oneof(fc.ipV4(), fc.ipV6()), port: fc.nat(0xffff) });
const headers = fc.oneof(
  fc
    .tuple(fc.constantFrom(1 as const, 2 as const), endpoint, endpoint)
    .map(([version, source, destination]) => writeProxyHeader(version, { source, destination })),
  fc.uint8Array({ maxLength: 600 }).map((value) => withChecksum(tlv(0xe0, value))),
  fc.constantFrom(Buffer.from('PROXY UNKNOWN\r\n'), v2(0x20, 0, Buffer.alloc(7))),
);

test('any cut of the bytes reads the same', () => {
  fc.assert(
    fc.property(headers, fc.uint8Array({ maxLength: 40 }), fc.array(fc.nat(700)), (header, payload, cuts) => {
      const bytes = Buffer.concat([header, payload]);
      const edges = [...new Set([0, ...cuts.map((cut) => cut % bytes.length), bytes.length])].toSorted(
        (a, b) => a - b,
      );
      const chunks = edges.slice(1).map((end, at) => bytes.subarray(edges[at], end));
      const whole = createProxyHeaderReader().push(bytes)!;
      const oneByOne = [...bytes].map((byte) => Buffer.of(byte));
      for (const some of [chunks, oneByOne]) {
        const found = readChunks(some)!;
        expect(found.header).toEqual(whole.header);
        expect(found.rest.equals(Buffer.from(payload))).toBe(true);
      }
    }),
  );
});

test('no beginning of a header is a header', () => {
  fc.assert(
    fc.property(headers, fc.nat(), (header, cut) => {
      expect(createProxyHeaderReader().push(header.subarray(0, cut % header.length))).toBeUndefined();
    }),
  );
});

test('a corrupted byte is refused, or read as another header, and never as more than there is', () => {
  fc.assert(
    fc.property(headers, fc.nat(), fc.integer({ min: 1, max: 255 }), (header, at, change) => {
      const bytes = Buffer.from(header);
      bytes[at % bytes.length]! ^= change;
      try {
        const found = createProxyHeaderReader().push(bytes);
        if (found) expect(found.rest.length).toBeLessThan(bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(ProxyHeaderFault);
      }
    }),
    { numRuns: 2000 },
  );
});

test('with a checksum every corrupted byte behind the length is noticed', () => {
  const header = withChecksum(tlv(1, PAYLOAD));
  for (let at = 16; at < header.length; at += 1) {
    const bytes = Buffer.from(header);
    bytes[at]! ^= 0x20;
    // The TLV of the checksum itself, made another one, is skipped as any other.
    if (at === 28) continue;
    expect(() => read(bytes), `byte ${at}`).toThrow('malformed');
  }
});

test('CRC-32C is that of RFC 9260', () => {
  // The check value of the catalogue of CRCs, and the test vectors of RFC 3720 B.4.
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  expect(crc32c(Buffer.from('00000xxxx'), 5, 9)).toBe(crc32c(Buffer.from('00000\0\0\0\0')));
});
