/** Answers what comes first on each connection, and keeps it: `connection-acceptor.ts PORT`. Knows the WebSocket handshake. */
import { createServer } from 'node:net';

/** RFC 6455 1.3: the answer to the key of the example there. */
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {});
  socket.once('data', (first) => {
    socket.write(first.toString('latin1').startsWith('GET ') ? SWITCHING : first);
  });
}).listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 1024 });
