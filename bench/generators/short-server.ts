/**
 * The server of the `connections` bench: answers 1 KiB to the first 1 KiB, then ten bytes to ten, as an association
 * that is opened and released. `short-server.ts PORT [ADDRESS]`.
 */
import { createServer } from 'node:net';

const RESPONSE = Buffer.alloc(1024, 2);
const FAREWELL = Buffer.alloc(10, 6);

createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    const before = received;
    received += chunk.length;
    if (before < 1024 && received >= 1024) socket.write(RESPONSE);
    if (received >= 1034) socket.write(FAREWELL);
  });
  socket.on('end', () => socket.end());
  socket.on('error', () => socket.destroy());
}).listen(Number(process.argv[2]), process.argv[3] ?? '127.0.0.1', 1024);
