/** A port that neither takes nor refuses connections: its queue is full, and its program does not look. */
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Address } from '../../peers/test-connection.ts';
import { later } from './setup.ts';

/** Listens with the shortest queue there is, then stands still. */
const PROGRAM = `
  const { parentPort } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** Connections that no queue of length one holds. */
const MORE_THAN_ENOUGH = 8;

export async function silentPort(): Promise<Address> {
  const worker = new Worker(PROGRAM, { eval: true });
  later(async () => void (await worker.terminate()));
  const port = await new Promise<number>((resolve) => worker.once('message', resolve));
  const sockets: Socket[] = [];
  later(() => {
    for (const socket of sockets) socket.destroy();
  });
  // The queue is full as soon as one that came later hangs: those before it were taken or hang as well.
  for (let count = 0; count < MORE_THAN_ENOUGH; count++) {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => {});
    sockets.push(socket);
  }
  await new Promise((resolve) => sockets[0]!.once('connect', resolve));
  return { host: '127.0.0.1', port };
}
