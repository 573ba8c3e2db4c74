/** ClientHellos: captured from real clients, and of a test's own making. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { within } from '../../peers/waiting.ts';

/** What a client sends first: `start` is given the port that it shall connect to, and returns what ends it. */
export async function captureHello(start: (port: number) => () => void): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = start((server.address() as AddressInfo).port);
  try {
    const [socket] = await within(once(server, 'connection'), 'a TLS client');
    socket.on('error', () => {});
    const chunks: Buffer[] = [];
    while (!isWhole(Buffer.concat(chunks))) {
      const [chunk] = await within(once(socket, 'data'), 'a ClientHello');
      chunks.push(chunk as Buffer);
    }
    socket.destroy();
    return Buffer.concat(chunks);
  } finally {
    stop();
    server.close();
  }
}

/** Are the records there that the handshake message takes? */
function isWhole(bytes: Buffer): boolean {
  let at = 0;
  let fragments = 0;
  while (bytes.length >= at + 5 && bytes.length >= at + 5 + bytes.readUInt16BE(at + 3)) {
    fragments += bytes.readUInt16BE(at + 3);
    at += 5 + bytes.readUInt16BE(at + 3);
  }
  return fragments > 4 && fragments >= 4 + bytes.readUIntBE(6, 3);
}

const size = (bytes: number, value: number) => {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer;
};
const sized = (bytes: number, content: Uint8Array) => Buffer.concat([size(bytes, content.length), content]);

export function extension(type: number, data: Uint8Array): Buffer {
  return Buffer.concat([size(2, type), sized(2, data)]);
}

export function serverName(name: string): Buffer {
  return extension(0, sized(2, Buffer.concat([Buffer.of(0), sized(2, Buffer.from(name, 'latin1'))])));
}

export function applicationProtocols(...names: readonly string[]): Buffer {
  return extension(16, sized(2, Buffer.concat(names.map((name) => sized(1, Buffer.from(name))))));
}

/** The handshake message. Without `extensions` it ends where TLS 1.0 let it end. */
export function helloMessage(extensions?: readonly Buffer[]): Buffer {
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32, 7),
    sized(1, Buffer.alloc(32, 8)),
    sized(2, Buffer.of(0x13, 0x01, 0xc0, 0x2f)),
    sized(1, Buffer.of(0)),
    ...(extensions ? [sized(2, Buffer.concat(extensions))] : []),
  ]);
  return Buffer.concat([Buffer.of(1), sized(3, body)]);
}

/** The message in records of at most `length` bytes each. */
export function inRecords(message: Buffer, length = 16_384): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += length) {
    records.push(Buffer.of(0x16, 3, 1), sized(2, message.subarray(at, at + length)));
  }
  return Buffer.concat(records);
}
