/**
 * The slow network of a modality: a port that passes on what comes, a second's worth of bytes a second. On this machine
 * an instance is over in a millisecond, and a server that is killed at random would never be killed inside one.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { Address } from '../peers/test-connection.ts';

export interface SlowLink {
  readonly address: Address;
  stop(): Promise<void>;
}

/** `rate`: bytes a second from each client to `to`; the way back is not slowed. */
export async function startSlowLink(to: Address, rate: number): Promise<SlowLink> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const far = connect({ ...to, allowHalfOpen: true, noDelay: true });
    for (const [one, other] of [
      [client, far],
      [far, client],
    ] as const) {
      open.add(one);
      one.on('end', () => other.end());
      // What ended out of order does so on the other side too.
      one.on('error', () => other.resetAndDestroy());
      one.on('close', () => open.delete(one));
    }
    far.on('data', (chunk: Buffer) => client.write(chunk));
    client.on('data', (chunk: Buffer) => {
      client.pause();
      far.write(chunk);
      setTimeout(() => client.resume(), (chunk.length / rate) * 1000);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    address: { host: '127.0.0.1', port },
    async stop() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
