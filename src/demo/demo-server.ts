/** What the demo's embedded servers share: they listen on loopback, on a port of the system's choosing. */
import type { AddressInfo, Server } from 'node:net';

export interface DemoServer {
  readonly name: string;
  /** On 127.0.0.1. */
  readonly port: number;
  /** Closes every connection and stops listening. */
  close(): Promise<void>;
}

export function listenOnLoopback(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const sockets = new Set<{ destroy(): void }>();
      open.set(server, sockets);
      server.on('connection', (socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
      });
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** The open connections of each server. */
const open = new WeakMap<Server, Set<{ destroy(): void }>>();

export function closeAll(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of open.get(server) ?? []) socket.destroy();
  });
}
