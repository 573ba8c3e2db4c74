/**
 * Opens connections and keeps them, each after something was sent and answered: `connection-holder.ts PORT COUNT
 * tcp|websocket`. Prints `open` when all are, ends with its input.
 */
import { connect } from 'node:net';

const [port, count] = process.argv.slice(2, 4).map(Number) as [number, number];
const AT_ONCE = 100;
/** An address has some 28 000 ports for all its connections. */
const PER_ADDRESS = 5000;

/** RFC 6455 1.3, with the key of the example there. */
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: bench.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const REQUEST = process.argv[4] === 'websocket' ? UPGRADE : Buffer.alloc(1024, 1);

function open(index: number): Promise<void> {
  const localAddress = `127.0.0.${2 + Math.floor(index / PER_ADDRESS)}`;
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    socket.write(REQUEST);
    socket.once('data', () => resolve());
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('a connection was closed')));
  });
}

for (let opened = 0; opened < count; opened += AT_ONCE) {
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - opened) }, (_, at) => open(opened + at)));
}
console.log('open');
process.stdin.resume().on('end', () => process.exit(0));
