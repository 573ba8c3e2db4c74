/** Reads the header that a proxy puts before a connection's bytes (layout in `proxy-protocol.ts`). */
import { GrowingBuffer } from '../bytes/growing-buffer.ts';
import { formatAddress, parseAddress } from './address.ts';
import { crc32c } from './crc32c.ts';
import {
  type ProxyEndpoint,
  type ProxyHeader,
  ProxyHeaderFault,
  V1_LONGEST,
  V2_FIXED,
  V2_LENGTH_CAP,
  V2_LOCAL,
  V2_PROXY,
  V2_SIGNATURE,
  V2_TYPE_CRC32C,
} from './proxy-protocol.ts';

export interface ProxyHeaderRead {
  readonly header: ProxyHeader;
  /** What followed in the same chunk: a view, valid as long as the chunk. */
  readonly rest: Buffer;
}

export interface ProxyHeaderReader {
  /**
   * Takes the next bytes of a connection; returns the header when it is whole, and is of no more use then. Throws
   * ProxyHeaderFault, with a sentence without peer text, at the first byte that cannot be right, and before anything is
   * kept beyond the longest header.
   */
  push(bytes: Buffer): ProxyHeaderRead | undefined;
}

export function createProxyHeaderReader(): ProxyHeaderReader {
  return new Reader();
}

interface Parsed {
  readonly header: ProxyHeader;
  /** Bytes of the header. */
  readonly length: number;
}

class Reader implements ProxyHeaderReader {
  readonly #collected = new GrowingBuffer();

  push(bytes: Buffer): ProxyHeaderRead | undefined {
    const before = this.#collected.length;
    let header = bytes;
    if (before > 0) {
      // A header that is not whole is shorter than the longest: so much more decides.
      this.#collected.append(bytes, 0, Math.min(bytes.length, V2_FIXED + V2_LENGTH_CAP));
      header = this.#collected.view();
    }
    const parsed = parse(header);
    if (parsed) return { header: parsed.header, rest: bytes.subarray(parsed.length - before) };
    if (before === 0) this.#collected.append(bytes, 0, bytes.length);
    return undefined;
  }
}

const V1_PREFIX = Buffer.from('PROXY ');
/** First byte of a TLS record that carries a handshake (RFC 8446 5.1). */
const TLS_HANDSHAKE = 0x16;

/** Undefined when more bytes are needed. */
function parse(bytes: Buffer): Parsed | undefined {
  if (bytes.length === 0) return undefined;
  if (begins(bytes, V1_PREFIX)) return parseV1(bytes);
  if (begins(bytes, V2_SIGNATURE)) return parseV2(bytes);
  if (bytes[0] === TLS_HANDSHAKE) {
    throw new ProxyHeaderFault('tls', 'it speaks TLS at once, where a PROXY protocol header was expected');
  }
  throw new ProxyHeaderFault('other', 'its first bytes are no PROXY protocol header');
}

/** Do the bytes there are agree with `prefix`? */
function begins(bytes: Buffer, prefix: Uint8Array): boolean {
  const length = Math.min(bytes.length, prefix.length);
  for (let at = 0; at < length; at += 1) if (bytes[at] !== prefix[at]) return false;
  return true;
}

function parseV1(bytes: Buffer): Parsed | undefined {
  const end = bytes.subarray(0, V1_LONGEST).indexOf('\n');
  if (end < 0) {
    if (bytes.length >= V1_LONGEST) throw malformed(`the line has more than ${V1_LONGEST} bytes`);
    return undefined;
  }
  if (bytes[end - 1] !== 0x0d) throw malformed('the line does not end with CR LF');
  const [, family, source, destination, sourcePort, destinationPort, ...more] = bytes
    .toString('latin1', 0, end - 1)
    .split(' ');
  const length = end + 1;
  if (family === 'UNKNOWN') return { header: NOBODY_V1, length };
  if (family !== 'TCP4' && family !== 'TCP6') throw malformed('the family is neither TCP4, TCP6 nor UNKNOWN');
  if (more.length > 0) throw malformed('the line has too many fields');
  const size = family === 'TCP4' ? 4 : 16;
  return {
    header: {
      version: 1,
      source: endpointV1(source, sourcePort, size),
      destination: endpointV1(destination, destinationPort, size),
    },
    length,
  };
}

const NOBODY_V1: ProxyHeader = { version: 1, source: undefined, destination: undefined };
const NOBODY_V2: ProxyHeader = { version: 2, source: undefined, destination: undefined };

function endpointV1(host = '', port = '', size: number): ProxyEndpoint {
  const address = host.includes('%') ? undefined : parseAddress(host);
  if (address?.length !== size) throw malformed('an address is not of the family that the line names');
  if (!/^\d{1,5}$/.test(port) || Number(port) > 0xffff) throw malformed('a port is no number up to 65535');
  return { host: formatAddress(address), port: Number(port) };
}

/** Family and transport → bytes of the addresses. Section 2.2: what is not listed is refused. */
const V2_ADDRESSES = new Map([
  [0x00, 0],
  [0x11, 12],
  [0x12, 12],
  [0x21, 36],
  [0x22, 36],
  [0x31, 216],
  [0x32, 216],
]);

function parseV2(bytes: Buffer): Parsed | undefined {
  const [versionAndCommand, family] = [bytes[12], bytes[13]];
  if (versionAndCommand === undefined) return undefined;
  if (versionAndCommand !== V2_LOCAL && versionAndCommand !== V2_PROXY) {
    throw malformed('the version is not 2, or the command is neither LOCAL nor PROXY');
  }
  if (family === undefined) return undefined;
  if (bytes.length < V2_FIXED) return undefined;
  const announced = bytes.readUInt16BE(14);
  if (announced > V2_LENGTH_CAP)
    throw malformed(`${announced} bytes are announced, more than ${V2_LENGTH_CAP}`);
  const length = V2_FIXED + announced;
  // Of LOCAL everything else is to be ignored, the family too.
  const addresses = versionAndCommand === V2_LOCAL ? 0 : V2_ADDRESSES.get(family);
  if (addresses === undefined) throw malformed('the address family is unknown');
  if (announced < addresses) throw malformed('the length has no room for the addresses');
  if (bytes.length < length) return undefined;
  if (versionAndCommand === V2_LOCAL) return { header: NOBODY_V2, length };
  checkTlvs(bytes.subarray(0, length), V2_FIXED + addresses);
  return { header: addressesV2(bytes, addresses), length };
}

function addressesV2(bytes: Buffer, addresses: number): ProxyHeader {
  // Unix paths and the unspecified family name nobody that has an address.
  if (addresses !== 12 && addresses !== 36) return NOBODY_V2;
  const size = (addresses - 4) / 2;
  const ports = V2_FIXED + 2 * size;
  const endpoint = (index: 0 | 1): ProxyEndpoint => ({
    host: formatAddress(bytes.subarray(V2_FIXED + index * size, V2_FIXED + (index + 1) * size)),
    port: bytes.readUInt16BE(ports + 2 * index),
  });
  return { version: 2, source: endpoint(0), destination: endpoint(1) };
}

/** The TLVs must fill the header exactly; none is used, but a checksum must be right. */
function checkTlvs(header: Buffer, from: number): void {
  let at = from;
  while (at < header.length) {
    const value = at + 3;
    const end = value <= header.length ? value + header.readUInt16BE(at + 1) : value;
    if (end > header.length) throw malformed('a TLV is longer than the header');
    if (header[at] === V2_TYPE_CRC32C) {
      const isRight = end - value === 4 && header.readUInt32BE(value) === crc32c(header, value, end);
      if (!isRight) throw malformed('the checksum is wrong');
    }
    at = end;
  }
}

function malformed(what: string): ProxyHeaderFault {
  return new ProxyHeaderFault('malformed', `its PROXY protocol header is malformed: ${what}`);
}
