/**
 * The client of the `connections` bench: a fresh connection each time, 1 KiB and back, ten bytes and back, close; so
 * many at once, for so many seconds. `short-client.ts PORT SECONDS PARALLEL [HOST]` prints `{"connections":…,"seconds":…}`.
 */
import { connect } from 'node:net';

const [port, seconds, parallel] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const host = process.argv[5] ?? '127.0.0.1';
const REQUEST = Buffer.alloc(1024, 1);
const FAREWELL = Buffer.alloc(10, 5);
const began = performance.now();
const until = began + seconds * 1000;
let connections = 0;
let open = 0;

function again(): void {
  let received = 0;
  open += 1;
  const socket = connect({ port, host, noDelay: true });
  socket.write(REQUEST);
  socket.on('data', (chunk: Buffer) => {
    const before = received;
    received += chunk.length;
    if (before < 1024 && received >= 1024) socket.write(FAREWELL);
    if (received === 1034) socket.end();
  });
  socket.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
  socket.on('close', () => {
    connections += 1;
    open -= 1;
    if (performance.now() < until) again();
    else if (open === 0)
      console.log(JSON.stringify({ connections, seconds: (performance.now() - began) / 1000 }));
  });
}

for (let n = 0; n < parallel; n += 1) again();
