/** Writes the header that tells a server for whom we connect (layout in `proxy-protocol.ts`). */
import { ByteWriter } from '../bytes/writer.ts';
import { formatAddress, mapped, parseAddress } from './address.ts';
import {
  type ProxyEndpoint,
  V2_LOCAL,
  V2_PROXY,
  V2_SIGNATURE,
  V2_TCP4,
  V2_TCP6,
  V2_UNSPECIFIED,
} from './proxy-protocol.ts';

export interface ProxiedConnection {
  /** The client. */
  readonly source: ProxyEndpoint;
  /** Where it connected to. */
  readonly destination: ProxyEndpoint;
}

/**
 * The header for a connection made for a client; without `connection`, or when its addresses are no IP addresses, for
 * one that we make for ourselves (version 1: UNKNOWN, version 2: LOCAL).
 */
export function writeProxyHeader(version: 1 | 2, connection?: ProxiedConnection): Buffer {
  let source = connection && parseAddress(connection.source.host);
  let destination = connection && parseAddress(connection.destination.host);
  if (!source || !destination)
    return version === 1 ? Buffer.from('PROXY UNKNOWN\r\n') : writeV2(V2_LOCAL, []);
  const isIPv4 = source.length === 4 && destination.length === 4;
  if (!isIPv4) {
    source = mapped(source);
    destination = mapped(destination);
  }
  const [sourcePort, destinationPort] = [connection!.source.port, connection!.destination.port];
  if (version === 1) {
    const hosts = [source, destination].map((address) => textV1(address)).join(' ');
    return Buffer.from(`PROXY ${isIPv4 ? 'TCP4' : 'TCP6'} ${hosts} ${sourcePort} ${destinationPort}\r\n`);
  }
  const addresses = new ByteWriter()
    .bytes(source)
    .bytes(destination)
    .uint16(sourcePort)
    .uint16(destinationPort);
  return writeV2(V2_PROXY, addresses.finish(), isIPv4 ? V2_TCP4 : V2_TCP6);
}

/** IPv4 beside IPv6 keeps its IPv6 form there: both addresses of a line are of one family. */
function textV1(address: Uint8Array): string {
  const text = formatAddress(address);
  return address.length === 16 && !text.includes(':') ? `::ffff:${text}` : text;
}

function writeV2(command: number, addresses: ArrayLike<number>, family = V2_UNSPECIFIED): Buffer {
  return new ByteWriter()
    .bytes(V2_SIGNATURE)
    .uint8(command)
    .uint8(family)
    .uint16(addresses.length)
    .bytes(Uint8Array.from(addresses))
    .finish();
}
