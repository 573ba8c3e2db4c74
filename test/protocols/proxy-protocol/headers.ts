/** PROXY protocol headers of a test's own making. */
import { crc32c } from '../../../protocols/proxy-protocol/crc32c.ts';
import { V2_SIGNATURE } from '../../../protocols/proxy-protocol/proxy-protocol.ts';
import { createProxyHeaderReader, type ProxyHeaderRead } from '../../../protocols/proxy-protocol/read.ts';

export const TCP4 = Buffer.from('c0000201c6336407c82401bb', 'hex');
/** What `TCP4` says. */
export const ENDS = {
  source: { host: '192.0.2.1', port: 51_236 },
  destination: { host: '198.51.100.7', port: 443 },
};

/** Version 2; `announced` lies about the length. */
export function v2(command: number, family: number, content: Uint8Array, announced = content.length): Buffer {
  return Buffer.from([...V2_SIGNATURE, command, family, announced >>> 8, announced & 0xff, ...content]);
}

export function tlv(type: number, value: Uint8Array): Buffer {
  return Buffer.from([type, value.length >>> 8, value.length & 0xff, ...value]);
}

/** The header with its checksum, which `change` may falsify, as the first TLV behind 12 bytes of addresses. */
export function withChecksum(content: Uint8Array, change = 0): Buffer {
  const header = v2(0x21, 0x11, Buffer.concat([TCP4, tlv(3, Buffer.alloc(4)), content]));
  header.writeUInt32BE((crc32c(header) ^ change) >>> 0, 16 + 12 + 3);
  return header;
}

/** Reads a header that comes in these chunks; what followed it in all of them is joined. */
export function readChunks(chunks: readonly Buffer[]): ProxyHeaderRead | undefined {
  const reader = createProxyHeaderReader();
  for (const [at, chunk] of chunks.entries()) {
    const found = reader.push(chunk);
    if (found) return { header: found.header, rest: Buffer.concat([found.rest, ...chunks.slice(at + 1)]) };
  }
  return undefined;
}
