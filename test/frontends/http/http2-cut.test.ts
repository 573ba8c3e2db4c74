/** HTTP/2 frames by hand (RFC 9113 4.1), because Node's own client ends a stream before it resets it. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import { createTlsIdentity } from '../../../src/relay/tls-identity.ts';
import { type Authority, type Certificate, createAuthority } from '../../peers/certificates.ts';
import { openConnection } from '../../peers/test-connection.ts';
import { Journal, within } from '../../peers/waiting.ts';
import { readHead } from './messages.ts';
import { later, main, server, startHttp, type TestVip } from './setup.ts';

let authority: Authority;
let certificate: Certificate;

beforeAll(async () => {
  authority = await createAuthority();
  certificate = await authority.issue({ names: ['portal.example'] });
});

const DATA = 0x0;
const HEADERS = 0x1;
const RST_STREAM = 0x3;
const SETTINGS = 0x4;
const END_HEADERS = 0x4;
const CANCEL = Buffer.from([0, 0, 0, 8]);

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK (RFC 7541 Appendix A): POST, https, `/` by their indices, then a literal :authority. */
const POST = Buffer.concat([Buffer.from([0x83, 0x87, 0x84, 0x41, 14]), Buffer.from('portal.example')]);

/** A client's connection, and the one below its TLS. */
interface Frames {
  readonly socket: Socket;
  readonly below: Socket;
}

async function openFrames(vip: TestVip): Promise<Frames> {
  const { socket: below } = await openConnection(vip.address);
  const { ca } = authority;
  const socket = connect({ socket: below, ca, servername: 'portal.example', ALPNProtocols: ['h2'] });
  socket.on('error', () => {});
  later(() => socket.destroy());
  await within(once(socket, 'secureConnect'), 'a TLS connection');
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
  return { socket, below };
}

test.each<[how: string, cut: (frames: Frames) => void]>([
  ['resets its stream', ({ socket }) => socket.write(frame(RST_STREAM, 0, 1, CANCEL))],
  ['resets it without an error', ({ socket }) => socket.write(frame(RST_STREAM, 0, 1, Buffer.alloc(4)))],
  ['vanishes', ({ below }) => below.resetAndDestroy()],
])('HTTP/2: a body sender that %s does not end the body at the server', async (_how, cut) => {
  const got = new Journal<string>('bytes at the server');
  const web = await server(async (connection) => {
    await readHead(connection);
    for (;;) {
      const bytes = await connection.readSome();
      if (bytes === undefined) break;
      got.add(bytes.toString('latin1'));
    }
  });
  const tls = createTlsIdentity({ certificates: [certificate], minVersion: 'TLSv1.2', alpn: ['h2'] });
  const vip = await startHttp({ pools: main(web), entrance: { tls } });
  const frames = await openFrames(vip);
  frames.socket.write(frame(HEADERS, END_HEADERS, 1, POST));
  frames.socket.write(frame(DATA, 0, 1, Buffer.from('half of it')));
  await got.find(() => got.items.join('').includes('half of it'));
  cut(frames);
  const [connection] = await web.connections.count(1);
  await within(connection!.ending, 'the end of the connection to the server');
  expect(got.items.join('')).not.toMatch(/0\r\n\r\n$/);
  expect((await vip.events.count(1))[0]!.detail).toBe('the client cancelled the request');
});
