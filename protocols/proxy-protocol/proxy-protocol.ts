/**
 * The PROXY protocol (haproxy.org, "The PROXY protocol, versions 1 & 2"): a header before a connection's own bytes, by
 * which a proxy says for whom it connects.
 *
 * Version 1 (section 2.1) is a line of at most 107 bytes:
 *
 *     PROXY TCP4 192.0.2.1 198.51.100.7 51234 443 CR LF
 *     PROXY TCP6 2001:db8::1 2001:db8::7 51234 443 CR LF
 *     PROXY UNKNOWN anything CR LF
 *
 * Version 2 (section 2.2) is binary:
 *
 *     12  signature 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
 *      1  version 2 in the upper, command in the lower four bits: 0 LOCAL, 1 PROXY
 *      1  address family and transport: 00 unspecified; 1x IPv4, 2x IPv6, 3x unix; x1 stream, x2 datagram
 *      2  length of what follows
 *         addresses: source, destination, and for IPv4 and IPv6 the two ports
 *         TLVs: type 1, length 2, value - until the end
 */

/** One end of a connection. */
export interface ProxyEndpoint {
  readonly host: string;
  readonly port: number;
}

export interface ProxyHeader {
  readonly version: 1 | 2;
  /**
   * For whom the proxy connects, and where that client had connected to. Undefined when the proxy connects for itself
   * (LOCAL), or names nothing that has an IP address: then the connection's own ends count.
   */
  readonly source: ProxyEndpoint | undefined;
  readonly destination: ProxyEndpoint | undefined;
}

/** Longest header of version 1, CR LF included. */
export const V1_LONGEST = 107;

export const V2_SIGNATURE = Uint8Array.of(
  0x0d,
  0x0a,
  0x0d,
  0x0a,
  0x00,
  0x0d,
  0x0a,
  0x51,
  0x55,
  0x49,
  0x54,
  0x0a,
);
/** Bytes before the addresses. */
export const V2_FIXED = 16;
/** Longest that we accept behind those; what proxies send is a few hundred bytes, with a certificate a few thousand. */
export const V2_LENGTH_CAP = 16 * 1024 - V2_FIXED;

export const V2_LOCAL = 0x20;
export const V2_PROXY = 0x21;
export const V2_UNSPECIFIED = 0x00;
export const V2_TCP4 = 0x11;
export const V2_TCP6 = 0x21;

/** Section 2.2.3: the checksum of the whole header, with this value as zeros. */
export const V2_TYPE_CRC32C = 0x03;

/** What was wrong: `tls` and `other` when the first bytes are no PROXY header at all. */
export type ProxyHeaderFaultKind = 'tls' | 'other' | 'malformed';

export class ProxyHeaderFault extends Error {
  readonly kind: ProxyHeaderFaultKind;

  constructor(kind: ProxyHeaderFaultKind, message: string) {
    super(message);
    this.name = 'ProxyHeaderFault';
    this.kind = kind;
  }
}
